"""The links and clicks assets."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, dlt_assets
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.pipeline.exceptions import PipelineStepFailed
from pydantic import Field
from requests.exceptions import RequestException

from link_assets.contract import CLICKS, LINKS
from link_assets.defs.checks.table_checks import checked_after_failure
from link_assets.defs.failures import explanation, failures_explained, find_cause, kind_and_place
from link_assets.defs.partitions import domain_id, domain_partitions, is_domain_id, register_domains
from link_assets.defs.run_requests import domains_of_run, plan_partitions
from link_assets.defs.translator import (
    CLICKS_KEY,
    LINKS_KEY,
    LinkAssetsTranslator,
    with_shown_metadata,
)
from link_assets.settings import ApiSettings, api_settings, location_settings
from link_assets.source.load_stats import LoadStats
from link_assets.source.rest import UNSET_API, clicks_source, links_source
from link_assets.source.resume import FROM_FIRST_PAGE, ClicksRead, Restart, full_refresh
from link_assets.source.run_resources import RunResources, open_resources
from link_assets.source.transforms import LinksRead
from link_assets.warehouse.chunks import Chunks
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.errors import ConcurrentWriteError, WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.pipeline import WarehousePipeline, described_pipeline, open_pipeline
from link_assets.warehouse.reader import reading
from link_assets.warehouse.row_counts import ClickCounts, Growth

SETTINGS = location_settings()
TRANSLATOR = LinkAssetsTranslator(SETTINGS)


class ClicksConfig(dg.Config):
    """Run configuration of the clicks asset."""

    full_refresh: bool = Field(
        default=False,
        description=(
            "Read every page again from the first, whatever earlier runs have kept of where to go "
            "on. No row is deleted for it, and a retry of the run goes on where it failed."
        ),
    )


@dataclass(frozen=True)
class Loaded:
    """What loading one table, or one domain of it, came to."""

    stats: LoadStats
    seconds: float
    chunks: int | None = None
    growth: Growth | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """As shown on the materialization; only what there is something to say about.

        `rows_loaded` are the rows that the API delivered and that could be read.
        """
        stats = self.stats
        shown = {
            "rows_loaded": stats.accepted,
            "rejected_rows": stats.rejected_before + stats.rejected,
            "pages": stats.pages,
            "chunks": self.chunks,
            "seconds": round(self.seconds, 2),
            "resumed_from_page": stats.resumed_from,
            "first_click": _shown(stats.first_click),
            "last_click": _shown(stats.last_click),
        }
        known = {name: value for name, value in shown.items() if value is not None}
        return known | (self.growth.metadata if self.growth else {})


def _shown(time: datetime | None) -> dg.MetadataValue | None:
    return dg.MetadataValue.timestamp(time) if time else None


@with_shown_metadata
@dlt_assets(
    dlt_source=links_source(UNSET_API),
    dlt_pipeline=described_pipeline(LINKS.name),
    name="links",
    dagster_dlt_translator=TRANSLATOR,
    pool="link_assets",
)
def links(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> Iterator[Any]:
    """Loads every link, then registers the domains that have none yet."""
    try:
        metadata = _load_links(context, dlt)
    except Exception as error:
        yield from checked_after_failure(context, LINKS_KEY, [error])
        raise
    yield dg.MaterializeResult(asset_key=LINKS_KEY, metadata=metadata)


def _load_links(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> dict[str, Any]:
    """What is shown on the materialization."""
    started, read = time.monotonic(), LinksRead()
    with (
        failures_explained("links"),
        open_resources(settings := api_settings()) as resources,
        open_pipeline(LINKS.name) as pipeline,
    ):
        source = links_source(settings, read, resources=resources)
        listing = LinkListing(pipeline)
        list(dlt.run(context, source, pipeline, TRANSLATOR))
        new = register_domains(context.instance)
        if read.paging.failure:  # nobody knows whether the links that were not listed are there
            raise read.paging.failure
        gone = listing.mark_deleted(read.unread, SETTINGS.disappeared_share)
    metadata = Loaded(read.stats, time.monotonic() - started).metadata
    return {**metadata, **gone.metadata, "new_domains": list(new)}


@with_shown_metadata
@dlt_assets(
    dlt_source=clicks_source(UNSET_API, domain_id=0),
    dlt_pipeline=described_pipeline(CLICKS.name),
    name="clicks",
    dagster_dlt_translator=TRANSLATOR,
    partitions_def=domain_partitions,
    backfill_policy=dg.BackfillPolicy.multi_run(SETTINGS.domains_per_run),
    pool="link_assets",
)
def clicks(
    context: dg.AssetExecutionContext, dlt: DagsterDltResource, config: ClicksConfig
) -> Iterator[Any]:
    """Loads the clicks of each domain of the run; one that fails leaves the others' results."""
    keys, named = domains_of_run(context), set(context.partition_keys)
    plan_partitions(context, (key for key in keys if key not in named))
    try:
        loaded, failed = _load_clicks(context, dlt, config, keys)
    except Exception as error:
        yield from checked_after_failure(context, CLICKS_KEY, [error], keys)
        raise
    if failed:
        # recorded before the checks look at them
        yield from _materializations(loaded)
        yield from checked_after_failure(context, CLICKS_KEY, [*failed.values()], keys)
        raise _failure(failed, len(keys))
    # Dagster itself records the partitions that it names the run by
    yield from _materializations({key: loaded[key] for key in loaded if key not in named})
    yield dg.MaterializeResult(asset_key=CLICKS_KEY)


def _load_clicks(
    context: dg.AssetExecutionContext,
    dlt: DagsterDltResource,
    config: ClicksConfig,
    keys: Sequence[str],
) -> tuple[dict[str, Loaded], dict[str, BaseException]]:
    """What the domains that were loaded came to, and what the others failed with."""
    named = set(context.partition_keys)
    with failures_explained("clicks"):
        settings = api_settings()
        counts = _counts(context, keys)
    with (
        open_resources(settings) as resources,
        ThreadPoolExecutor(SETTINGS.domains_at_once, "domain") as threads,
    ):
        loader = ClicksLoader(context, dlt, settings, resources, config.full_refresh)
        tasks = {key: threads.submit(loader.load, key) for key in keys}
        try:
            _add_metadata(context, tasks, named)
        finally:  # a run that is stopped starts no further domain, and no further chunk
            loader.stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
    failed = {key: error for key, task in tasks.items() if (error := task.exception())}
    loaded = {key: task.result() for key, task in tasks.items() if key not in failed}
    return _with_growth(context, loaded, counts, named), failed


def _counts(context: dg.AssetExecutionContext, keys: Sequence[str]) -> ClickCounts | None:
    """What the warehouse has of the domains; None if it cannot be counted, which is logged."""
    try:
        domains = [int(key) for key in keys if is_domain_id(key)]
        return ClickCounts(domains) if domains else None
    except (WarehouseBusy, WarehouseUnusable):
        raise
    except Exception as error:  # noqa: BLE001 - a table that cannot be counted may be mended by loading
        context.log.warning(f"The clicks could not be counted: {kind_and_place(error)}.")
        return None


def _with_growth(
    context: dg.AssetExecutionContext,
    loaded: Mapping[str, Loaded],
    counts: ClickCounts | None,
    named: Set[str],
) -> dict[str, Loaded]:
    """The same, with what each domain's rows have become, also on the materializations to come."""
    try:
        growth = counts.growth() if counts and loaded else {}
    except Exception as error:  # noqa: BLE001 - the rows are there, counted or not
        context.log.warning(f"The clicks could not be counted: {kind_and_place(error)}.")
        growth = {}
    grown = {key: replace(result, growth=growth.get(int(key))) for key, result in loaded.items()}
    for key, result in grown.items():
        if result.growth and key in named:
            metadata = result.growth.metadata
            context.add_asset_metadata(metadata, asset_key=CLICKS_KEY, partition_key=key)
    return grown


@dataclass(frozen=True)
class ClicksLoader:
    """Loads domains within one run; safe to call from several threads."""

    context: dg.AssetExecutionContext
    dlt: DagsterDltResource
    settings: ApiSettings
    resources: RunResources
    full_refresh: bool
    stopped: Event = field(default_factory=Event)

    def load(self, partition_key: str) -> Loaded:
        """Loads chunk after chunk until the domain's last page."""
        domain, started = domain_id(partition_key), time.monotonic()
        restart = refresh = self._refresh(domain) if self.full_refresh else None
        while True:
            read = ClicksRead(restart)
            try:
                chunks = self._load_chunks(domain, read)
                return Loaded(read.stats, time.monotonic() - started, chunks)
            except ConcurrentWriteError:
                restart = refresh
                told = "another run has loaded it meanwhile; going on from where that one is"
            except PipelineStepFailed as error:
                # once: an API that refuses every token would have the pages read in circles
                reason = _reason_to_restart(error, read)
                if restart is FROM_FIRST_PAGE or not reason:
                    raise
                restart = FROM_FIRST_PAGE
                told = f"{reason}; reading from the first page again"
            self.context.log.warning(f"clicks of domain {domain}: {told}.")

    def _load_chunks(self, domain: int, read: ClicksRead) -> int:
        """Until the last page; how many it took."""
        count = 0
        with Chunks(f"{CLICKS.name}_{domain}") as chunks:
            while not read.finished:
                self._stop_if_told(domain)
                chunks.load(partial(self._load_chunk, domain, read))
                count += 1
                self.context.log.info(_report(domain, read.stats))
        return count

    def _stop_if_told(self, domain: int) -> None:
        if self.stopped.is_set():
            raise dg.DagsterExecutionInterruptedError(f"stopped while loading domain {domain}")

    def _refresh(self, domain: int) -> Restart:
        query = f"SELECT count(*) FROM {{dataset}}.{CLICKS.name} WHERE domain_id = {domain}"
        clicks = 0
        with reading() as reader, suppress(DatabaseUndefinedRelation):
            ((clicks,),) = reader.rows(query)
        return full_refresh(_first_attempt(self.context), is_empty=not clicks)

    def _load_chunk(
        self,
        domain: int,
        read: ClicksRead,
        pipeline: WarehousePipeline,
    ) -> None:
        source = clicks_source(self.settings, domain, read, resources=self.resources)
        list(self.dlt.run(self.context, source, pipeline, TRANSLATOR))


def _add_metadata(
    context: dg.AssetExecutionContext, tasks: Mapping[str, Future[Loaded]], named: Set[str]
) -> None:
    """Waits for all, and adds the metadata of a named one while the others are loaded.

    For each Dagster asks its instance for the partitions. What fails there is raised in the end.
    """
    keys, errors = {task: key for key, task in tasks.items()}, []
    for task in as_completed(keys):
        if task.exception() or keys[task] not in named:
            continue
        try:
            metadata = task.result().metadata
            context.add_asset_metadata(metadata, asset_key=CLICKS_KEY, partition_key=keys[task])
        except Exception as error:  # noqa: BLE001 - the others are to be loaded all the same
            errors.append(error)
    if errors:
        raise errors[0]


def _first_attempt(context: dg.AssetExecutionContext) -> str:
    """The id of the failed run that this one retries in the end; its own if it retries none."""
    run = context.run
    while run.parent_run_id:
        parent = context.instance.get_run_by_id(run.parent_run_id)
        if parent is None or parent.is_success:
            break
        run = parent
    return run.run_id


def _report(domain: int, stats: LoadStats) -> str:
    return f"clicks of domain {domain}: {stats.accepted} rows in {stats.pages} pages fetched" + (
        f", {stats.rejected} rejected" if stats.rejected else ""
    )


def _reason_to_restart(error: BaseException, read: ClicksRead) -> str | None:
    """Why the place to go on from is of no use; None if that is not what failed."""
    unanswered = find_cause(error, RequestException)
    return read.reason_to_restart(unanswered) if unanswered else None


def _materializations(loaded: Mapping[str, Loaded]) -> Iterator[dg.AssetMaterialization]:
    for key, result in loaded.items():
        yield dg.AssetMaterialization(CLICKS_KEY, partition=key, metadata=result.metadata)


def _failure(failed: Mapping[str, BaseException], domains: int) -> BaseException:
    """One failure for the run that names each domain's reason; an only, unknown one as it is."""
    known = {key: explanation(error, f"clicks of domain {key}") for key, error in failed.items()}
    if domains == 1:
        (key,) = failed
        return known[key] or failed[key]
    reasons = [
        told.description
        if (told := known[key])
        else f"clicks of domain {key}: {kind_and_place(error)}"
        for key, error in failed.items()
    ]
    summary = f"{len(failed)} of {domains} domains failed; the others are loaded."
    return dg.Failure("\n".join([summary, *map(str, reasons)]), metadata={"domains": list(failed)})
