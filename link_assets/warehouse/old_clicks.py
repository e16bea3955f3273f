"""Clicks that are old enough to be deleted; the rows of their days in `daily_clicks` stay.

The days of a domain up to one of them are marked in the transaction that deletes their clicks, in
which they were computed, too, with all loads kept out: so no click goes that is not counted. They
are never computed again: not because their clicks are gone, and not if some of them come back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DAILY_CLICKS
from link_assets.warehouse.reader import Reader, reading
from link_assets.warehouse.utc_days import DATE, midnight

DAYS = f"{{dataset}}.{DAILY_CLICKS.name}"
IS_OPEN = (
    "NOT EXISTS (SELECT 1 FROM (SELECT domain_id AS domain, max(day) AS last_day"
    f" FROM {DAYS} WHERE clicks_deleted GROUP BY domain_id) AS closed"
    f" WHERE closed.domain = domain_id AND closed.last_day >= {{day}})"
)
IS_CLICK_OF_OPEN_DAY = IS_OPEN.replace("{day}", DATE)
"""The SQL that the clicks of a click's day are still kept."""
IS_OPEN_DAY = IS_OPEN.replace("{day}", "day")
"""The SQL that the clicks of a day in `daily_clicks` are."""


@dataclass(frozen=True)
class OldClicks:
    """The clicks of these domains, of days (UTC) before `first_kept`."""

    domains: Collection[int]
    first_kept: date

    @property
    def are_old(self) -> str:
        """Return the SQL that a click is one of them."""
        return f"{self._among} AND dt < {midnight(self.first_kept)}"

    @property
    def _among(self) -> str:
        return f"domain_id IN ({', '.join(map(str, self.domains)) or 'NULL'})"

    def count(self, reader: Reader) -> Mapping[int, int]:
        """Return by domain how many there are."""
        rows = reader.rows(
            f"SELECT domain_id, count(*) FROM {{dataset}}.{CLICKS.name}"
            f" WHERE {self.are_old} GROUP BY domain_id"
        )
        return dict(map(tuple, rows))

    def delete(self, reader: Reader) -> None:
        """Delete them and mark their days; in a transaction that keeps loads out."""
        days = f"{self._among} AND day < '{self.first_kept.isoformat()}'"
        reader.run(f"UPDATE {DAYS} SET clicks_deleted = TRUE WHERE {days}")
        reader.run(f"DELETE FROM {{dataset}}.{CLICKS.name} WHERE {self.are_old}")


def any_old(old: OldClicks) -> bool:
    """Return whether there are such clicks."""
    with reading() as reader, suppress(DatabaseUndefinedRelation):
        return bool(old.count(reader))
    return False


def knows_deleted(reader: Reader) -> bool:
    """Return whether the table of days has the mark, which earlier versions did not make."""
    return "clicks_deleted" in reader.columns(DAILY_CLICKS.name)
