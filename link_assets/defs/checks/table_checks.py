"""Every check, those of a table in one step: a step costs more than most checks.

Dagster skips the checks of a table whose load fails. They are then evaluated by the load's step.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import dagster as dg

from link_assets.contract import CLICKS, LINKS, Table
from link_assets.defs.checks.check import Check, CheckResult, no_table
from link_assets.defs.checks.last_loads import (
    CLICKS_LOAD_CHECKS,
    CLICKS_VOLUME_CHECKS,
    LINKS_LOAD_CHECKS,
    Known,
    LastLoads,
    LoadsCheck,
    VolumeCheck,
    clicks_last_loads,
    in_loads,
    in_volume,
    known_problems,
    links_last_load,
)
from link_assets.defs.checks.row_checks import (
    CLICKS_DATA_CHECKS,
    LINKS_DATA_CHECKS,
    RowsCheck,
    in_rows,
)
from link_assets.defs.checks.scope import Scope, planned_checks, scope_of_failed_load, scope_of_run
from link_assets.defs.failures import explanation, find_cause, kind_and_place
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.reader import Reader, reading

Found = Iterator[tuple[str, CheckResult]]
"""What checks find, by their names."""


@dataclass(frozen=True)
class TableChecks:
    """The checks of a table."""

    table: Table
    asset_key: dg.AssetKey
    last_loads: Callable[
        [dg.DagsterInstance, Scope, Mapping[str, Known]], Callable[[str], LastLoads]
    ]
    on_loads: Sequence[LoadsCheck]
    on_rows: Sequence[RowsCheck]
    on_volume: Sequence[VolumeCheck] = ()

    @property
    def checks(self) -> dict[dg.AssetCheckKey, Check[...]]:
        """All of them, by their keys."""
        every: Sequence[Check[...]] = (*self.on_loads, *self.on_rows, *self.on_volume)
        return {dg.AssetCheckKey(self.asset_key, check.name): check for check in every}

    def step(self) -> dg.AssetChecksDefinition:
        """All of them as one step; if one cannot be judged the step fails, after all results."""
        specs = [
            dg.AssetCheckSpec(check.name, asset=self.asset_key, description=check.description)
            for check in self.checks.values()
        ]

        @dg.multi_asset_check(name=f"{self.table.name}_checks", specs=specs, can_subset=True)
        def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            scope = scope_of_run(context.instance, context.run.run_id, self.asset_key)
            look = Look(self, context.instance, scope)
            for key, finding in look.at(context.selected_asset_check_keys):
                yield finding.result(key, self.checks[key].severity)
            if look.errors:
                raise look.errors[0]

        return run_checks


@dataclass(frozen=True)
class Look:
    """One evaluation of a table's checks."""

    table_checks: TableChecks
    instance: dg.DagsterInstance
    scope: Scope
    unusable: str = ""
    """Why the warehouse cannot be read, if that is known before."""
    errors: list[Exception] = field(default_factory=list)
    """Why checks could not be judged."""

    def at(
        self, keys: Iterable[dg.AssetCheckKey]
    ) -> Iterator[tuple[dg.AssetCheckKey, CheckResult]]:
        """What each of these checks finds, or why it cannot be judged."""
        by_name = {key.name: key for key in keys}
        try:
            for name, finding in self._found(set(by_name)):
                told = "The load of this run failed; this is what there is now."
                told = told if self.scope.load_failed and finding.judged else ""
                yield by_name.pop(name), finding.adding(told)
        except Exception as error:  # noqa: BLE001 - told with each check that is left
            self.errors.append(error)
            for key in by_name.values():
                yield key, CheckResult.not_judged(_reason(error))

    def _found(self, wanted: set[str]) -> Found:
        checks, instance = self.table_checks, self.instance
        on_loads = [check for check in checks.on_loads if check.name in wanted]
        on_volume = [check for check in checks.on_volume if check.name in wanted]
        finds: dict[str, Callable[[Reader], CheckResult]] = {}
        if on_loads or on_volume:
            known = self._known([*on_loads, *on_volume])
            last = checks.last_loads(instance, self.scope, known)
            # told before the warehouse is asked, which may not be had
            yield from self._each({c.name: partial(in_loads, last, c) for c in on_loads})
            finds |= in_volume(last, on_volume)
        on_rows = [check for check in checks.on_rows if check.name in wanted]
        finds |= in_rows(instance, self.scope, checks.table, checks.asset_key, on_rows)
        yield from self._in_warehouse(finds)

    def _known(self, checks: Iterable[Check[...]]) -> dict[str, Known]:
        """What each of these checks knows of domains that this run does not load."""
        if self.scope.is_whole or not self.scope.domains:
            return {}
        key = self.table_checks.asset_key
        return {
            check.name: known_problems(self.instance, dg.AssetCheckKey(key, check.name))
            for check in checks
        }

    def _in_warehouse(self, finds: Mapping[str, Callable[[Reader], CheckResult]]) -> Found:
        if self.unusable:
            yield from ((name, CheckResult.not_judged(self.unusable)) for name in finds)
        elif not configured_warehouse().exists():  # looking would make it
            yield from ((name, no_table(self.table_checks.table.name)) for name in finds)
        elif finds:
            with reading() as reader:
                found = list(self._each({name: partial(f, reader) for name, f in finds.items()}))
            yield from found

    def _each(self, finds: Mapping[str, Callable[[], CheckResult]]) -> Found:
        for name, find in finds.items():
            try:
                finding = find()
            except Exception as error:  # noqa: BLE001 - raised when all are told
                self.errors.append(error)
                finding = CheckResult.not_judged(_reason(error))
            yield name, finding


def _reason(error: BaseException) -> str:
    """Why something could not be judged, without what the error quotes."""
    known = explanation(error, "the checks")
    return str(known.description) if known else f"{kind_and_place(error)}."


TABLES = (
    TableChecks(LINKS, LINKS_KEY, links_last_load, LINKS_LOAD_CHECKS, LINKS_DATA_CHECKS),
    TableChecks(
        CLICKS,
        CLICKS_KEY,
        clicks_last_loads,
        CLICKS_LOAD_CHECKS,
        CLICKS_DATA_CHECKS,
        CLICKS_VOLUME_CHECKS,
    ),
)
CHECKS = [table.step() for table in TABLES]


def checked_after_failure(
    context: dg.AssetExecutionContext,
    asset_key: dg.AssetKey,
    errors: Iterable[BaseException],
    domains: Sequence[str] = (),
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluates the checks that Dagster skips in this run, since the load of the asset fails.

    `errors` are what it fails with, and `domains` those it was to load. What fails in here is
    logged: the load's own failure is the one to raise.
    """
    try:
        planned = {*planned_checks(context.instance, context.run.run_id)}
        scope = scope_of_failed_load(context.instance, context.run.run_id, domains)
        for table in TABLES:
            keys = planned & table.checks.keys()
            look = Look(table, context.instance, scope, _why_unusable(errors))
            # the clicks are loaded after the links, so without links there are none of this run
            own = table.asset_key == asset_key
            found = look.at(keys) if own else _not_reached(asset_key, keys)
            for key, finding in found:
                yield finding.evaluation(key, table.checks[key].severity)
    except Exception as error:  # noqa: BLE001 - it would hide the failure of the load
        context.log.warning(f"Checks could not be evaluated: {kind_and_place(error)}.")


def _not_reached(
    failed: dg.AssetKey, keys: Iterable[dg.AssetCheckKey]
) -> Iterator[tuple[dg.AssetCheckKey, CheckResult]]:
    if failed == LINKS_KEY:
        reason = "the run failed before the clicks were loaded."
        yield from ((key, CheckResult.not_judged(reason)) for key in keys)


def _why_unusable(errors: Iterable[BaseException]) -> str:
    """What kept the load from the warehouse, so that nobody waits for it again."""
    causes = (find_cause(e, kind) for e in errors for kind in (WarehouseBusy, WarehouseUnusable))
    return next((str(cause) for cause in causes if cause), "")
