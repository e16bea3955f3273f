"""The SQL that rows are of some domains."""

from __future__ import annotations

from collections.abc import Iterable


def of_domains(domains: Iterable[int | str], row: str | None = None) -> str:
    """Return the SQL condition that the rows, of the table alias `row`, are of these domains.

    Without domains, no row matches.
    """
    column = f"{row}.domain_id" if row else "domain_id"
    return f"{column} IN ({', '.join(map(str, domains)) or 'NULL'})"
