"""Runs the checks of a table: all in one step, because a step costs more than most checks.

`all_checks` says which checks a table has. A check that cannot be judged says why and leaves the
others alone.
"""

# Dagster resolves the annotations of a check's function: no `from __future__ import annotations`
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar

import dagster as dg

from link_assets.contract import Table
from link_assets.defs.checks.check import Check, CheckResult, no_table
from link_assets.defs.checks.judged_rows import RowsCheck, in_rows
from link_assets.defs.checks.last_loads import (
    ComparedRowsCheck,
    Known,
    LastLoads,
    LoadedRowsCheck,
    LoadsCheck,
    LoadsOf,
    LoadsReader,
    known_problems,
)
from link_assets.defs.checks.scope import Scope, scope_of_run
from link_assets.defs.domain_names import domain_names
from link_assets.defs.failures import explanation, kind_and_place
from link_assets.defs.translator import asset_key
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import Reader, reading

Kind = TypeVar("Kind", bound=Check[...])
Find = Callable[[Reader], CheckResult]
"""Finds something in the warehouse."""
Results = Iterator[tuple[str, CheckResult]]
"""What checks find, by their names."""
NAMES_SECONDS = 5
"""How long to wait for a warehouse that others use, for the sake of the domains' hosts alone."""


@dataclass(frozen=True)
class TableChecks:
    """The checks of a table.

    `last_loads` reads when the table was loaded last; `loaded_after` are the tables whose assets
    a run loads before this one.
    """

    table: Table
    last_loads: LoadsReader
    checks: Sequence[LoadsCheck | LoadedRowsCheck | ComparedRowsCheck | RowsCheck]
    loaded_after: Sequence[Table] = ()

    @property
    def by_key(self) -> dict[dg.AssetCheckKey, Check[...]]:
        """Return the checks by their keys."""
        key = asset_key(self.table)
        return {dg.AssetCheckKey(key, check.name): check for check in self.checks}

    def step(self) -> dg.AssetChecksDefinition:
        """Return one step for all checks, which yields every result before it fails, if it does."""
        key = asset_key(self.table)
        specs = [
            dg.AssetCheckSpec(check.name, asset=key, description=check.description)
            for check in self.checks
        ]

        @dg.multi_asset_check(name=f"{self.table.name}_checks", specs=specs, can_subset=True)
        def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            scope = scope_of_run(context.instance, context.run.run_id, key)
            run = CheckRun(self, context.instance, scope)
            for check_key, found in run.results(context.selected_asset_check_keys):
                yield found.result(check_key, self.by_key[check_key].severity)
            if run.errors:
                raise run.errors[0]

        return run_checks


@dataclass(frozen=True)
class CheckRun:
    """One evaluation of a table's checks."""

    table_checks: TableChecks
    instance: dg.DagsterInstance
    scope: Scope
    unusable: str = ""
    """Why the warehouse cannot be read, if the load has found that out."""
    errors: list[Exception] = field(default_factory=list)
    """Why checks could not be judged."""

    def results(
        self, keys: Iterable[dg.AssetCheckKey]
    ) -> Iterator[tuple[dg.AssetCheckKey, CheckResult]]:
        """Yield what each of these checks finds, or why it cannot be judged."""
        by_name = {key.name: key for key in keys}
        try:
            for name, found in self._results(set(by_name)):
                failed = self.scope.load_failed and found.judged
                note = "The load of this run failed; this is what there is now." if failed else ""
                yield by_name.pop(name), found.adding(note)
        except Exception as error:  # noqa: BLE001 - given as the reason of each check that is left
            self.errors.append(error)
            for key in by_name.values():
                yield key, CheckResult.not_judged(_reason(error))

    def _results(self, wanted: set[str]) -> Results:
        """Yield what checks find, first those that do not need the warehouse, which may be busy."""
        on_loads, on_loaded_rows = self._of(LoadsCheck, wanted), self._of(LoadedRowsCheck, wanted)
        compared = self._of(ComparedRowsCheck, wanted)
        finds: dict[str, Find] = {}
        asks: dict[str, Callable[[], Find]] = {}
        if on_loads or on_loaded_rows or compared:
            known = self._known([*on_loads, *on_loaded_rows, *compared])
            table = self.table_checks.table
            last = self.table_checks.last_loads(self.instance, table, self.scope, known)
            last = self._with_names(last)
            yield from self._each({c.name: partial(c.result_of, last) for c in on_loads})
            finds |= {c.name: partial(c.result_in, last(c.name)) for c in on_loaded_rows}
            asks |= {c.name: partial(c.asked, last(c.name)) for c in compared}
        on_rows = self._of(RowsCheck, wanted)
        finds |= in_rows(self.instance, self.scope, self.table_checks.table, on_rows)
        yield from self._in_warehouse(finds, asks)

    def _with_names(self, last: LoadsOf) -> LoadsOf:
        """Return the same last loads with the names of their domains, which are read once."""
        if self.unusable:
            return last
        names = cache(lambda: domain_names(NAMES_SECONDS))

        def with_names(check: str) -> LastLoads:
            found = last(check)
            return replace(found, names=names()) if found.by_domain else found

        return with_names

    def _of(self, kind: type[Kind], wanted: set[str]) -> list[Kind]:
        checks: Sequence[Any] = self.table_checks.checks
        return [check for check in checks if isinstance(check, kind) and check.name in wanted]

    def _known(self, checks: Iterable[Check[...]]) -> dict[str, Known]:
        """Return, by name of a check, the problems of domains that this run does not load."""
        if self.scope.is_whole or not self.scope.domains:
            return {}
        key = asset_key(self.table_checks.table)
        return {
            check.name: known_problems(self.instance, dg.AssetCheckKey(key, check.name))
            for check in checks
        }

    def _in_warehouse(
        self, finds: Mapping[str, Find], asks: Mapping[str, Callable[[], Find]]
    ) -> Results:
        names = [*finds, *asks]
        if self.unusable:
            yield from ((name, CheckResult.not_judged(self.unusable)) for name in names)
        elif not configured_warehouse().exists():  # looking would make it
            yield from ((name, no_table(self.table_checks.table.name)) for name in names)
        elif names:
            every = {**finds, **{name: ask() for name, ask in asks.items()}}
            with reading() as reader:
                found = list(self._each({name: partial(f, reader) for name, f in every.items()}))
            yield from found

    def _each(self, finds: Mapping[str, Callable[[], CheckResult]]) -> Results:
        for name, find in finds.items():
            try:
                found = find()
            except Exception as error:  # noqa: BLE001 - raised when all results are known
                self.errors.append(error)
                found = CheckResult.not_judged(_reason(error))
            yield name, found


def _reason(error: BaseException) -> str:
    """Return why something could not be judged, without what the error quotes."""
    known = explanation(error, "the checks")
    return str(known.description) if known else f"{kind_and_place(error)}."
