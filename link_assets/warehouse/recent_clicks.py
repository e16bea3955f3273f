"""What the latest clicks of domains come to, as asset pages show it: by day, and what leads.

Nothing personal is read: days, links, countries and hosts of referrers alone. A domain's latest
clicks are those of the days up to its newest one, so that a domain without news has figures, too.
Clicks of the future are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from link_assets.contract import CLICKS
from link_assets.warehouse.click_figures import ALL, COUNTS, Leaders, leading, within_domains
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY, EPOCH, date_of, up_to

LEADING = 5
"""How many links, countries and referrers are shown."""
LISTS = {"countries": "country", "referrers": "refhost"}
"""What leads beside links, by the column that says it."""


@dataclass
class RecentClicks:
    """The latest clicks of a domain, or of all: by day (UTC), by people and by others."""

    people: dict[date, int] = field(default_factory=dict)
    others: dict[date, int] = field(default_factory=dict)

    @property
    def last(self) -> date:
        """Return the day of the newest click; the first of 1970 if there is none."""
        return max(self.people, default=EPOCH)


def recent_by_day(
    reader: Reader, today: date, domains: Collection[int] | None, days: int
) -> Mapping[int | None, RecentClicks]:
    """Count the clicks of each domain's last days up to the newest click, by people and by others.

    Args:
        reader: That of the warehouse.
        today: The day (UTC) after which there can be no clicks.
        domains: Their ids; None for all domains together, which are then under the key ALL.
        days: How many days are counted.
    """
    found: defaultdict[int | None, RecentClicks] = defaultdict(RecentClicks)
    recent = _recent(today, domains, days)
    for domain, day, people, others in reader.rows(
        f"SELECT of_domain, {DAY} AS day, {COUNTS} FROM {recent} AS r GROUP BY 1, 2"
    ):
        recent_of_domain, on = found[domain], date_of(day)
        recent_of_domain.people[on], recent_of_domain.others[on] = int(people), int(others)
    return found


def _recent(today: date, domains: Collection[int] | None, days: int) -> str:
    """Return the SQL, in parentheses, of the clicks of domains' last days.

    `of_domain` beside the columns of a click is the domain among whose clicks it is one of the
    latest; null if that is among all.
    """
    domain = "CAST(NULL AS BIGINT)" if domains is ALL else "domain_id"
    same = "TRUE" if domains is ALL else "n.of_domain = c.domain_id"
    clicks = f"WHERE {within_domains(domains)} AND {up_to(today)}"
    newest = (
        f"SELECT of_domain, dt AS newest, {DAY} AS newest_day FROM (SELECT {domain} AS of_domain,"
        f" max(dt) AS dt FROM {{dataset}}.{CLICKS.name} {clicks} GROUP BY 1) AS m"
    )
    # comparing times first leaves few for which the day has to be worked out
    return (
        f"(SELECT c.*, n.of_domain FROM {{dataset}}.{CLICKS.name} AS c JOIN ({newest}) AS n"
        f" ON {same} AND c.dt > n.newest - INTERVAL '{days} days' {clicks}"
        f" AND {DAY} > n.newest_day - {days})"
    )


def recent_leaders(
    reader: Reader, today: date, domains: Collection[int], days: int
) -> Mapping[str, Leaders]:
    """Return what leads among the latest clicks, by list and domain: `links`, and the LISTS.

    Args:
        reader: That of the warehouse.
        today: The day (UTC) after which there can be no clicks.
        domains: Their ids.
        days: How many days up to the newest click of a domain are looked at.
    """
    recent = _recent(today, domains, days)
    return leading(reader, recent, LISTS, domains, LEADING)
