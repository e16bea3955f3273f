"""How many clicks a run adds, counted in the warehouse before and after it.

The clicks asset shows the numbers on each domain's materialization. Nothing here writes.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.clamped_times import earlier
from link_assets.contract import CLICKS
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.reader import Reader, reading
from link_assets.warehouse.utc_days import up_to


@dataclass(frozen=True)
class ClickCount:
    """The clicks of a domain.

    All, those written since the run began, the time of the newest one that is not of the future,
    how many are, and how many are older than a run that reads only what is new looks at.
    """

    total: int = 0
    written: int = 0
    newest: datetime | None = None
    future: int = 0
    old: int = 0

    def end(self, now: datetime) -> datetime | None:
        """Return the time of the newest click, or now if that is earlier; None without clicks."""
        if self.future:
            return now
        return min(self.newest, now) if self.newest else None


@dataclass(frozen=True)
class Growth:
    """The clicks of a domain before and after a run, and how many the whole table has."""

    before: ClickCount
    after: ClickCount
    table: int
    counted_at: datetime

    @property
    def missed(self) -> int:
        """Return how many clicks came that runs which read only what is new would not have found.

        After a read of all pages: how many earlier runs had missed.
        """
        return max(0, self.after.old - self.before.old)

    @property
    def metadata(self) -> dict[str, Any]:
        """The numbers as the domain's materialization shows them.

        `rows_new` were not there before; `rows_already_there` were, and came again, revised or not.
        """
        new = max(0, self.after.total - self.before.total)  # old ones may have been deleted
        return {
            "rows_new": new,
            "rows_already_there": max(0, self.after.written - new),
            "rows_total": self.after.total,
            "dagster/partition_row_count": self.after.total,
            "dagster/row_count": self.table,
        }


class ClickCounts:
    """The clicks of a run's domains when this is made; queries do not grow with the domains.

    Args:
        domains: The domains' ids.
        lookback: How far before its newest click a run that reads only what is new looks.
    """

    def __init__(self, domains: Collection[int], lookback: timedelta = timedelta()) -> None:
        self._domains = domains
        self._since = time.time()
        self._old_before: dict[int, datetime] = {}
        self._before: dict[int, ClickCount] = {}
        with reading() as reader, suppress(DatabaseUndefinedRelation):
            now = datetime.now(UTC)
            counts = self._count(reader, now)
            ends = {domain: end for domain, count in counts.items() if (end := count.end(now))}
            self._old_before = {domain: earlier(end, lookback) for domain, end in ends.items()}
            self._before = self._with_old(reader, counts)

    def old(self, domain: int) -> tuple[datetime, int] | None:
        """Return the time before which clicks are old, and how many the domain has of them."""
        before = self._old_before.get(domain)
        return (before, self._before[domain].old) if before else None

    def compare_with(self, domain: int, before: datetime, old: int) -> None:
        """Take the number of old clicks from an earlier run, which this one continues."""
        self._old_before[domain] = before
        self._before[domain] = replace(self._before.get(domain, ClickCount()), old=old)

    def before(self, domain: int) -> ClickCount | None:
        """Return what a domain had when this was made; None if that was nothing."""
        return self._before.get(domain)

    def growth(self) -> dict[int, Growth]:
        """Return what was added to each domain since this was made, by the domain's id.

        Raises:
            DatabaseUndefinedRelation: dlt's error if there is no table of clicks.
        """
        now = datetime.now(UTC)
        with reading() as reader:
            after = self._with_old(reader, self._count(reader, now))
            ((table,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{CLICKS.name}")
        none = ClickCount()
        return {
            domain: Growth(self._before.get(domain, none), after.get(domain, none), table, now)
            for domain in self._domains
        }

    def _count(self, reader: Reader, now: datetime) -> dict[int, ClickCount]:
        # a load's id is the time at which it began, as text
        written = f"sum(CASE WHEN _dlt_load_id >= '{self._since}' THEN 1 ELSE 0 END)"
        past = up_to(now.date())
        rows = reader.rows(
            f"SELECT domain_id, count(*), {written}, max(CASE WHEN {past} THEN dt END),"
            f" sum(CASE WHEN {past} THEN 0 ELSE 1 END) FROM {{dataset}}.{CLICKS.name}"
            f" WHERE {of_domains(self._domains)} GROUP BY domain_id"
        )
        return {
            domain: ClickCount(total, int(new), newest, int(future))
            for domain, total, new, newest, future in rows
        }

    def _with_old(self, reader: Reader, counts: Mapping[int, ClickCount]) -> dict[int, ClickCount]:
        """Return the counts with how many clicks are old, by the newest ones before the run."""
        are_old = " OR ".join(
            f"(domain_id = {domain} AND dt < '{time.astimezone(UTC).isoformat()}')"
            for domain, time in self._old_before.items()
        )
        rows = reader.rows(
            f"SELECT domain_id, count(*) FROM {{dataset}}.{CLICKS.name}"
            f" WHERE {are_old or 'FALSE'} GROUP BY domain_id"
        )
        old = dict(map(tuple, rows))
        return {d: replace(count, old=old.get(d, 0)) for d, count in counts.items()}
