"""Columns: what undocumented fields are called, and a table's Arrow schema."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa
from dlt.common.normalizers.naming.snake_case import NamingConvention

from link_assets.contract import DataType, Table

ARROW_TYPES: dict[DataType, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}

# Leaves room for the suffix within 63 characters, the shortest limit of dlt's destinations.
_NAMING = NamingConvention(max_length=52)


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns in order. All but the key may be null: the contract is no constraint."""
    return pa.schema(
        pa.field(f.column, ARROW_TYPES[f.data_type], nullable=f.column not in table.primary_key)
        for f in table.columns
    )


def column_names(
    raw_names: Iterable[str], table: Table, reserved: Iterable[str] = (), parent: str = ""
) -> dict[str, str]:
    """One column for each field of an object, no two alike, whatever the order of the names.

    Documented fields get their documented column. Any other gets the name dlt would give it, or
    that name and a hash of its own where it would be taken for something else: another column of
    the table, a `reserved` name, one of dlt's own columns, or another field of the same object.
    `parent` names the field that holds the object.
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
            # The field spelled exactly so keeps the name whichever others a page brings along.
            own = raw == name or (len(raws) == 1 and not _is_mute(raw))
            names[raw] = name if free and own else _told_apart(name, raw)
    return names


def _normalized(raw: str, parent: str) -> str:
    # dlt hashes long names as UTF-8, which half a surrogate pair would break.
    encodable = raw.encode(errors="backslashreplace").decode()
    path = [parent] * bool(parent) + [encodable if encodable.strip() else "_"]
    return _NAMING.shorten_fragments(*map(_NAMING.normalize_identifier, path))


def _is_mute(raw: str) -> bool:
    """Whether dlt keeps no character of the name, so that all such names would look alike."""
    return not re.search("[A-Za-z0-9]", raw)


def _told_apart(name: str, raw: str) -> str:
    return f"{name}__x{blake2b(raw.encode(errors='surrogatepass'), digest_size=4).hexdigest()}"
