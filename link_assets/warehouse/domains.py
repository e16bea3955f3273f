"""The domains in the warehouse: their ids, and their hosts for people to read and to write.

The partitions come from here, and the names that messages and people give to domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DOMAINS, LINKS, Table
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import Reader, reading


def listed_domains() -> Sequence[int]:
    """Return the ids of all domains, in order: of the table `domains` and of links.

    Links are asked, too, since they may be loaded alone.
    """
    with reading() as reader:
        return [domain for domain in _domains_of(reader, DOMAINS, LINKS) if domain >= 0]


def domains_in(reader: Reader) -> Sequence[int]:
    """Return the ids of all domains that the warehouse has anything of, in order."""
    return _domains_of(reader, DOMAINS, LINKS, CLICKS)


def count_domains() -> int:
    """Return how many rows the table of domains has; 0 if there is none yet."""
    with reading() as reader:
        return sum(_column(reader, f"SELECT count(*) FROM {{dataset}}.{DOMAINS.name}"))


def hosts(at_most: float | None = None) -> Mapping[int, Sequence[str]]:
    """Return the spellings of each domain's host, by its id; none before they are loaded.

    The first one is that which people read, another that of DNS (punycode) where it differs. A
    warehouse that others use is waited for; `at_most` so many seconds.
    """
    if not configured_warehouse().exists():
        return {}
    with reading(at_most) as reader:
        return hosts_in(reader)


def hosts_in(reader: Reader) -> Mapping[int, Sequence[str]]:
    """Return the same with a reader at hand."""
    try:
        rows = reader.rows(
            f"SELECT id, unicode_hostname, hostname FROM {{dataset}}.{DOMAINS.name} ORDER BY id"
        )
    except DatabaseUndefinedRelation:
        return {}
    known = {domain: [*dict.fromkeys(filter(None, spelled))] for domain, *spelled in rows}
    return {domain: spelled for domain, spelled in known.items() if spelled}


def _domains_of(reader: Reader, *tables: Table) -> Sequence[int]:
    """Return the ids of domains in these tables, in order; any of them may be missing."""
    found: set[int | None] = set()
    for table in tables:
        column = "id" if table is DOMAINS else "domain_id"
        found |= {*_column(reader, f"SELECT DISTINCT {column} FROM {{dataset}}.{table.name}")}
    return sorted(domain for domain in found if domain is not None)


def _column(reader: Reader, query: str) -> Sequence[int]:
    """Return the values of a query's one column; none if its table is missing."""
    try:
        return [value for (value,) in reader.rows(query)]
    except DatabaseUndefinedRelation:
        return []
