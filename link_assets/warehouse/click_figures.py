"""What figures of clicks are made of: counts by people and by others, and what leads among them.

Asset pages (`recent_clicks`) and the report (`report_figures`) count with it, each its own clicks.
Nothing personal is read, and paths and referrers are cut where their queries begin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import LINKS
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.link_join import clicks_with_links, missing_tables
from link_assets.warehouse.reader import Reader

ALL = None
"""Stands for all domains together."""
COUNTS = (
    "count(CASE WHEN human THEN 1 END) AS people,"
    " count(CASE WHEN human THEN NULL ELSE 1 END) AS others"
)
"""The SQL of how many clicks there are, by people and by others."""


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
"""What leads, by domain; of all domains together under ALL."""


def within_domains(domains: Collection[int] | None) -> str:
    """Return the SQL that clicks are of these domains; ALL is any of them."""
    return "TRUE" if domains is None else of_domains(domains)


def leading(
    reader: Reader, clicks: str, columns: Mapping[str, str], domains: Collection[int], most: int
) -> Mapping[str, Leaders]:
    """Return what leads among clicks: `links`, and by the values of columns.

    There are no links where there is no table of links yet.

    Args:
        reader: That of the warehouse.
        clicks: A subquery in parentheses with the columns of clicks.
        columns: Those whose values are counted, by what the list is called.
        domains: The ids of those that have lists of their own beside that of ALL.
        most: How many names a list has; clicks without a name are one more.
    """
    lists = {
        name: _leaders(reader, _ranked(_by_value(clicks, column), domains, most))
        for name, column in columns.items()
    }
    return {"links": _leading_links(reader, clicks, domains, most), **lists}


def _by_value(clicks: str, column: str) -> str:
    """Return the SQL of clicks by domain and a column's value up to where a query begins."""
    # values are cut when they are counted, since there are fewer of them than of clicks
    return (
        f"SELECT domain_id, nullif(trim({_without_query('name')}), '') AS name,"
        " sum(people) AS people, sum(others) AS others FROM ("
        f"SELECT domain_id, {column} AS name, {COUNTS} FROM {clicks} AS c GROUP BY 1, 2"
        ") AS v GROUP BY 1, 2"
    )


def _without_query(text: str) -> str:
    return f"split_part(split_part({text}, '?', 1), '#', 1)"


def _leaders(reader: Reader, ranked: str, shown: str = "r.name, NULL", join: str = "") -> Leaders:
    """Return those that are ranked, with the SQL of their shown name and title."""
    found: defaultdict[int | None, list[Leader]] = defaultdict(list)
    for domain, name, title, people, others in reader.rows(
        f"SELECT r.domain_id, {shown}, r.people, r.others FROM ({ranked}) AS r {join}"
        " ORDER BY r.domain_id, r.place"
    ):
        found[domain].append(Leader(name, Count(int(people), int(others)), title))
    return found


def _leading_links(reader: Reader, clicks: str, domains: Collection[int], most: int) -> Leaders:
    # as the join cuts paths, so that queries of all kinds do not make many groups
    by_path = (
        f"(SELECT domain_id, {_without_query('path')} AS path, st, {COUNTS}"
        f" FROM {clicks} AS p GROUP BY 1, 2, 3)"
    )
    joined = clicks_with_links(by_path, missing_tables(reader))
    by_link = (
        "SELECT domain_id, link_id AS name, sum(people) AS people, sum(others) AS others"
        f" FROM ({joined}) AS j GROUP BY 1, 2"
    )
    try:
        return _leaders(
            reader,
            _ranked(by_link, domains, most),
            f"{_without_query('coalesce(l.short_url, l.path, r.name)')}, l.title",
            f"LEFT JOIN {{dataset}}.{LINKS.name} AS l ON l.id = r.name",
        )
    except DatabaseUndefinedRelation:
        return {}


def _ranked(counted: str, domains: Collection[int], most: int) -> str:
    """Return the SQL of the names with most clicks, of all domains and of each of these.

    Clicks without a name are a row beside those that lead.

    Args:
        counted: SQL of `domain_id`, `name`, `people` and `others`, each name of a domain once.
        domains: Their ids.
        most: How many names lead.
    """
    return (
        f"WITH counted AS ({counted}), scoped AS ("
        f"SELECT domain_id, name, people, others FROM counted WHERE {within_domains(domains)}"
        " UNION ALL SELECT CAST(NULL AS BIGINT), name, sum(people), sum(others) FROM counted"
        " GROUP BY name), placed AS (SELECT domain_id, name, people, others, row_number() OVER"
        " (PARTITION BY domain_id, name IS NULL ORDER BY people + others DESC, name) AS place"
        " FROM scoped) SELECT domain_id, name, people, others, place FROM placed"
        f" WHERE place <= {most}"
    )
