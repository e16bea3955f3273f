"""Rows without lists or objects of their own, parsed to Python objects, as rows by column name.

Domains and folders are such rows; `source` calls it row by row.
"""

from __future__ import annotations

from typing import Any

from link_assets.contract import DataType, Table
from link_assets.rows.column_names import column_names
from link_assets.rows.convert import UnreadableValue, as_text, convert_value
from link_assets.rows.links import loadable
from link_assets.rows.rejected import Rejection, reject, unusable


def flat_row(row: Any, table: Table) -> dict[str, Any] | Rejection:
    """Return the row by column name, or its rejection if a value cannot be read.

    Every documented column is there. Undocumented fields are text (other values as their JSON
    text), secret ones are left out. A row without its key is rejected.
    """
    if not isinstance(row, dict):
        return reject(row, [unusable(row)])
    types: dict[str, DataType] = {field.column: field.data_type for field in table.fields}
    flat: dict[str, Any] = dict.fromkeys(types)
    problems: list[str] = []
    names = column_names(row.keys() - set(table.secret), table)
    for name, column in names.items():
        known, value = types.get(column), row[name]
        try:
            flat[column] = loadable(convert_value(value, known) if known else as_text(value))
        except UnreadableValue as unreadable:
            problems.append(f"{name}: {unreadable}")
    if not problems:
        problems = [f"{key}: is missing" for key in table.primary_key if flat[key] is None]
    return reject(row, problems) if problems else flat
