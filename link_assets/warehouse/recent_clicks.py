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
    for domain, day, people, others in reader.rows(
        f"SELECT domain_id, day, people, others FROM ({_by_day(today, domains)}) AS d"
        f" WHERE newest - day < {days}"
    ):
        recent, on = found[domain], date_of(day)
        recent.people[on], recent.others[on] = int(people), int(others)
    return found


def _by_day(today: date, domains: Collection[int] | None) -> str:
    """Return the SQL of the clicks of all days, each beside its domain's newest."""
    domain = "CAST(NULL AS BIGINT)" if domains is ALL else "domain_id"
    return (
        f"SELECT domain_id, day, people, others, max(day) OVER (PARTITION BY domain_id) AS newest"
        f" FROM (SELECT {domain} AS domain_id, {DAY} AS day,"
        f" {COUNTS} FROM {{dataset}}.{CLICKS.name} WHERE {within_domains(domains)}"
        f" AND {up_to(today)} GROUP BY 1, 2) AS c"
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
    newest = (
        f"SELECT domain_id, max({DAY}) AS newest FROM {{dataset}}.{CLICKS.name}"
        f" WHERE {within_domains(domains)} AND {up_to(today)} GROUP BY domain_id"
    )
    recent = (
        f"(SELECT r.* FROM {{dataset}}.{CLICKS.name} AS r JOIN ({newest}) AS n"
        f" ON n.domain_id = r.domain_id AND {DAY} > n.newest - {days} AND {up_to(today)})"
    )
    return leading(reader, recent, LISTS, domains, LEADING)
