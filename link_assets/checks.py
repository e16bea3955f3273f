"""Every check, those of a table in one step: a step costs more than most checks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import dagster as dg

from link_assets.contract import CLICKS, LINKS, Table
from link_assets.data_checks import CLICKS_DATA_CHECKS, LINKS_DATA_CHECKS, in_rows
from link_assets.findings import Check, Finding, found_in_tables
from link_assets.load_checks import (
    CLICKS_LOAD_CHECKS,
    CLICKS_VOLUME_CHECKS,
    LINKS_LOAD_CHECKS,
    LastLoads,
    clicks_last_loads,
    links_last_load,
)
from link_assets.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse import Reader, reading


def _checks(
    table: Table,
    asset_key: dg.AssetKey,
    last_loads: Callable[[dg.DagsterInstance], LastLoads],
    load_checks: Sequence[Check],
    data_checks: Sequence[Check],
    volume_checks: Sequence[Check] = (),
) -> dg.AssetChecksDefinition:
    every = (*load_checks, *data_checks, *volume_checks)
    keys = {check: dg.AssetCheckKey(asset_key, check.name) for check in every}
    specs = [dg.AssetCheckSpec(c.name, asset=asset_key, description=c.description) for c in every]

    @dg.multi_asset_check(name=f"{table.name}_checks", specs=specs, can_subset=True)
    def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        def wanted(checks: Sequence[Check]) -> list[Check]:
            return [check for check in checks if keys[check] in context.selected_asset_check_keys]

        instance, last = context.instance, last_loads(context.instance)
        # told before the warehouse is asked, which may not be had
        for check in wanted(load_checks):
            yield check.find(last).result(keys[check], check.severity)
        finds = in_rows(instance, context.run.run_id, table, asset_key, wanted(data_checks))
        finds |= {check: partial(check.find, last) for check in wanted(volume_checks)}
        for check, finding in _found(finds, table).items():
            yield finding.result(keys[check], check.severity)

    return run_checks


def _found(finds: dict[Check, Callable[[Reader], Finding]], table: Table) -> dict[Check, Finding]:
    """What is found in one turn at the warehouse; in none if nothing is to be looked for."""
    if not finds:
        return {}
    with reading() as reader:
        return {
            check: found_in_tables(partial(find, reader), table.name)
            for check, find in finds.items()
        }


CHECKS = [
    _checks(LINKS, LINKS_KEY, links_last_load, LINKS_LOAD_CHECKS, LINKS_DATA_CHECKS),
    _checks(
        CLICKS,
        CLICKS_KEY,
        clicks_last_loads,
        CLICKS_LOAD_CHECKS,
        CLICKS_DATA_CHECKS,
        CLICKS_VOLUME_CHECKS,
    ),
]
