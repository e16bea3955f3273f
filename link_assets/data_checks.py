"""Checks on the rows of the tables.

In a run that loads a table only what was loaded of late is looked at, since tables grow and runs
should not cost more for it. A run without a load looks at every row; if that finds something,
other runs do, too, until it is mended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg

from link_assets.contract import LINKS, Table
from link_assets.findings import Check, Finding, found_in_tables
from link_assets.warehouse import Reader

ROWS_SINCE = "rows_loaded_since"
REMEMBERED = 100
"""How many evaluations back a look at all rows may be before there has to be one again."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table: all, or those of loads that began at `since` (Unix time) or later."""

    table: Table
    since: int | None = None

    def are(self, row: str) -> str:
        """The SQL condition that `row`, an alias of the table, is one of them."""
        # a load's id is the time at which it began, as text
        return "TRUE" if self.since is None else f"{row}._dlt_load_id >= '{self.since}'"

    @property
    def told(self) -> dict[str, dg.MetadataValue]:
        """As shown with what was found."""
        if self.since is None:
            return {}
        return {ROWS_SINCE: dg.MetadataValue.timestamp(float(self.since))}


def missing_values(reader: Reader, rows: Rows) -> Finding:
    """Required columns that are null in some row."""
    table = rows.table
    columns = [c for c in table.required if c not in table.primary_key] + list(table.primary_key)
    counts = ", ".join(f"count(*) - count({column})" for column in columns)
    (missing,) = reader.rows(
        f"SELECT {counts} FROM {{dataset}}.{table.name} AS r WHERE {rows.are('r')}"
    )
    empty = {column: count for column, count in zip(columns, missing, strict=True) if count}
    if not empty:
        return Finding()
    listed = ", ".join(f"{column} ({count} rows)" for column, count in empty.items())
    return Finding(
        f"Columns that the API's guide calls required are empty: {listed}.",
        "Ask the API's provider, or treat these columns as optional in what you build on them.",
        empty,
    )


def repeated_keys(reader: Reader, rows: Rows) -> Finding:
    """Keys of the rows that stand in more than one row of the whole table."""
    name, columns = rows.table.name, rows.table.primary_key
    key = ", ".join(columns)
    among = "TRUE"
    if rows.since is not None:
        same = " AND ".join(f"r.{column} = t.{column}" for column in columns)
        among = f"EXISTS (SELECT 1 FROM {{dataset}}.{name} AS r WHERE {rows.are('r')} AND {same})"
    ((repeated,),) = reader.rows(
        f"SELECT count(*) FROM (SELECT {key} FROM {{dataset}}.{name} AS t WHERE {among}"
        f" GROUP BY {key} HAVING count(*) > 1) AS repeated"
    )
    if not repeated:
        return Finding()
    return Finding(
        f"{repeated} keys ({key}) stand in more than one row of {name}.",
        "Rows were written past the loader: delete them and materialize the asset again.",
        {"repeated_keys": repeated},
    )


def unknown_columns(reader: Reader, rows: Rows) -> Finding:
    """Columns that the guide does not list, whatever is in them."""
    known = {column.column for column in rows.table.columns}
    found = reader.columns(rows.table.name)
    unknown = sorted(c for c in found if c not in known and not c.startswith("_dlt_"))
    if not unknown:
        return Finding()
    return Finding(
        f"The API sends fields that its guide does not list: {', '.join(unknown)}.",
        "They are loaded as they come; add those you rely on to link_assets/contract.py.",
        {"unknown_columns": unknown},
    )


def unknown_links(reader: Reader, rows: Rows) -> Finding:
    """Redirecting clicks whose path belongs to no link of their domain."""
    ((clicks, unmatched),) = reader.rows(
        f"SELECT count(*), count(*) - count(l.path) FROM {{dataset}}.{rows.table.name} AS c"
        f" LEFT JOIN (SELECT DISTINCT domain_id, lower(path) AS path FROM {{dataset}}.{LINKS.name})"
        " AS l ON l.domain_id = c.domain_id AND l.path = ltrim(lower(c.path), '/')"
        f" WHERE c.st BETWEEN 300 AND 399 AND ltrim(c.path, '/') <> '' AND {rows.are('c')}"
    )
    metadata = {"redirects": clicks, "without_link": unmatched}
    if not unmatched:
        return Finding(metadata=metadata)
    return Finding(
        f"{unmatched} of {clicks} redirects went through links that are not in the links table.",
        "Materialize link_assets/links; if they stay, those links were deleted at the API.",
        metadata,
    )


WARN = dg.AssetCheckSeverity.WARN
RowsCheck = Check[[Reader, Rows]]
LINKS_DATA_CHECKS = (
    Check("required_columns", "Required columns are filled.", missing_values, WARN),
    Check("unique_keys", "No key stands in two rows.", repeated_keys),
    Check("no_unknown_columns", "Every column is in the guide.", unknown_columns, WARN),
)
CLICKS_DATA_CHECKS = (
    *LINKS_DATA_CHECKS,
    Check("known_links", "Redirects go through known links.", unknown_links, WARN),
)


def in_rows(
    instance: dg.DagsterInstance,
    run_id: str,
    table: Table,
    asset_key: dg.AssetKey,
    checks: Sequence[RowsCheck],
) -> dict[str, Callable[[Reader], Finding]]:
    """By name of a check, what it has to find in a run, in the rows that it is to look at there."""
    if not checks:
        return {}
    began = _began_to_load(instance, run_id, asset_key)
    keys = {check: dg.AssetCheckKey(asset_key, check.name) for check in checks}
    rows = {check: Rows(table, _since(instance, key, began)) for check, key in keys.items()}
    return {check.name: partial(_find, check, rows[check]) for check in checks}


def _find(check: RowsCheck, rows: Rows, reader: Reader) -> Finding:
    found = found_in_tables(partial(check.find, reader, rows), rows.table.name)
    return found.with_metadata(rows.told)


def _began_to_load(instance: dg.DagsterInstance, run_id: str, asset_key: dg.AssetKey) -> int | None:
    """When a run that materialized the asset began, in whole seconds; None if it did not."""
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    loaded = any(record.asset_key == asset_key for record in found.records)
    return _began(instance, run_id) if loaded else None


def _began(instance: dg.DagsterInstance, run_id: str) -> int | None:
    record = instance.get_run_record_by_id(run_id)
    return int(record.start_time) if record and record.start_time else None


def _since(instance: dg.DagsterInstance, key: dg.AssetCheckKey, began: int | None) -> int | None:
    """From when on loads are to be looked at in a run that began to load then; None: all.

    Also what was loaded since the last evaluation's run began: a run that failed checked nothing.
    """
    evaluations = _evaluations(instance, key)
    whole = next((n for n, (_, e) in enumerate(evaluations) if ROWS_SINCE not in e.metadata), None)
    if began is None or whole is None or not all(e.passed for _, e in evaluations[: whole + 1]):
        return None
    last_run, _ = evaluations[0]
    last_began = _began(instance, last_run)
    return None if last_began is None else min(began, last_began)


def _evaluations(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey
) -> list[tuple[str, dg.AssetCheckEvaluation]]:
    """The last evaluations of a check, each after its run's id, the latest first."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=REMEMBERED)
    # Dagster has them in the order in which they were planned
    ended = [
        (record.event.timestamp, record.run_id, record.evaluation)
        for record in history
        if record.event
        and record.event.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        and record.evaluation
    ]
    return [(run, e) for _, run, e in sorted(ended, key=lambda end: end[0], reverse=True)]
