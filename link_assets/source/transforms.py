"""Pages become what dlt loads: clicks Arrow tables, and what cannot be read rejected rows.

dlt calls a transform with each page of its resource. A page goes one way: it is added to the chunk,
which decides whether it ends there; it is converted together with its neighbours in another
thread; what came of it is kept in the chunk's state and handed to dlt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.extract.items_transform import ItemTransform

from link_assets.contract import CLICKS, REJECTED_ROWS
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import RawRow, parse_rows
from link_assets.source.load_ids import with_load_id
from link_assets.source.paging import EndpointPaginator
from link_assets.source.resume import Chunk, Converted
from link_assets.source.run_resources import RunResources

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa
    from dlt.extract.items import DataItemWithMeta
    from dlt.sources.helpers.rest_client.client import PageData

    from link_assets.rows.clicks import ClickBatch
    from link_assets.rows.clicks_arrow import ClickReader

BATCH_ROWS = 4_000
"""Rows that are converted and handed to dlt at once, to the page: of clicks, or of links."""
BATCH_BYTES = 8_000_000
"""Likewise, how much JSON text: each batch becomes a block that DuckDB reads in one go."""


class PageTransform(ItemTransform):
    """A transform that gets whole pages where dlt's own get rows.

    It touches the state of a read only while it is called: dlt takes up what a call returns in its
    own time, which may be after the next page has come.
    """

    def __init__(self) -> None:
        super().__init__(lambda page: page)


class ClickPages(PageTransform):
    """Turns pages of clicks into Arrow tables.

    Many pages are converted at once, in another thread while the next ones are fetched, and then
    handed to dlt; the last page of a chunk waits for all. Where to go on is kept when what came
    before is handed to dlt.

    A chunk has no click twice, since the merge relies on that. Of a click that comes twice in pages
    handed to dlt together, the last version is kept. A click that was handed to dlt before is left
    out if it comes again unchanged; if it has changed, the chunk ends before those pages, and the
    next chunk, which asks for them again, replaces it.
    """

    def __init__(
        self,
        domain_id: int,
        chunk: Chunk,
        personal: PersonalData,
        resources: RunResources,
        items_of: Callable[[FetchedRows], list[Any]],
    ) -> None:
        super().__init__()
        self._domain_id = domain_id
        self._chunk = chunk
        self._items_of = items_of
        self._personal = personal
        self._resources = resources
        self._pages: list[list[RawRow]] = []
        self._converting: Future[list[ClickBatch]] | None = None
        self._converting_to = chunk.mark
        self._converted_bytes = 0
        self._versions: dict[int, int] = {}
        """By hash of the click's id, the last version of each click that waits to be handed on."""
        self._handed_on: dict[int, int] = {}
        """The same for the clicks that were handed on."""

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        """Return the items of what is ready to be loaded: nothing, or rows."""
        page = cast("PageData[RawRow]", item)
        paginator = cast(EndpointPaginator, page.paginator)
        self._pages.append([*page])
        position, size = paginator.next_position, sum(map(len, page))
        ends = self._chunk.add(len(page), size, position, self._is_past(page))
        ready = self._convert(ends, paginator)
        items = self._hand_on(ready) if ready else []
        if ends or not paginator.has_next_page:
            paginator.stop()
            self._handed_on.clear()  # the next chunk is fetched while this one is still there
        if self._chunk.read.finished:
            self._chunk.end()
        return iter(items)

    @cached_property
    def _reader(self) -> ClickReader:
        from link_assets.rows.clicks_arrow import ClickReader

        return ClickReader(self._domain_id, self._personal, self._resources.known)

    def _is_past(self, page: PageData[RawRow]) -> bool:
        """Return whether only clicks follow that are older than this read looks back."""
        if not self._chunk.may_end_early:
            return False
        from link_assets.rows.clicks import click_batch, click_span

        first, last = click_span(click_batch(parse_rows(page), domain_id=0).table)
        return first is not None and last is not None and self._chunk.is_past(first, last)

    def _convert(self, ends: bool, paginator: EndpointPaginator) -> list[_Ready]:
        """Return the batches that are ready: all of them if the chunk ends."""
        if not (ends or self._is_batch()):
            return []
        ready = self._finish_converting(paginator)
        self._start_converting()
        return [*ready, *self._finish_converting(paginator)] if ends else ready

    def _is_batch(self) -> bool:
        rows, size = sum(map(len, self._pages)), self._chunk.bytes - self._converted_bytes
        return rows >= BATCH_ROWS or size >= BATCH_BYTES

    def _start_converting(self) -> None:
        """Have the pages so far converted in another thread."""
        if self._pages:
            self._converting = self._resources.threads.submit(self._reader.read, self._pages)
            self._converting_to, self._pages = self._chunk.mark, []
            self._converted_bytes = self._chunk.bytes

    def _finish_converting(self, paginator: EndpointPaginator) -> list[_Ready]:
        """Return what was converted; nothing if the chunk must end before it."""
        if self._converting is None:
            return []
        batches, self._converting = self._converting.result(), None
        ready = [_ready(batch, self._domain_id, self._chunk.oldest) for batch in batches]
        versions = dict(pair for batch in ready for pair in batch.versions.items())
        repeated = self._handed_on.keys() & versions.keys()
        if any(self._handed_on[click] != versions[click] for click in repeated):
            self._chunk.turn_back()
            paginator.stop()
            self._pages = []
            return []
        self._versions |= versions
        self._chunk.keep(self._converting_to, [batch.converted for batch in ready])
        return ready

    def _hand_on(self, ready: list[_Ready]) -> list[Any]:
        """Return them together, since dlt may be set to take only so many items."""
        table = _to_load([batch.clicks for batch in ready])
        comes_again = not self._handed_on.keys().isdisjoint(self._versions)
        if comes_again or len(self._versions) < len(table):
            table = self._last_of_each(table)
        self._handed_on |= self._versions
        self._versions = {}
        rejected = [batch.rejected for batch in ready if len(batch.rejected)]
        return self._items_of(FetchedRows(table, rejected))

    def _last_of_each(self, table: pa.Table) -> pa.Table:
        """Return the last row of each click that was not handed on before."""
        clicks = table.column("click_id").to_pylist()
        last = dict(zip(clicks, range(len(clicks)), strict=True))
        kept = {number for click, number in last.items() if hash(click) not in self._handed_on}
        return table.filter([number in kept for number in range(len(clicks))])


@dataclass(frozen=True)
class FetchedRows:
    """Clicks that can be loaded, and rejected rows."""

    clicks: pa.Table
    rejected: Sequence[pa.Table] = ()


def items_for_dlt(rows: FetchedRows) -> list[Any]:
    """Return what dlt takes for its tables: clicks, and rejected rows with their hints."""
    return [rows.clicks, *(item for table in rows.rejected for item in rejected_rows(table))]


@dataclass(frozen=True)
class _Ready:
    """Clicks and rejected rows that can be handed on, and what the chunk keeps of them.

    `versions` has, by a hash of each click's id, which takes less room than the id, its version.
    """

    clicks: pa.Table
    rejected: pa.Table
    converted: Converted
    versions: Mapping[int, int]


def _ready(batch: ClickBatch, domain_id: int, oldest: datetime | None) -> _Ready:
    """Return what is loaded of a batch: if `oldest` is not None, clicks from then on."""
    from link_assets.rows.clicks import click_span
    from link_assets.rows.rejected_arrow import rejected_batch, row_ids

    kept = batch.since(oldest) if oldest else batch
    rejected = rejected_batch(CLICKS.name, domain_id, batch.rejections)
    too_old = len(batch.table) - len(kept.table)
    converted = Converted(*click_span(batch.table), row_ids(rejected), too_old)
    clicks = kept.table.column("click_id").to_pylist()
    versions = dict(zip(map(hash, clicks), kept.versions, strict=True))
    return _Ready(kept.table, rejected, converted, versions)


def _to_load(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="default")
    # in its place for dlt to fill in, since dlt writes a file anew for columns out of order
    load_id = pa.field(C_DLT_LOAD_ID, pa.string(), nullable=False)
    return table.add_column(len(CLICKS.columns), load_id, pa.nulls(len(table), pa.string()))


def rejected_rows(table: pa.Table) -> list[DataItemWithMeta]:
    """Return what dlt takes for its table `rejected_rows`; nothing if there are none."""
    if not len(table):
        return []
    hints = dlt.mark.make_hints(
        table_name=REJECTED_ROWS.name,
        primary_key=list(REJECTED_ROWS.primary_key),
        write_disposition="merge",
    )
    return [dlt.mark.with_hints(with_load_id(table), hints, create_table_variant=True)]
