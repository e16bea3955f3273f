"""Chunks of clicks that are fetched ahead, and loaded together with those of other domains.

`fetch_chunk` reads the next chunk of one domain with dlt's REST source, outside any pipeline;
`chunks_source` is the dlt source that loads the chunks of any number of domains at once. Between
the two their tables are in a TableStore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.extract import DltResource, DltSource

from link_assets.contract import CLICKS
from link_assets.settings import ApiSettings
from link_assets.source.rest import SOURCE_NAME, declare_tables, fetched_clicks
from link_assets.source.resume import ClicksRead
from link_assets.source.run_resources import RunResources
from link_assets.source.table_store import StoredTable, TableStore
from link_assets.source.transforms import BATCH_ROWS, FetchedRows, rejected_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ClickChunk:
    """The next `rows` of a domain's clicks, and the `state` to go on from.

    A chunk without a state is a part of one: nothing goes on from it.
    """

    domain_id: int
    rows: int
    state: Mapping[str, Any] | None
    clicks: Sequence[StoredTable]
    rejected: Sequence[StoredTable]

    def halves(self) -> tuple[ClickChunk, ClickChunk] | None:
        """Return two chunks to load one after the other; None if it cannot be divided.

        The first has no state: until the second is loaded, the next run goes on from before both.
        """
        tables = self.clicks
        if len(tables) == 1:
            tables = tables[0].halves() or ()
        middle = len(tables) // 2
        if not middle:
            return None
        first = replace(self, state=None, clicks=tables[:middle], rejected=())
        return first, replace(self, clicks=tables[middle:])

    def discard(self) -> None:
        """Give back the room that the tables take; the chunk cannot be loaded any more."""
        for table in (*self.clicks, *self.rejected):
            table.discard()


def fetch_chunk(
    settings: ApiSettings,
    domain_id: int,
    read: ClicksRead,
    store: TableStore,
    *,
    resources: RunResources | None = None,
    host: str | None = None,
) -> ClickChunk:
    """Fetch a domain's next chunk into a store; arguments else as for `clicks_source`.

    Raises:
        ResourceExtractionError: dlt's error around what `clicks_source` names.
    """
    source = fetched_clicks(settings, domain_id, read, resources=resources, host=host)
    clicks, rejected = list[StoredTable](), list[StoredTable]()
    try:
        for fetched in cast(Iterator[FetchedRows], source):
            clicks.append(store.keep(fetched.clicks))
            rejected += map(store.keep, fetched.rejected)
    except BaseException:
        for table in (*clicks, *rejected):
            table.discard()
        raise
    rows = sum(table.rows for table in (*clicks, *rejected))
    return ClickChunk(domain_id, rows, deepcopy(read.state), clicks, rejected)


def chunks_source(settings: ApiSettings, chunks: Sequence[ClickChunk]) -> DltSource:
    """Make the source that loads chunks of different domains, with their rejected rows."""
    schema = dlt.Schema(SOURCE_NAME)
    declare_tables(schema, settings, (CLICKS,))
    clicks = dlt.resource(
        _tables(chunks),
        name=CLICKS.name,
        primary_key=list(CLICKS.primary_key),
        write_disposition="merge",
    )
    return DltSource(schema, SOURCE_NAME, [cast(DltResource, clicks)])


def _tables(chunks: Sequence[ClickChunk]) -> Iterator[Any]:
    """Yield what dlt takes for its tables; of many small chunks as few tables as of a large one."""
    yield dlt.mark.materialize_table_schema()
    yield from _lots(table for chunk in chunks for table in chunk.clicks)
    for rejected in _lots(table for chunk in chunks for table in chunk.rejected):
        yield from rejected_rows(rejected)


def _lots(stored: Iterator[StoredTable]) -> Iterator[pa.Table]:
    """Yield tables, small ones together, up to about BATCH_ROWS rows."""
    import pyarrow as pa

    lot: list[pa.Table] = []
    for table in stored:
        lot.append(table.read())
        if sum(map(len, lot)) >= BATCH_ROWS:
            yield pa.concat_tables(lot, promote_options="default")
            lot = []
    if lot:
        yield pa.concat_tables(lot, promote_options="default")
