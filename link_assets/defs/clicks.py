"""The asset `link_assets/clicks`: the clicks of each domain, a partition each.

Dagster calls it for the domains of a run, which clicks_loader loads side by side. This module says
what the asset is, and records what became of each domain.
"""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, dlt_assets
from pydantic import Field

from link_assets.contract import CLICKS
from link_assets.defs import configuration
from link_assets.defs.checks.failed_loads import checked_after_failure
from link_assets.defs.clicks_loader import LoadedDomains, load_domains
from link_assets.defs.failures import explanation, kind_and_place
from link_assets.defs.load_result import LoadResult
from link_assets.defs.partitions import domain_partitions
from link_assets.defs.run_requests import domains_of_run, plan_partitions
from link_assets.defs.translator import (
    CLICKS_KEY,
    DOMAINS_KEY,
    LINKS_KEY,
    LinkAssetsTranslator,
    with_shown_metadata,
)
from link_assets.source.rest import UNSET_API, clicks_source
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
def clicks(
    context: dg.AssetExecutionContext, dlt: DagsterDltResource, config: ClicksConfig
) -> Iterator[Any]:
    """Load the clicks of each domain of the run; one that fails leaves the others' results."""
    keys, named = domains_of_run(context), set(context.partition_keys)
    plan_partitions(context, (key for key in keys if key not in named))
    try:
        done = load_domains(context, dlt, TRANSLATOR, config.full_refresh, keys)
    except Exception as error:
        yield from checked_after_failure(context, [CLICKS_KEY], [error], keys)
        raise
    if done.failed:
        # recorded before the checks look at them
        yield from _materializations(done.loaded)
        yield from checked_after_failure(context, [CLICKS_KEY], [*done.failed.values()], keys)
        raise _failure(done, len(keys))
    # Dagster itself records the partitions that it names the run by
    yield from _materializations({k: done.loaded[k] for k in done.loaded if k not in named})
    yield dg.MaterializeResult(asset_key=CLICKS_KEY)


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
