"""Every check, those of a table in one step: a step costs more than most checks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg

from link_assets.contract import CLICKS, LINKS, Table
from link_assets.data_checks import CLICKS_DATA_CHECKS, LINKS_DATA_CHECKS, RowsCheck, in_rows
from link_assets.findings import Check, Finding
from link_assets.load_checks import (
    CLICKS_LOAD_CHECKS,
    CLICKS_VOLUME_CHECKS,
    LINKS_LOAD_CHECKS,
    LastLoads,
    LoadsCheck,
    VolumeCheck,
    clicks_last_loads,
    in_volume,
    links_last_load,
)
from link_assets.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse import reading

Found = Iterator[tuple[str, Finding]]
"""What checks find, by their names."""


@dataclass(frozen=True)
class TableChecks:
    """The checks of a table."""

    table: Table
    asset_key: dg.AssetKey
    last_loads: Callable[[dg.DagsterInstance], LastLoads]
    on_loads: Sequence[LoadsCheck]
    on_rows: Sequence[RowsCheck]
    on_volume: Sequence[VolumeCheck] = ()

    def step(self) -> dg.AssetChecksDefinition:
        """All of them as one step; if one fails, so does the step, when the others are told."""
        checks: Sequence[Check[...]] = (*self.on_loads, *self.on_rows, *self.on_volume)
        keys = {check.name: dg.AssetCheckKey(self.asset_key, check.name) for check in checks}
        severities = {check.name: check.severity for check in checks}
        specs = [
            dg.AssetCheckSpec(check.name, asset=self.asset_key, description=check.description)
            for check in checks
        ]

        @dg.multi_asset_check(name=f"{self.table.name}_checks", specs=specs, can_subset=True)
        def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            wanted = {n for n, key in keys.items() if key in context.selected_asset_check_keys}
            errors: list[Exception] = []
            for name, finding in self._found(context, wanted, errors):
                yield finding.result(keys[name], severities[name])
            if errors:
                raise errors[0]

        return run_checks

    def _found(
        self, context: dg.AssetCheckExecutionContext, wanted: set[str], errors: list[Exception]
    ) -> Found:
        instance, last = context.instance, self.last_loads(context.instance)
        on_loads = {c.name: partial(c.find, last) for c in self.on_loads if c.name in wanted}
        # told before the warehouse is asked, which may not be had
        yield from _each(on_loads, errors)
        on_rows = [check for check in self.on_rows if check.name in wanted]
        finds = in_rows(instance, context.run.run_id, self.table, self.asset_key, on_rows)
        finds |= in_volume(last, [check for check in self.on_volume if check.name in wanted])
        if finds:
            with reading() as reader:
                found = list(_each({name: partial(f, reader) for name, f in finds.items()}, errors))
            yield from found


def _each(finds: Mapping[str, Callable[[], Finding]], errors: list[Exception]) -> Found:
    for name, find in finds.items():
        try:
            finding = find()
        except Exception as error:  # noqa: BLE001 - raised when the others are told
            errors.append(error)
        else:
            yield name, finding


CHECKS = [
    TableChecks(LINKS, LINKS_KEY, links_last_load, LINKS_LOAD_CHECKS, LINKS_DATA_CHECKS).step(),
    TableChecks(
        CLICKS,
        CLICKS_KEY,
        clicks_last_loads,
        CLICKS_LOAD_CHECKS,
        CLICKS_DATA_CHECKS,
        CLICKS_VOLUME_CHECKS,
    ).step(),
]
