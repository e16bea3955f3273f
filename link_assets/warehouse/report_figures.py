"""What the clicks of a period come to, as the report shows it: by day, and what leads.

The warehouse does the counting, so that what comes from it is bounded whatever the number of
clicks: POINTS times in the period, LEADING names a list, LISTED domains. Nothing personal is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS
from link_assets.warehouse.click_figures import (
    ALL,
    COUNTS,
    Count,
    Leaders,
    leading,
    within_domains,
)
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY, EPOCH, date_of, midnight, up_to

POINTS = 400
"""How many days a period has at most, or weeks if it is longer."""
LEADING = 10
"""How many links, countries, ... are told of each domain."""
LISTED = 500
"""How many domains have figures of their own: those with most clicks."""

WEEK = 7
LISTS = {"countries": "country", "referrers": "refhost", "browsers": "browser", "systems": "os"}
"""What leads beside links, by the column that says it."""


@dataclass(frozen=True)
class Period:
    """The days (UTC) that are counted: from `first` to `last`, `step` days in one figure."""

    first: date
    last: date
    step: int

    @property
    def points(self) -> int:
        """Return how many figures the period has."""
        return (self.last - self.first).days // self.step + 1


@dataclass(frozen=True)
class ReportFigures:
    """All figures; those of all domains together are under ALL.

    Attributes:
        period: What is counted.
        outside: How many clicks lie outside of it.
        totals: The clicks of every domain that has any, those with most first.
        series: The clicks by time, of ALL and the domains that are `listed`.
        leading: What leads of each, by the name of the list: `links`, and the LISTS.
    """

    period: Period
    outside: int
    totals: Mapping[int | None, Count]
    series: Mapping[int | None, Sequence[Count]]
    leading: Mapping[str, Leaders]

    @property
    def listed(self) -> list[int]:
        """Return the domains with figures of their own, those with most clicks first."""
        return [domain for domain in self.series if domain is not None]


def report_figures(
    reader: Reader, today: date, domains: Collection[int] | None = None, days: int | None = None
) -> ReportFigures | None:
    """Count the clicks of a period; None if there are none up to today.

    It ends with the newest click. Clicks of the future, by `today`, are outside of it.

    Args:
        reader: That of the warehouse.
        today: The day (UTC) after which there can be no clicks.
        domains: The ids of those whose clicks are counted; None for all.
        days: How many days the period has; None for as many as there are clicks of.
    """
    among = within_domains(domains)
    try:
        period = _period(reader, today, among, days)
    except DatabaseUndefinedRelation:
        return None
    if period is None:
        return None
    within = f"{among} AND {_within(period)}"
    ((everything,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{CLICKS.name} WHERE {among}")
    totals, series = _series(reader, period, within)
    listed = [domain for domain in series if domain is not None]
    counted = f"(SELECT * FROM {{dataset}}.{CLICKS.name} WHERE {within})"
    leaders = leading(reader, counted, LISTS, listed, LEADING)
    return ReportFigures(period, everything - totals[ALL].clicks, totals, series, leaders)


def _period(reader: Reader, today: date, among: str, days: int | None) -> Period | None:
    ((oldest, last),) = reader.rows(
        f"SELECT min({DAY}), max({DAY}) FROM {{dataset}}.{CLICKS.name}"
        f" WHERE {among} AND {up_to(today)}"
    )
    if oldest is None:
        return None
    first = oldest if days is None else max(oldest, last - days + 1)
    step = 1 if last - first < POINTS else WEEK
    if step == WEEK:
        # on a Monday; the epoch began on a Thursday
        first, monday = (day - (day + 3) % WEEK for day in (first, last))
        first = max(first, monday - (POINTS - 1) * WEEK)
    return Period(date_of(first), date_of(last), step)


def _within(period: Period) -> str:
    return f"dt >= {midnight(period.first)} AND {up_to(period.last)}"


def _series(
    reader: Reader, period: Period, within: str
) -> tuple[Mapping[int | None, Count], Mapping[int | None, Sequence[Count]]]:
    """Return the totals of all domains, and the clicks by time of ALL and those with most."""
    first = (period.first - EPOCH).days
    found: defaultdict[int | None, list[Count]] = defaultdict(lambda: [Count()] * period.points)
    for domain, point, people, others in reader.rows(
        f"SELECT domain_id, CAST(floor(({DAY} - {first}) / {period.step}.0) AS BIGINT), {COUNTS}"
        f" FROM {{dataset}}.{CLICKS.name} WHERE {within} GROUP BY 1, 2"
    ):
        for of in (ALL, domain):
            before = found[of][point]
            found[of][point] = Count(before.people + people, before.others + others)
    totals = {
        domain: Count(*map(sum, zip(*counts, strict=True))) for domain, counts in found.items()
    }
    ordered = sorted(totals, key=lambda of: (of is not ALL, -totals[of].clicks, of or 0))
    return {of: totals[of] for of in ordered}, {of: found[of] for of in ordered[: LISTED + 1]}
