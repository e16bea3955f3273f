"""What the clicks of a period come to, as the report shows it: by day, and what leads.

The warehouse does the counting, so that what comes from it is bounded whatever the number of
clicks: POINTS times in the period, LEADING names a list, LISTED domains. Nothing personal is read,
and paths and referrers are cut where their queries begin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, LINKS
from link_assets.warehouse.link_join import clicks_with_links, missing_tables
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY, EPOCH

POINTS = 400
"""How many days a period has at most, or weeks if it is longer."""
LEADING = 10
"""How many links, countries, ... are told of each domain."""
LISTED = 500
"""How many domains have figures of their own: those with most clicks."""
ALL = None
"""Stands for all domains together."""

WEEK = 7
COUNTS = (
    "count(CASE WHEN human THEN 1 END) AS people,"
    " count(CASE WHEN human THEN NULL ELSE 1 END) AS others"
)
LISTS = {"countries": "country", "referrers": "refhost", "browsers": "browser", "systems": "os"}
"""What is counted beside links, by the column that says it."""


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


class Count(NamedTuple):
    """How many clicks: by people, and by others, which are bots and those not judged."""

    people: int = 0
    others: int = 0

    @property
    def clicks(self) -> int:
        """Return how many there are together."""
        return self.people + self.others


class Leader(NamedTuple):
    """One of those with most clicks. A name of None stands for all of which none is known."""

    name: str | None
    counted: Count
    title: str | None = None


Leaders = Mapping[int | None, Sequence[Leader]]
"""What leads, by domain."""


@dataclass(frozen=True)
class ReportFigures:
    """All figures; those of all domains together are under ALL.

    Attributes:
        period: What is counted.
        outside: How many clicks lie outside of it.
        totals: The clicks of every domain that has any, those with most first.
        series: The clicks by time, of ALL and the domains that are `listed`.
        leading: What leads, by the name of the list and likewise: `links`, and the LISTS.
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
    """Count the clicks of a period; None if there are no clicks at all.

    It ends with the newest click. Clicks of the future, by `today`, are outside of it.

    Args:
        reader: That of the warehouse.
        today: The day (UTC) after which there can be no clicks.
        domains: The ids of those whose clicks are counted; None for all.
        days: How many days the period has; None for as many as there are clicks of.
    """
    among = _among(domains)
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
    return ReportFigures(
        period, everything - totals[ALL].clicks, totals, series, _leading(reader, within, listed)
    )


def _period(reader: Reader, today: date, among: str, days: int | None) -> Period | None:
    ((oldest, newest, last_of_all),) = reader.rows(
        f"SELECT min({DAY}), max(CASE WHEN dt < {_midnight(today + timedelta(1))} THEN {DAY} END),"
        f" max({DAY}) FROM {{dataset}}.{CLICKS.name} WHERE {among}"
    )
    if oldest is None:
        return None
    last = last_of_all if newest is None else newest
    first = oldest if days is None else max(oldest, last - days + 1)
    step = 1 if last - first < POINTS else WEEK
    if step == WEEK:
        # on a Monday; the epoch began on a Thursday
        first, monday = (day - (day + 3) % WEEK for day in (first, last))
        first = max(first, monday - (POINTS - 1) * WEEK)
    return Period(EPOCH + timedelta(first), EPOCH + timedelta(last), step)


def _midnight(day: date) -> str:
    return f"'{day.isoformat()} 00:00:00+00'"


def _within(period: Period) -> str:
    return f"dt >= {_midnight(period.first)} AND dt < {_midnight(period.last + timedelta(1))}"


def _among(domains: Collection[int] | None) -> str:
    ids = ", ".join(map(str, domains or ())) or "NULL"
    return "TRUE" if domains is None else f"domain_id IN ({ids})"


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


def _leading(reader: Reader, within: str, listed: Collection[int]) -> Mapping[str, Leaders]:
    """Return each list of what leads among the clicks that are `within`."""
    lists = {
        name: _leaders(reader, _by_name(column, within), listed) for name, column in LISTS.items()
    }
    return {"links": _leading_links(reader, within, listed), **lists}


def _by_name(column: str, within: str) -> str:
    """Return the SQL of clicks by domain and name: a column's value up to where a query begins."""
    # values are cut when they are counted, since there are fewer of them than of clicks
    return (
        f"SELECT domain_id, nullif(trim({_without_query('name')}), '') AS name,"
        " sum(people) AS people, sum(others) AS others FROM ("
        f"SELECT domain_id, {column} AS name, {COUNTS} FROM {{dataset}}.{CLICKS.name}"
        f" WHERE {within} GROUP BY 1, 2) AS c GROUP BY 1, 2"
    )


def _without_query(text: str) -> str:
    return f"split_part(split_part({text}, '?', 1), '#', 1)"


def _leaders(reader: Reader, counted: str, listed: Collection[int]) -> Leaders:
    found: defaultdict[int | None, list[Leader]] = defaultdict(list)
    for domain, name, people, others, _ in reader.rows(_ranked(counted, listed)):
        found[domain].append(Leader(name, Count(int(people), int(others))))
    return found


def _leading_links(reader: Reader, within: str, listed: Collection[int]) -> Leaders:
    """Return the links with most clicks; none where there is no table of links yet."""
    # as the join cuts paths, so that queries of all kinds do not make many groups
    by_path = (
        f"(SELECT domain_id, {_without_query('path')} AS path, st, {COUNTS}"
        f" FROM {{dataset}}.{CLICKS.name} WHERE {within} GROUP BY 1, 2, 3)"
    )
    found: defaultdict[int | None, list[Leader]] = defaultdict(list)
    try:
        joined = clicks_with_links(by_path, missing_tables(reader))
        ranked = _ranked(
            "SELECT domain_id, link_id AS name, sum(people) AS people, sum(others) AS others"
            f" FROM ({joined}) AS j GROUP BY 1, 2",
            listed,
        )
        rows = reader.rows(
            f"SELECT r.domain_id, {_without_query('coalesce(l.short_url, l.path, r.name)')},"
            f" l.title, r.people, r.others FROM ({ranked}) AS r"
            f" LEFT JOIN {{dataset}}.{LINKS.name} AS l ON l.id = r.name"
            " ORDER BY r.domain_id, r.place"
        )
    except DatabaseUndefinedRelation:
        return {}
    for domain, url, title, people, others in rows:
        found[domain].append(Leader(url, Count(int(people), int(others)), title))
    return found


def _ranked(counted: str, listed: Collection[int]) -> str:
    """Return the SQL of the names with most clicks, of all domains and of each that is listed.

    Clicks without a name are a row beside those that lead.

    Args:
        counted: SQL of `domain_id`, `name`, `people` and `others`, each name of a domain once.
        listed: The ids of the domains.
    """
    return (
        f"WITH counted AS ({counted}), scoped AS ("
        f"SELECT domain_id, name, people, others FROM counted WHERE {_among(listed)}"
        " UNION ALL SELECT CAST(NULL AS BIGINT), name, sum(people), sum(others) FROM counted"
        " GROUP BY name), placed AS (SELECT domain_id, name, people, others, row_number() OVER"
        " (PARTITION BY domain_id, name IS NULL ORDER BY people + others DESC, name) AS place"
        " FROM scoped) SELECT domain_id, name, people, others, place FROM placed"
        f" WHERE place <= {LEADING} ORDER BY domain_id, place"
    )
