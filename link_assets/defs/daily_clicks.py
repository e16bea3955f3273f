"""The asset `link_assets/daily_clicks`: the clicks of each link and day, a partition each domain.

It is computed in the warehouse (`warehouse/daily_clicks.py`) after the clicks of the same run. When
those of some domain fail, Dagster skips this asset, and the asset `clicks` computes the days of the
others by `computed_after_failure` before it raises.
"""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from link_assets.contract import DAILY_CLICKS
from link_assets.defs import configuration
from link_assets.defs.checks.check import counted
from link_assets.defs.checks.failed_loads import checked_after_failure
from link_assets.defs.checks.last_loads import LAST_LOAD
from link_assets.defs.domain_names import DomainNames, domain_names
from link_assets.defs.failures import failures_explained, kind_and_place
from link_assets.defs.figures import clicks_figures
from link_assets.defs.load_result import newest_click_metadata, timestamp
from link_assets.defs.partitions import domain_id, domain_partitions, show_on_partitions
from link_assets.defs.run_requests import (
    domains_of_run,
    is_selected,
    plan_partitions,
    show_hosts,
)
from link_assets.defs.translator import (
    CLICKS_KEY,
    DAILY_CLICKS_KEY,
    DOMAINS_KEY,
    LINKS_KEY,
    asset_spec,
)
from link_assets.domain_loads import old_clicks
from link_assets.settings import is_domain_id, keep_clicks_days
from link_assets.warehouse.daily_clicks import ComputedDays, compute_days
from link_assets.warehouse.destinations.configured import configured_warehouse

Results = Mapping[str, Mapping[str, Any]]
"""The metadata of materializations, by partition key."""


@dg.multi_asset(
    name=DAILY_CLICKS.name,
    specs=[asset_spec(DAILY_CLICKS, [DOMAINS_KEY, LINKS_KEY, CLICKS_KEY], "sql")],
    partitions_def=domain_partitions,
    backfill_policy=dg.BackfillPolicy.multi_run(configuration.SETTINGS.domains_per_run),
    pool=configuration.POOL,
)
def daily_clicks(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Compute the days of the run's domains whose clicks or links have changed."""
    keys, named = domains_of_run(context), set(context.partition_keys)
    if not is_selected(context, CLICKS_KEY):  # else these have planned them
        plan_partitions(context, DAILY_CLICKS, (key for key in keys if key not in named))
    try:
        results = _computed(context, keys)
    except Exception as error:
        yield from checked_after_failure(context, [DAILY_CLICKS_KEY], [error], keys)
        raise
    show_on_partitions(context, DAILY_CLICKS_KEY, {key: results[key] for key in named})
    # Dagster itself records the partitions that it names the run by
    yield from _materializations(results, [key for key in keys if key not in named])
    yield dg.MaterializeResult(asset_key=DAILY_CLICKS_KEY)


def computed_after_failure(
    context: dg.AssetExecutionContext, keys: Sequence[str], loaded: Collection[str]
) -> Iterator[dg.AssetMaterialization]:
    """Compute the days of a run whose load of clicks fails, and record those that were loaded.

    Domains that failed are computed as well, since a part of their clicks may be loaded. An error
    in here is logged and not raised: the load's own failure is the one to raise.
    """
    try:
        domains = [key for key in keys if is_domain_id(key)]
        yield from _materializations(_computed(context, domains), loaded)
    except Exception as error:  # noqa: BLE001 - it would hide the failure of the load
        context.log.warning(f"Daily clicks could not be computed: {kind_and_place(error)}.")


def _computed(context: dg.AssetExecutionContext, keys: Sequence[str]) -> Results:
    started, names = time.monotonic(), domain_names()
    show_hosts(context, names, keys)
    with failures_explained(DAILY_CLICKS.name):
        domains = [domain_id(key) for key in keys]
        counts = compute_days(domains, old_clicks(domains, keep_clicks_days()))
    seconds = time.monotonic() - started
    figures = clicks_figures(context, keys, with_leading=True)
    results = {
        key: {**_metadata(counts[int(key)], names, key, seconds), **figures.get(key, {})}
        for key in keys
    }
    days = sum(found.days for found in counts.values())
    what = f"{counted(days, 'day')} of {counted(len(keys), 'domain')}"
    context.log.info(f"{what} computed in {seconds:.2f} seconds.")
    return results


def _metadata(
    counts: ComputedDays, names: DomainNames, key: str, seconds: float
) -> Mapping[str, Any]:
    """Return what a domain's materialization shows; `seconds` are those of all domains together.

    What nothing is known of is left out, such as `last_click` of a domain without clicks.
    """
    shown = {
        "host": names.host(key),
        "days_computed": counts.days,
        "rows_total": counts.rows,
        "clicks": counts.clicks,
        "clicks_deleted": counts.deleted or None,
        "last_click": timestamp(counts.last_click),
        **newest_click_metadata(counts.newest, counts.future, counts.computed_at),
        "computed_at": dg.MetadataValue.timestamp(counts.computed_at),
        LAST_LOAD: str(counts.last_load),
        "seconds": round(seconds, 2),
        "dagster/uri": configured_warehouse().uri or None,
        "dagster/partition_row_count": counts.rows,
        "dagster/row_count": counts.table,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _materializations(results: Results, keys: Collection[str]) -> Iterator[dg.AssetMaterialization]:
    for key in keys:
        yield dg.AssetMaterialization(DAILY_CLICKS_KEY, partition=key, metadata=results[key])
