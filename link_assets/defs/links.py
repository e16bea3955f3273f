"""The assets `link_assets/domains` and `link_assets/links`, and a partition for each domain.

Dagster calls it when one or both are materialized; they come from one source. It marks links that
are gone as deleted, and never removes a row or a partition. A domain whose links the API refuses
fails the links at the end, when all else is loaded.
"""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dlt import dlt_assets
from dlt.extract import DltSource

from link_assets.contract import DOMAINS, FOLDERS, LINKS
from link_assets.defs import configuration
from link_assets.defs.checks.failed_loads import checked_after_failure
from link_assets.defs.domain_names import WITHOUT_HOSTS, domain_names
from link_assets.defs.failures import failures_explained
from link_assets.defs.load_result import LoadResult
from link_assets.defs.partitions import register_domains
from link_assets.defs.progress import Reading, current_watcher, shown
from link_assets.defs.translator import (
    DOMAINS_KEY,
    LINKS_KEY,
    LinkAssetsTranslator,
    with_shown_metadata,
)
from link_assets.settings import UNSET_API, api_settings
from link_assets.source.links_read import LinksRead, known_links
from link_assets.source.rest import links_source
from link_assets.source.run_resources import open_resources
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.domains import count_domains
from link_assets.warehouse.loaded_api import warehouse_api
from link_assets.warehouse.pipeline import described_pipeline, open_pipeline

TRANSLATOR = LinkAssetsTranslator([DOMAINS, LINKS, FOLDERS])


@with_shown_metadata
@dlt_assets(
    dlt_source=links_source(UNSET_API),
    dlt_pipeline=described_pipeline(LINKS.name),
    name=LINKS.name,
    dagster_dlt_translator=TRANSLATOR,
    pool=configuration.POOL,
)
def links(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Load every domain and every link, then register the domains that have no partition yet."""
    selected, read = context.selected_asset_keys, LinksRead()
    try:
        metadata = _load(context, read)
    except Exception as error:
        yield from checked_after_failure(context, selected, [error])
        raise
    if read.refused:
        # recorded before the checks look at it
        if DOMAINS_KEY in selected:
            yield dg.AssetMaterialization(DOMAINS_KEY, metadata=metadata[DOMAINS_KEY])
        failure = _failure(read, metadata[LINKS_KEY])
        yield from checked_after_failure(context, selected, [failure])
        raise failure
    for key in sorted(selected):
        yield dg.MaterializeResult(asset_key=key, metadata=metadata[key])


def _load(
    context: dg.AssetExecutionContext, read: LinksRead
) -> dict[dg.AssetKey, Mapping[str, Any]]:
    """Load what is selected and return the metadata of each materialization.

    dagster-dlt's `run` is not used: it would hold the warehouse from the first page to the last
    row.
    """
    started = time.monotonic()
    with (
        failures_explained(LINKS.name),
        open_resources(settings := api_settings()) as resources,
        open_pipeline(LINKS.name) as pipeline,
    ):
        read.api_of_rows = warehouse_api()
        source = links_source(settings, read, resources=resources)
        # a link that stays as it is is loaded again only after that time; 0 is never
        days = settings.full_read_days
        loaded_within = timedelta(days=days) if days else None
        listing, domains_before = LinkListing(pipeline, loaded_within), count_domains()
        read.known = known_links(listing.present)
        with shown(Reading(LINKS.name, read.stats), current_watcher()):
            pipeline.run(_selected(context, source))
        _warn_of_folders(context, read)
        new = _new_domains(register_domains(context.instance))
        if read.failure:  # the listing was cut off: a link that is not in it may still exist
            raise read.failure
        gone = _marked_deleted(context, listing, read)
        grown = _growth(domains_before, count_domains())
    seconds = time.monotonic() - started
    links = LoadResult(read.stats, seconds, written=pipeline.seconds).metadata
    return {
        DOMAINS_KEY: {**LoadResult(read.domains, seconds).metadata, **grown, **new},
        LINKS_KEY: {**links, **gone, **new},
    }


def _marked_deleted(
    context: dg.AssetExecutionContext, listing: LinkListing, read: LinksRead
) -> Mapping[str, Any]:
    """Mark the links that are gone, if links were loaded; return it as metadata."""
    if LINKS_KEY not in context.selected_asset_keys:
        return {}
    share, unlisted = configuration.SETTINGS.disappeared_share, [*map(int, read.refused)]
    return listing.mark_deleted(read.listed, read.unread, share, unlisted).metadata


def _selected(context: dg.AssetExecutionContext, source: DltSource) -> DltSource:
    """Return the source with the resources of the selected assets."""
    if not context.is_subset:
        return source
    selected = {key.path[-1] for key in context.selected_asset_keys}
    return source.with_resources(*selected.intersection(source.selected_resources))


def _warn_of_folders(context: dg.AssetExecutionContext, read: LinksRead) -> None:
    if refused := read.refused_folders.values():
        summary = f"Folders of {len(refused)} domains could not be listed; their rows stay."
        context.log.warning("\n".join([summary, *map(str, refused)]))


def _failure(read: LinksRead, metadata: Mapping[str, Any]) -> dg.Failure:
    """Return the failure that names each domain whose links were refused, with the reason."""
    refused = read.refused
    summary = (
        f"Links of {len(refused)} of {read.domains.received} domains could not be listed; "
        "everything else is loaded."
    )
    description = "\n".join([summary, *map(str, refused.values())])
    return dg.Failure(description, metadata={**metadata, "domains": list(refused)})


def _new_domains(new: Sequence[str]) -> Mapping[str, Any]:
    """Return the domains that were registered, as metadata: their ids, and what people read."""
    names = domain_names() if new else WITHOUT_HOSTS
    return {"new_domains": list(new), "new_hosts": [names.of(domain) for domain in new]}


def _growth(before: int, after: int) -> Mapping[str, int]:
    return {"rows_new": after - before, "rows_total": after, "dagster/row_count": after}
