"""The asset `link_assets/clicks`: the clicks of each domain, a partition each.

Dagster calls it for the domains of a run, which clicks_loader loads side by side. This module says
what the asset is, and records what became of each domain.
"""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dlt import dlt_assets
from pydantic import Field

from link_assets.contract import CLICKS, DAILY_CLICKS
from link_assets.defs import configuration
from link_assets.defs.checks.failed_loads import checked_after_failure
from link_assets.defs.clicks_loader import LoadedDomains, load_domains
from link_assets.defs.daily_clicks import computed_after_failure
from link_assets.defs.failures import explanation, kind_and_place
from link_assets.defs.load_result import LoadResult
from link_assets.defs.partitions import domain_partitions
from link_assets.defs.run_requests import domains_of_run, is_selected, plan_partitions
from link_assets.defs.translator import (
    CLICKS_KEY,
    DAILY_CLICKS_KEY,
    DOMAINS_KEY,
    LINKS_KEY,
    LinkAssetsTranslator,
    with_shown_metadata,
)
from link_assets.settings import UNSET_API
from link_assets.source.rest import clicks_source
from link_assets.warehouse.pipeline import described_pipeline

TRANSLATOR = LinkAssetsTranslator([CLICKS], deps=[DOMAINS_KEY, LINKS_KEY])


class ClicksConfig(dg.Config):
    """Run configuration of the clicks asset."""

    full_refresh: bool = Field(
        default=False,
        description=(
            "Read every page again from the first, even if an earlier run stopped midway. No row "
            "is deleted for it, and a retry of the run continues where it failed."
        ),
    )


@with_shown_metadata
@dlt_assets(
    dlt_source=clicks_source(UNSET_API, domain_id=0),
    dlt_pipeline=described_pipeline(CLICKS.name),
    name=CLICKS.name,
    dagster_dlt_translator=TRANSLATOR,
    partitions_def=domain_partitions,
    backfill_policy=dg.BackfillPolicy.multi_run(configuration.SETTINGS.domains_per_run),
    pool=configuration.POOL,
)
def clicks(context: dg.AssetExecutionContext, config: ClicksConfig) -> Iterator[Any]:
    """Load the clicks of each domain of the run; one that fails leaves the others' results."""
    keys, named = domains_of_run(context), set(context.partition_keys)
    _plan(context, [key for key in keys if key not in named])
    try:
        done = load_domains(context, config.full_refresh, keys)
    except Exception as error:
        yield from checked_after_failure(context, [CLICKS_KEY], [error], keys)
        raise
    if done.failed:
        yield from _recorded_and_checked(context, done, keys)
        raise _failure(done, len(keys))
    # Dagster itself records the partitions that it names the run by
    yield from _materializations({k: done.loaded[k] for k in done.loaded if k not in named})
    yield dg.MaterializeResult(asset_key=CLICKS_KEY)


def _plan(context: dg.AssetExecutionContext, keys: Sequence[str]) -> None:
    """Show domains as under way that the run is not named by; with their days, if it has them."""
    plan_partitions(context, CLICKS, keys)
    if is_selected(context, DAILY_CLICKS_KEY):
        plan_partitions(context, DAILY_CLICKS, keys)


def _recorded_and_checked(
    context: dg.AssetExecutionContext, done: LoadedDomains, keys: Sequence[str]
) -> Iterator[Any]:
    """Record the domains that were loaded, and their days, before the checks look at them."""
    yield from _materializations(done.loaded)
    failed = [CLICKS_KEY]
    if done.loaded and is_selected(context, DAILY_CLICKS_KEY):
        yield from computed_after_failure(context, keys, [*done.loaded])
        failed.append(DAILY_CLICKS_KEY)
    yield from checked_after_failure(context, failed, [*done.failed.values()], keys)


def _materializations(loaded: Mapping[str, LoadResult]) -> Iterator[dg.AssetMaterialization]:
    for key, result in loaded.items():
        yield dg.AssetMaterialization(CLICKS_KEY, partition=key, metadata=result.metadata)


def _failure(done: LoadedDomains, domains: int) -> BaseException:
    """Return the run's failure, which names each failed domain's reason.

    In a run of one domain an error without an explanation is returned as it is.
    """
    failed, what = done.failed, {k: f"clicks of domain {done.names.of(k)}" for k in done.failed}
    known = {key: explanation(error, what[key]) for key, error in failed.items()}
    if domains == 1:
        (key,) = failed
        return known[key] or failed[key]
    reasons = [
        failure.description if (failure := known[key]) else f"{what[key]}: {kind_and_place(error)}"
        for key, error in failed.items()
    ]
    summary = f"{len(failed)} of {domains} domains failed; the others are loaded."
    return dg.Failure("\n".join([summary, *map(str, reasons)]), metadata={"domains": list(failed)})
