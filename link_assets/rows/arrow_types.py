"""The Arrow type of each column, and a table's Arrow schema."""

from __future__ import annotations

import pyarrow as pa

from link_assets.contract import DataType, Table

ARROW_TYPES: dict[DataType, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the table's columns in order. All but those of its key may be null."""
    return pa.schema(
        pa.field(f.column, ARROW_TYPES[f.data_type], nullable=f.column not in table.primary_key)
        for f in table.columns
    )
