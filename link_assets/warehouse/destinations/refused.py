"""Destinations of dlt that cannot be a warehouse, each with the reason that users are given.

`configured.py` asks for the reason when the settings name anything that it has no class for.
"""

from __future__ import annotations

from collections.abc import Collection

from link_assets.settings import SettingsError, environment_name

SETTING = "destination_type"
"""dlt's setting that names the kind of the destination."""

_OF_SQLALCHEMY = "reads, merges and checks fail in SQLite and MySQL, whose SQL is another"
_OF_T_SQL = "rows are read with LIMIT and put into CREATE TEMPORARY TABLE, which T-SQL has not"
_OF_NO_TEMPORARY = "it has no temporary tables, and days that changed are found in one"
_OF_VECTORS = "a vector store has no SQL to read and change rows with"
REASONS = {
    "sqlalchemy": _OF_SQLALCHEMY,
    "sqlite": _OF_SQLALCHEMY,
    "mysql": _OF_SQLALCHEMY,
    "filesystem": "nothing in plain files can be replaced or deleted, and clicks and links are",
    "mssql": _OF_T_SQL,
    "synapse": _OF_T_SQL,
    "fabric": _OF_T_SQL,
    "athena": _OF_NO_TEMPORARY,
    "dremio": _OF_NO_TEMPORARY,
    "lance": _OF_VECTORS,
    "lancedb": _OF_VECTORS,
    "qdrant": _OF_VECTORS,
    "weaviate": _OF_VECTORS,
    "destination": "a function takes rows and cannot say where a load stands",
    "dummy": "it keeps nothing",
}
"""By name, as people may give it, why it is no warehouse."""


def refusal(name: str, usable: Collection[str]) -> SettingsError:
    """Return the error for a destination that is none of those that are usable."""
    reason = REASONS.get(name, "no such type is known here, and names of your own are not followed")
    return SettingsError(
        f"{environment_name(SETTING)} must be one of {', '.join(usable)}, and not {name!r}: "
        f"{reason}. docs/warehouses.md says which of them were tried."
    )
