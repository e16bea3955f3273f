"""What the latest clicks of domains come to, as asset pages show it: by day, and what leads.

Nothing personal is read: days, links, countries and hosts of referrers alone. A domain's latest
clicks are those of the days up to its newest one, so that a domain without news has figures, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from link_assets.contract import CLICKS, LINKS
from link_assets.warehouse.link_join import clicks_with_links, missing_tables
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY, EPOCH, date_of

ALL = None
"""Stands for all domains together."""
LEADING = 5
"""How many links, countries and referrers are shown."""


@dataclass
class RecentClicks:
    """The latest clicks of a domain, or of all: by day (UTC), by people and by others."""

    people: dict[date, int] = field(default_factory=dict)
    others: dict[date, int] = field(default_factory=dict)

    @property
    def last(self) -> date:
        """Return the day of the newest click; the first of 1970 if there is none."""
        return max(self.people, default=EPOCH)


Leading = Sequence[tuple[str, int]]
"""What has most clicks, with their number."""


def recent_by_day(
    reader: Reader, domains: Collection[int] | None, days: int
) -> Mapping[int | None, RecentClicks]:
    """Count the clicks of each domain's last days up to the newest click, by people and by others.

    Args:
        reader: That of the warehouse.
        domains: Their ids; None for all domains together, which are then under the key ALL.
        days: How many days are counted.
    """
    found: defaultdict[int | None, RecentClicks] = defaultdict(RecentClicks)
    for domain, day, people, others in reader.rows(
        f"SELECT domain_id, day, people, others FROM ({_by_day(domains)}) AS d"
        f" WHERE newest - day < {days}"
    ):
        recent, on = found[domain], date_of(day)
        recent.people[on], recent.others[on] = int(people), int(others)
    return found


def _by_day(domains: Collection[int] | None) -> str:
    """Return the SQL of the clicks of all days, each beside its domain's newest."""
    domain = "CAST(NULL AS BIGINT)" if domains is ALL else "domain_id"
    return (
        f"SELECT domain_id, day, people, others, max(day) OVER (PARTITION BY domain_id) AS newest"
        f" FROM (SELECT {domain} AS domain_id, {DAY} AS day,"
        " sum(CASE WHEN human THEN 1 ELSE 0 END) AS people,"
        " sum(CASE WHEN human THEN 0 ELSE 1 END) AS others"
        f" FROM {{dataset}}.{CLICKS.name} WHERE {_among(domains)} GROUP BY 1, 2) AS c"
    )


def leading(
    reader: Reader, domains: Collection[int], days: int
) -> Mapping[str, Mapping[int, Leading]]:
    """Return what leads among the latest clicks: links, countries and referrers, by domain.

    Args:
        reader: That of the warehouse.
        domains: Their ids.
        days: How many days up to the newest click of a domain are looked at.
    """
    missing, links = missing_tables(reader, LINKS.name), {}
    if LINKS.name not in missing:
        links = _leading(reader, _recent_links(domains, days, missing))
    return {
        "links": links,
        "countries": _leading(reader, _recent(domains, days, "country")),
        "referrers": _leading(reader, _recent(domains, days, "refhost")),
    }


def _recent(domains: Collection[int], days: int, column: str) -> str:
    """Return the SQL of clicks by the values of a column."""
    return (
        f"SELECT r.domain_id, {column} AS name, count(*) AS clicks FROM"
        f" {{dataset}}.{CLICKS.name} AS r JOIN ({_first_times(domains, days)}) AS f"
        f" ON f.domain_id = r.domain_id AND {DAY} > f.newest - {days}"
        f" WHERE {column} <> '' GROUP BY r.domain_id, {column}"
    )


def _recent_links(domains: Collection[int], days: int, missing: Collection[str]) -> str:
    """Return the SQL of clicks by the short URL of their link."""
    by_path = (
        f"(SELECT r.domain_id, path, st, count(*) AS clicks FROM {{dataset}}.{CLICKS.name} AS r"
        f" JOIN ({_first_times(domains, days)}) AS f ON f.domain_id = r.domain_id"
        f" AND {DAY} > f.newest - {days} GROUP BY r.domain_id, path, st)"
    )
    joined = clicks_with_links(by_path, missing)
    return (
        "SELECT j.domain_id, coalesce(l.short_url, l.path) AS name, sum(j.clicks) AS clicks"
        f" FROM ({joined}) AS j JOIN {{dataset}}.{LINKS.name} AS l ON l.id = j.link_id"
        " GROUP BY 1, 2"
    )


def _first_times(domains: Collection[int], days: int) -> str:
    return (
        f"SELECT domain_id, max({DAY}) AS newest FROM {{dataset}}.{CLICKS.name}"
        f" WHERE {_among(domains)} GROUP BY domain_id"
    )


def _among(domains: Collection[int] | None) -> str:
    ids = ", ".join(map(str, domains or ())) or "NULL"
    return "TRUE" if domains is ALL else f"domain_id IN ({ids})"


def _leading(reader: Reader, counted: str) -> Mapping[int, Leading]:
    found: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for domain, name, clicks in reader.rows(
        "SELECT domain_id, name, clicks FROM (SELECT domain_id, name, clicks, row_number() OVER"
        f" (PARTITION BY domain_id ORDER BY clicks DESC, name) AS place FROM ({counted}) AS c) AS p"
        f" WHERE place <= {LEADING} ORDER BY domain_id, place"
    ):
        found[domain].append((str(name), int(clicks)))
    return found
