"""Loads the clicks of a run's domains, several at once, each chunk by chunk to its last page.

The asset `clicks` calls `load_domains`. What stands here is when a domain is read from its first
page again, how a run is stopped, and what it shows of each domain; fetching is the source's
business and writing the warehouse's.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore

import dagster as dg
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from requests.exceptions import RequestException

from link_assets.contract import CLICKS
from link_assets.defs import configuration
from link_assets.defs.domain_names import WITHOUT_HOSTS, DomainNames, domain_names
from link_assets.defs.failures import failures_explained, kind_and_place
from link_assets.defs.figures import clicks_figures
from link_assets.defs.load_result import LoadResult
from link_assets.defs.partitions import domain_id, show_on_partitions
from link_assets.defs.progress import Nobody, Reading, Watcher, current_watcher, shown
from link_assets.defs.run_requests import show_hosts
from link_assets.defs.translator import CLICKS_KEY
from link_assets.domain_loads import DomainLoads, open_loads
from link_assets.settings import api_settings, is_domain_id
from link_assets.source.click_chunks import ClickChunk
from link_assets.source.load_stats import LoadStats
from link_assets.source.resume import (
    FROM_FIRST_PAGE,
    ClicksRead,
    OldClicks,
    Restart,
    full_refresh,
)
from link_assets.warehouse.errors import (
    ConcurrentWriteError,
    WarehouseBusy,
    WarehouseUnusable,
    find_cause,
)
from link_assets.warehouse.group_commit import DomainChunks
from link_assets.warehouse.loaded_api import warehouse_api
from link_assets.warehouse.reader import reading
from link_assets.warehouse.row_counts import ClickCounts, Growth

WAITING = 4
"""For each domain that is fetched, how many there may be with those that wait to be written."""


@dataclass(frozen=True)
class LoadedDomains:
    """What became of a run's domains.

    `loaded` is what those that were loaded came to, and `failed` what the others failed with, each
    by key. `names` are those by which the run's messages call them.
    """

    loaded: Mapping[str, LoadResult]
    failed: Mapping[str, BaseException]
    names: DomainNames


def load_domains(
    context: dg.AssetExecutionContext, full_refresh: bool, keys: Sequence[str]
) -> LoadedDomains:
    """Load the clicks of these partition keys, `domains_at_once` of them side by side.

    Raises:
        What keeps every domain from being loaded, as a dg.Failure if it can be explained.
    """
    named, domains = set(context.partition_keys), [int(key) for key in keys if is_domain_id(key)]
    with failures_explained(CLICKS.name):
        settings = api_settings()
        counts = _counts(context, domains, timedelta(days=settings.clicks_lookback_days))
        api_of_rows = warehouse_api() if domains else None
    names = domain_names()
    show_hosts(context, names, keys)
    with failures_explained(CLICKS.name), open_loads(settings, domains) as loads:
        loader = ClicksLoader(
            context,
            loads,
            full_refresh,
            names,
            counts=counts,
            api_of_rows=api_of_rows,
            watcher=current_watcher(),
        )
        tasks = _side_by_side(loader, keys)
    failed = {key: error for key, task in tasks.items() if (error := task.exception())}
    loaded = {key: task.result() for key, task in tasks.items() if key not in failed}
    return LoadedDomains(_with_growth(context, loaded, counts, named, names), failed, names)


def _side_by_side(loader: ClicksLoader, keys: Sequence[str]) -> Mapping[str, Future[LoadResult]]:
    """Load the keys' clicks; return what became of each."""
    with ThreadPoolExecutor(WAITING * configuration.SETTINGS.domains_at_once, "domain") as threads:
        tasks = {key: threads.submit(loader.load, key) for key in keys}
        try:
            wait(tasks.values())
        finally:  # a run that is stopped starts no further domain or chunk, and waits for no limit
            loader.stopped.set()
            loader.loads.resources.connections.stop_waiting()
            threads.shutdown(wait=False, cancel_futures=True)
    return tasks


def _counts(
    context: dg.AssetExecutionContext, domains: Collection[int], lookback: timedelta
) -> ClickCounts | None:
    """Count the domains' clicks before the load; log it and return None if that fails."""
    try:
        return ClickCounts(domains, lookback) if domains else None
    except (WarehouseBusy, WarehouseUnusable):
        raise
    except Exception as error:  # noqa: BLE001 - a table that cannot be counted may be mended by loading
        context.log.warning(f"The clicks could not be counted: {kind_and_place(error)}.")
        return None


def _with_growth(
    context: dg.AssetExecutionContext,
    loaded: Mapping[str, LoadResult],
    counts: ClickCounts | None,
    named: Set[str],
    names: DomainNames,
) -> dict[str, LoadResult]:
    """Return the results with each domain's growth and charts; show those of named partitions."""
    try:
        growth = _growth(counts, loaded) if counts and loaded else {}
    except Exception as error:  # noqa: BLE001 - the rows are there, counted or not
        context.log.warning(f"The clicks could not be counted: {kind_and_place(error)}.")
        growth = {}
    charts = clicks_figures(context, [*loaded])
    grown = {
        key: replace(result, growth=growth.get(int(key)), charts=charts.get(key, {}))
        for key, result in loaded.items()
    }
    for key, result in grown.items():
        if result.growth and result.stats.is_audit:
            what = f"clicks of domain {names.of(key)}"
            context.log.info(f"{what}: {_audited(result.growth.missed)}")
    shown = {key: result.metadata for key, result in grown.items() if key in named}
    show_on_partitions(context, CLICKS_KEY, shown)
    return grown


def _growth(counts: ClickCounts, loaded: Mapping[str, LoadResult]) -> Mapping[int, Growth]:
    """Count what was added; a read that an earlier run began, from its beginning."""
    for key, result in loaded.items():
        if result.old:
            counts.compare_with(int(key), result.old.before, result.old.clicks)
    return counts.growth()


@dataclass(frozen=True)
class ClicksLoader:
    """Loads domains within one run; safe to call from several threads.

    dagster-dlt's `run` is not used: it runs one pipeline from its first page to its last row for
    one materialization, and here a load has chunks of many domains, each with its own.
    """

    context: dg.AssetExecutionContext
    loads: DomainLoads
    full_refresh: bool
    names: DomainNames = WITHOUT_HOSTS
    api_of_rows: str | None = None
    stopped: Event = field(default_factory=Event)
    counts: ClickCounts | None = None
    """The domains' clicks before the load; None if they could not be counted."""
    watcher: Watcher = field(default_factory=Nobody)
    turn: Semaphore = field(
        default_factory=lambda: Semaphore(configuration.SETTINGS.domains_at_once)
    )
    """Held by a domain until it is fetched; one that only waits to be written lets others in."""

    def load(self, partition_key: str) -> LoadResult:
        """Load a domain's chunks, one after the other, to its last page.

        A domain that another run loads meanwhile is continued from where that run is. One whose
        kept page token brings no page is read from the first page again, once.

        Raises:
            dg.Failure: the key is not a domain id.
            dg.DagsterExecutionInterruptedError: `stopped` is set.
            DltException: the load failed for any other reason.
        """
        domain, started, began = domain_id(partition_key), time.monotonic(), datetime.now(UTC)
        restart = refresh = self._refresh(domain) if self.full_refresh else None
        while True:
            read = ClicksRead(restart, self.api_of_rows, self._old_clicks(domain))
            try:
                with shown(self._reading(domain, read), self.watcher):
                    chunks = self._load_chunks(domain, read)
                return LoadResult(
                    read.stats,
                    time.monotonic() - started,
                    chunks.count,
                    host=self.names.host(domain),
                    began=began,
                    old=read.old,
                    written=chunks.seconds,
                )
            except ConcurrentWriteError:
                restart = refresh
                message = "another run has loaded it meanwhile; continuing from where that one is"
            except DltException as error:
                # once: an API that refuses every token would have the pages read in circles
                reason = _reason_to_restart(error, read)
                if restart is FROM_FIRST_PAGE or not reason:
                    raise
                restart = FROM_FIRST_PAGE
                message = f"{reason}; reading from the first page again"
            self.context.log.warning(f"{self._what(domain)}: {message}.")

    def _old_clicks(self, domain: int) -> OldClicks | None:
        old = self.counts.old(domain) if self.counts else None
        return OldClicks(*old) if old else None

    def _reading(self, domain: int, read: ClicksRead) -> Reading:
        """Return what is shown of the read; a full refresh may bring any number of rows."""
        counts = None if self.full_refresh else self.counts
        before = counts.before(domain) if counts else None
        return Reading(self.names.of(domain), read.stats, str(domain), before)

    def _load_chunks(self, domain: int, read: ClicksRead) -> DomainChunks[ClickChunk]:
        """Load chunks to the last page; return them when all are written."""
        with self.loads.begin(domain, read, self.names.host(domain)) as chunks, self.turn:
            while not read.finished:
                self._raise_if_stopped(domain)
                chunks.load()
                self.context.log.info(f"{self._what(domain)}: {_report(read.stats)}")
        return chunks

    def _what(self, domain: int) -> str:
        return f"clicks of domain {self.names.of(domain)}"

    def _raise_if_stopped(self, domain: int) -> None:
        if self.stopped.is_set():
            raise dg.DagsterExecutionInterruptedError(f"stopped while loading {self._what(domain)}")

    def _refresh(self, domain: int) -> Restart:
        """Return the restart of a full refresh, which is the same one in a retry of the run."""
        query = f"SELECT count(*) FROM {{dataset}}.{CLICKS.name} WHERE domain_id = {domain}"
        clicks = 0
        with reading() as reader, suppress(DatabaseUndefinedRelation):
            ((clicks,),) = reader.rows(query)
        return full_refresh(_first_attempt(self.context), is_empty=not clicks)


def _first_attempt(context: dg.AssetExecutionContext) -> str:
    """Return the id of the first of the failed runs that this one retries, or its own."""
    run = context.run
    while run.parent_run_id:
        parent = context.instance.get_run_by_id(run.parent_run_id)
        if parent is None or parent.is_success:
            break
        run = parent
    return run.run_id


def _audited(missed: int) -> str:
    clicks = "1 click" if missed == 1 else f"{missed} clicks"
    return f"all pages were read; {clicks} had been missed by runs before"


def _report(stats: LoadStats) -> str:
    fetched = f"{stats.accepted} rows in {stats.pages} pages fetched"
    rejected = f", {stats.rejected} rejected" if stats.rejected else ""
    return fetched + rejected


def _reason_to_restart(error: BaseException, read: ClicksRead) -> str | None:
    """Return why the kept position is of no use; None if the load failed for something else."""
    unanswered = find_cause(error, RequestException)
    return read.reason_to_restart(unanswered) if unanswered else None
