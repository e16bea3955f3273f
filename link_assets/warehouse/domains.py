"""The domains in the warehouse: their ids, and their hosts for people to read.

The partitions come from here, and the names that messages give to domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import DOMAINS, LINKS
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import Reader, reading


def listed_domains() -> Sequence[int]:
    """Return the ids of all domains, in order: of the table `domains` and of links.

    Links are asked, too, since they may be loaded alone.
    """
    with reading() as reader:
        listed = _column(reader, f"SELECT id FROM {{dataset}}.{DOMAINS.name}")
        of_links = _column(reader, f"SELECT DISTINCT domain_id FROM {{dataset}}.{LINKS.name}")
    return sorted(domain for domain in {*listed, *of_links} if domain is not None and domain >= 0)


def count_domains() -> int:
    """Return how many rows the table of domains has; 0 if there is none yet."""
    with reading() as reader:
        return sum(_column(reader, f"SELECT count(*) FROM {{dataset}}.{DOMAINS.name}"))


def hosts(at_most: float | None = None) -> Mapping[int, str]:
    """Return the host of each domain, by its id, as people read it; none before they are loaded.

    A warehouse that others use is waited for; `at_most` so many seconds.
    """
    if not configured_warehouse().exists():
        return {}
    with reading(at_most) as reader:
        return hosts_in(reader)


def hosts_in(reader: Reader) -> Mapping[int, str]:
    """Return the same with a reader at hand."""
    try:
        rows = reader.rows(
            "SELECT id, coalesce(nullif(unicode_hostname, ''), hostname)"
            f" FROM {{dataset}}.{DOMAINS.name} ORDER BY id"
        )
    except DatabaseUndefinedRelation:
        return {}
    return {domain: host for domain, host in rows if host}


def _column(reader: Reader, query: str) -> Sequence[int]:
    """Return the values of a query's one column; none if its table is missing."""
    try:
        return [value for (value,) in reader.rows(query)]
    except DatabaseUndefinedRelation:
        return []
