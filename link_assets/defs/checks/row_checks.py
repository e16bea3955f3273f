"""Are required columns filled, keys unique and columns known? Three checks of a table's rows.

These checks are the same for every table that is loaded from the API.
"""

from __future__ import annotations

import dagster as dg

from link_assets.defs.checks.check import CheckResult, counted, listed
from link_assets.defs.checks.judged_rows import Rows, RowsCheck
from link_assets.source.dialects.configured import dialect_type
from link_assets.warehouse.reader import Reader


def missing_values(reader: Reader, rows: Rows) -> CheckResult:
    """Find required columns that are null in some row; those that the API never fills may be."""
    table = rows.table
    not_required = {*table.primary_key, *dialect_type().absent}
    columns = [c for c in table.required if c not in not_required] + list(table.primary_key)
    counts = ", ".join(f"count(*) - count({column})" for column in columns)
    ((total, *missing),) = reader.rows(
        f"SELECT count(*), {counts} FROM {{dataset}}.{table.name} AS r WHERE {rows.are('r')}"
    )
    empty = {column: count for column, count in zip(columns, missing, strict=True) if count}
    looked_at = f"{counted(total, 'row')} judged."
    if not empty:
        return CheckResult(metadata={"judged": total}, looked_at=looked_at)
    columns = ", ".join(f"{column} ({count} rows)" for column, count in empty.items())
    return CheckResult(
        f"Columns that the API's guide calls required are empty: {columns}.",
        "Ask the API's provider, or treat these columns as optional in what you build on them.",
        {"judged": total, **empty},
        looked_at,
    )


def repeated_keys(reader: Reader, rows: Rows) -> CheckResult:
    """Find keys of these rows that stand in more than one row of the whole table.

    Where rows are replaced together, those that belong together are looked at.
    """
    name, columns = rows.table.name, rows.table.primary_key
    key = ", ".join(columns)
    among = "TRUE"
    if rows.since is not None:
        same = " AND ".join(f"r.{column} = t.{column}" for column in rows.table.filled)
        among = f"EXISTS (SELECT 1 FROM {{dataset}}.{name} AS r WHERE {rows.are('r')} AND {same})"
    ((total, repeated),) = reader.rows(
        "SELECT count(*), count(CASE WHEN times > 1 THEN 1 END) FROM (SELECT count(*) AS times"
        f" FROM {{dataset}}.{name} AS t WHERE {among} GROUP BY {key}) AS counted"
    )
    numbers = {"judged": total, "repeated_keys": repeated}
    looked_at = f"{counted(total, 'key')} judged."
    if not repeated:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    return CheckResult(
        f"{repeated} keys ({key}) stand in more than one row of {name}.",
        "Rows were written past the loader: delete them and materialize the asset again.",
        numbers,
        looked_at,
    )


def unknown_columns(reader: Reader, rows: Rows) -> CheckResult:
    """Find columns that neither the guide nor the API's own documents list, even if empty."""
    known = {column.column for column in rows.table.columns}
    known.update(dialect_type().documented_columns(rows.table))
    found = [c for c in reader.columns(rows.table.name) if not c.startswith("_dlt_")]
    unknown = sorted(set(found) - known)
    numbers = {"judged": len(found), "unknown": len(unknown)}
    looked_at = f"{counted(len(found), 'column')} judged."
    if not unknown:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    return CheckResult(
        f"The API sends fields that its guide does not list: {listed(unknown)}.",
        "They are loaded as they come; add those you rely on to link_assets/contract.py.",
        {**numbers, "unknown_columns": unknown},
        looked_at,
    )


REQUIRED_COLUMNS = RowsCheck(
    "required_columns",
    "Required columns are filled.",
    missing_values,
    dg.AssetCheckSeverity.WARN,
)
UNIQUE_KEYS = RowsCheck("unique_keys", "No key stands in two rows.", repeated_keys)
NO_UNKNOWN_COLUMNS = RowsCheck(
    "no_unknown_columns",
    "Every column is in the guide.",
    unknown_columns,
    dg.AssetCheckSeverity.WARN,
)
