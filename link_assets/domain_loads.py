"""Loading the clicks of domains, side by side, from where each stands in the warehouse.

This is where what is read meets where it goes; it knows nothing of Dagster, and a plain script can
load with it:

    with open_loads(api_settings(), [1, 2]) as loads:
        for domain in (1, 2):
            loads.load(domain)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial

from link_assets.kept_days import first_day_kept
from link_assets.settings import ApiSettings
from link_assets.source.click_chunks import (
    ClickChunk,
    chunks_source,
    fetch_chunk,
)
from link_assets.source.resume import POSITION, ClicksRead
from link_assets.source.run_resources import RunResources, open_resources
from link_assets.source.table_store import TableStore, open_store
from link_assets.warehouse.group_commit import DomainChunks, GroupCommit
from link_assets.warehouse.old_clicks import OldClicks
from link_assets.warehouse.positions import Position, read_positions
from link_assets.warehouse.reader import reading


class DomainLoads:
    """Loads of domains that share connections, and that are written together.

    Safe to call from several threads, each with domains of its own.
    """

    def __init__(
        self,
        settings: ApiSettings,
        domains: Collection[int],
        resources: RunResources,
        store: TableStore,
        commits: GroupCommit[ClickChunk],
    ) -> None:
        self.settings = settings
        self.resources = resources
        self._store = store
        self._commits = commits
        self._positions = _positions(domains)

    def begin(
        self, domain: int, read: ClicksRead, host: str | None = None
    ) -> DomainChunks[ClickChunk]:
        """Return the chunks of a domain from where it stands, to load until `read.finished`.

        Loading raises dlt's ResourceExtractionError or PipelineStepFailed, or ConcurrentWriteError
        if another run has loaded the domain since. Begin again with another `read` after that.
        Errors name the domain with its `host`, if that is given.
        """
        # as it stood when the run began; later that may have changed
        position = self._positions.pop(domain, None) or _positions([domain])[domain]
        read.state = deepcopy(dict(position.state))
        fetch = partial(
            fetch_chunk,
            self.settings,
            domain,
            read,
            self._store,
            resources=self.resources,
            host=host,
        )
        return DomainChunks(self._commits, position.number, fetch)

    def load(self, domain: int) -> ClicksRead:
        """Load a domain's clicks to the last page; return what was read, and raise as `begin`."""
        read = ClicksRead()
        with self.begin(domain, read) as chunks:
            while not read.finished:
                chunks.load()
        return read


def old_clicks(domains: Collection[int], keep_days: int) -> OldClicks | None:
    """Return the clicks of these domains that are not kept for longer; None to keep all.

    Those of a domain that is being read, over several loads, are kept until it is read: the rest of
    a day that is loaded in part would come after it was counted.
    """
    first = first_day_kept(keep_days, datetime.now(UTC).date())
    if first is None:
        return None
    being_read = {d for d, position in _positions(domains).items() if POSITION in position.state}
    return OldClicks({*domains} - being_read, first)


@contextmanager
def open_loads(settings: ApiSettings, domains: Collection[int]) -> Iterator[DomainLoads]:
    """Give the block the loads of these domains; when it is left, all chunks are written.

    Raises:
        WarehouseBusy, WarehouseUnusable: Where the domains stand cannot be read.
    """
    with (
        open_resources(settings) as resources,
        open_store() as store,
        GroupCommit(partial(chunks_source, settings), settings.chunk_rows) as commits,
    ):
        yield DomainLoads(settings, domains, resources, store, commits)


def _positions(domains: Collection[int]) -> dict[int, Position]:
    if not domains:
        return {}
    with reading() as reader:
        known = read_positions(reader, domains)
    return {domain: known.get(domain, Position()) for domain in domains}
