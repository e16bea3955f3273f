"""The asset `link_assets/links`: every link of the API, and a partition for each domain.

Dagster calls it when the asset is materialized. It marks links that are gone as deleted, and never
removes a row or a partition.
"""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, dlt_assets

from link_assets.contract import LINKS
from link_assets.defs import configuration
from link_assets.defs.checks.failed_loads import checked_after_failure
from link_assets.defs.failures import failures_explained
from link_assets.defs.load_result import LoadResult
from link_assets.defs.partitions import register_domains
from link_assets.defs.translator import LINKS_KEY, LinkAssetsTranslator, with_shown_metadata
from link_assets.settings import api_settings
from link_assets.source.rest import UNSET_API, links_source
from link_assets.source.run_resources import open_resources
from link_assets.source.transforms import LinksRead
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.pipeline import described_pipeline, open_pipeline

TRANSLATOR = LinkAssetsTranslator(LINKS)


@with_shown_metadata
@dlt_assets(
    dlt_source=links_source(UNSET_API),
    dlt_pipeline=described_pipeline(LINKS.name),
    name=LINKS.name,
    dagster_dlt_translator=TRANSLATOR,
    pool=configuration.POOL,
)
def links(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> Iterator[Any]:
    """Load every link, then register the domains that have no partition yet."""
    try:
        metadata = _load(context, dlt)
    except Exception as error:
        yield from checked_after_failure(context, LINKS_KEY, [error])
        raise
    yield dg.MaterializeResult(asset_key=LINKS_KEY, metadata=metadata)


def _load(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> dict[str, Any]:
    """Load the links and return the materialization's metadata."""
    started, read = time.monotonic(), LinksRead()
    with (
        failures_explained(LINKS.name),
        open_resources(settings := api_settings()) as resources,
        open_pipeline(LINKS.name) as pipeline,
    ):
        source = links_source(settings, read, resources=resources)
        listing = LinkListing(pipeline)
        list(dlt.run(context, source, pipeline, TRANSLATOR))
        new = register_domains(context.instance)
        if read.paging.failure:  # the listing was cut off: a link that is not in it may still exist
            raise read.paging.failure
        gone = listing.mark_deleted(read.unread, configuration.SETTINGS.disappeared_share)
    metadata = LoadResult(read.stats, time.monotonic() - started).metadata
    return {**metadata, **gone.metadata, "new_domains": list(new)}
