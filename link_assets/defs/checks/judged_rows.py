"""Which rows of a table a check looks at: all, or those loaded since it last looked.

A run that loads a table looks only at what was loaded since the last evaluation: tables grow, and
runs should not cost more for it. A run without a load looks at every row; if that finds something,
every run does, until it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from link_assets.contract import Table
from link_assets.defs.checks.check import Check, CheckResult, found_in_tables
from link_assets.defs.checks.scope import EVALUATIONS_BACK, Scope, began, evaluations
from link_assets.defs.translator import asset_key
from link_assets.warehouse.reader import Reader

ROWS_SINCE = "rows_loaded_since"
"""The metadata that says from when on loads were looked at; absent if all rows were."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table: all, or those of loads that began at `since` (Unix time) or later."""

    table: Table
    since: int | None = None

    def are(self, row: str) -> str:
        """Return the SQL condition that `row`, an alias of the table, is one of them."""
        # a load's id is the time at which it began, as text
        return "TRUE" if self.since is None else f"{row}._dlt_load_id >= '{self.since}'"

    def named_in(self, found: CheckResult) -> CheckResult:
        """Return the result with the rows that were looked at."""
        if self.since is None:
            return found.adding("Looked at all rows.")
        since = datetime.fromtimestamp(self.since, UTC)
        shown = {ROWS_SINCE: dg.MetadataValue.timestamp(since)}
        return found.adding(f"Looked at the rows loaded since {since:%Y-%m-%d %H:%M} UTC.", shown)


class RowsCheck(Check[[Reader, Rows]]):
    """A check of a table's rows, or of its columns."""

    def result_in(self, rows: Rows, reader: Reader) -> CheckResult:
        """Return what the check finds, or that a table is missing."""
        found = found_in_tables(lambda: self.find(reader, rows), rows.table.name)
        return rows.named_in(found)


def in_rows(
    instance: dg.DagsterInstance, scope: Scope, table: Table, checks: Sequence[RowsCheck]
) -> dict[str, Callable[[Reader], CheckResult]]:
    """Return, by name of a check, the function that judges the rows of this scope."""
    keys = {check: dg.AssetCheckKey(asset_key(table), check.name) for check in checks}
    rows = {check: Rows(table, _since(instance, key, scope)) for check, key in keys.items()}
    return {check.name: partial(check.result_in, rows[check]) for check in checks}


def _since(instance: dg.DagsterInstance, key: dg.AssetCheckKey, scope: Scope) -> int | None:
    """Return from when on loads are looked at, in Unix time; None for all rows.

    What was loaded since the last evaluation's run began is included: a run that failed in between
    may not have been checked.
    """
    # if all rows were looked at longer ago than that, they are looked at again
    known = evaluations(instance, key, EVALUATIONS_BACK)
    whole = next((n for n, (_, e) in enumerate(known) if ROWS_SINCE not in e.metadata), None)
    if scope.began is None or whole is None or not all(e.passed for _, e in known[: whole + 1]):
        return None
    last_run, _ = known[0]
    last_began = began(instance, last_run)
    return None if last_began is None else min(scope.began, last_began)
