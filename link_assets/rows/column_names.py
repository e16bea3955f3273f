"""The column of each field.

Documented fields have the contract's columns. Undocumented ones are named as dlt would name them,
but so that no two fields share a column. `links`, `clicks` and `clicks_arrow` call it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

from dlt.common.normalizers.naming.snake_case import NamingConvention

from link_assets.contract import Table

_NAMING = NamingConvention(max_length=52)
"""Leaves room for a suffix within 63 characters: of dlt's destinations, PostgreSQL takes fewest."""


def column_names(
    raw_names: Iterable[str], table: Table, reserved: Iterable[str] = (), parent: str = ""
) -> dict[str, str]:
    """Return the column of each field of an object: no two alike, in any order of names.

    A documented field gets the contract's column. Any other gets the name that dlt would give it.
    A hash of the field's own name is added where that name is taken: by another column of the
    table, by one of dlt's own, by a reserved one or by another field of the same object.

    Args:
        raw_names: The fields' names in JSON.
        table: The table of the contract that the object belongs to.
        reserved: Columns that the table has besides those of the contract.
        parent: The field that holds the object, for an object within a row.
    """
    prefix = f"{parent}." if parent else ""
    documented = {field.name: field.column for field in table.fields}
    taken = {*reserved, *(field.column for field in table.columns)}
    names: dict[str, str] = {}
    unknown: defaultdict[str, list[str]] = defaultdict(list)
    for raw in set(raw_names):
        path = prefix + raw
        if raw and "." not in raw and path in documented:
            names[raw] = documented[path]
        else:
            unknown[_normalized(raw, parent)].append(raw)
    for name, raws in unknown.items():
        free = name not in taken and not name.startswith("_dlt")
        for raw in raws:
            # a field that is spelled exactly so keeps the name, whichever others come with it
            own = raw == name or (len(raws) == 1 and not _is_mute(raw))
            names[raw] = name if free and own else _with_hash(name, raw)
    return names


def _normalized(raw: str, parent: str) -> str:
    # dlt hashes long names as UTF-8, in which half a surrogate pair has no spelling
    encodable = raw.encode(errors="backslashreplace").decode()
    path = [parent] * bool(parent) + [encodable if encodable.strip() else "_"]
    return _NAMING.shorten_fragments(*map(_NAMING.normalize_identifier, path))


def _is_mute(raw: str) -> bool:
    """Return whether dlt keeps no character of the name, so that all such names look alike."""
    return not re.search("[A-Za-z0-9]", raw)


def _with_hash(name: str, raw: str) -> str:
    return f"{name}__x{blake2b(raw.encode(errors='surrogatepass'), digest_size=4).hexdigest()}"
