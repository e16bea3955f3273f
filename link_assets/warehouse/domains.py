"""The domains in the warehouse: their ids, and their hosts for people to read.

The partitions come from here, and the names that messages give to domains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DOMAINS, LINKS
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import Reader, reading

EXAMPLES = 5
"""How many domains a message names."""


class UnknownDomain(LookupError):
    """The warehouse has no such domain; the message says which it has."""


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


def find_domains(reader: Reader, spelled: Iterable[str]) -> Sequence[int]:
    """Return the ids of domains that are given by id or host, in order.

    Raises:
        UnknownDomain: Nothing in the warehouse is of such a domain.
    """
    known = _domains_by_spelling(reader)
    found: set[int] = set()
    for text in spelled:
        if (ids := known.get(text.strip().lower())) is None:
            examples = ", ".join(list(known)[:EXAMPLES]) or "none"
            raise UnknownDomain(
                f"There is no domain {text!r} in the warehouse: give the id or host of one that "
                f"is, such as {examples}."
            )
        found |= ids
    return sorted(found)


def _domains_by_spelling(reader: Reader) -> Mapping[str, set[int]]:
    """Return the ids of domains by their hosts, as DNS and people spell them, and by their id."""
    known: defaultdict[str, set[int]] = defaultdict(set)
    try:
        rows = reader.rows(f"SELECT id, hostname, unicode_hostname FROM {{dataset}}.{DOMAINS.name}")
    except DatabaseUndefinedRelation:
        rows = []
    for domain, *spellings in rows:
        for host in filter(None, spellings):
            known[host.lower()].add(domain)
    # clicks and links may be loaded without the table of domains
    for table, column in ((DOMAINS, "id"), (LINKS, "domain_id"), (CLICKS, "domain_id")):
        for domain in _column(reader, f"SELECT DISTINCT {column} FROM {{dataset}}.{table.name}"):
            known[str(domain)].add(domain)
    return known


def _column(reader: Reader, query: str) -> Sequence[int]:
    """Return the values of a query's one column; none if its table is missing."""
    try:
        return [value for (value,) in reader.rows(query)]
    except DatabaseUndefinedRelation:
        return []
