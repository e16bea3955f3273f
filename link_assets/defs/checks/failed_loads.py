"""Evaluates the checks of a run whose load fails, in the load's own step.

Dagster skips the checks of a table whose load fails, and they would stay "planned" in the UI. The
assets call this before they raise what the load failed with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import dagster as dg

from link_assets.defs.checks.all_checks import TABLES
from link_assets.defs.checks.check import CheckResult
from link_assets.defs.checks.scope import planned_checks, scope_of_failed_load
from link_assets.defs.checks.table_checks import CheckRun, TableChecks
from link_assets.defs.failures import kind_and_place
from link_assets.defs.translator import asset_key
from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable, find_cause


def checked_after_failure(
    context: dg.AssetExecutionContext,
    failed: Collection[dg.AssetKey],
    errors: Iterable[BaseException],
    domains: Sequence[str] = (),
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluate the checks that Dagster skips in this run because the load of assets fails.

    An error in here is logged and not raised: the load's own failure is the one to raise.

    Args:
        context: That of the load's step.
        failed: The assets whose load fails.
        errors: What it fails with.
        domains: Those that it was to load.
    """
    try:
        planned = {*planned_checks(context.instance, context.run.run_id)}
        scope = scope_of_failed_load(context.instance, context.run.run_id, domains)
        for table in TABLES:
            keys = planned & table.by_key.keys()
            run = CheckRun(table, context.instance, scope, _why_unusable(errors))
            own = asset_key(table.table) in failed
            results = run.results(keys) if own else _not_reached(table, failed, keys)
            for key, found in results:
                yield found.evaluation(key, table.by_key[key].severity)
    except Exception as error:  # noqa: BLE001 - it would hide the failure of the load
        context.log.warning(f"Checks could not be evaluated: {kind_and_place(error)}.")


def _not_reached(
    table: TableChecks, failed: Collection[dg.AssetKey], keys: Iterable[dg.AssetCheckKey]
) -> Iterator[tuple[dg.AssetCheckKey, CheckResult]]:
    """Yield that nothing was judged, if the run would have loaded the table after what failed."""
    if not set(failed).isdisjoint(map(asset_key, table.loaded_after)):
        reason = f"the run failed before the {table.table.name} were loaded."
        yield from ((key, CheckResult.not_judged(reason)) for key in keys)


def _why_unusable(errors: Iterable[BaseException]) -> str:
    """Return what kept the load from the warehouse, so that nobody waits for it again."""
    causes = (find_cause(e, kind) for e in errors for kind in (WarehouseBusy, WarehouseUnusable))
    return next((str(cause) for cause in causes if cause), "")
