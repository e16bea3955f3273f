"""What becomes of pages: links turn into typed rows, clicks into Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.schema.typing import C_DLT_ID, C_DLT_LOAD_ID
from dlt.extract.items_transform import ItemTransform

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import RawRow, parse_rows
from link_assets.source.load_stats import LoadStats
from link_assets.source.resume import ResumableRead

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.extract.items import DataItemWithMeta
    from dlt.sources.helpers.rest_client.client import PageData

    from link_assets.rows.clicks import ClickBatch
    from link_assets.rows.clicks_arrow import ClickReader, Known

BATCH_ROWS = 4_000
"""Rows of clicks that are read and handed to dlt at once, to the page."""
BATCH_BYTES = 8_000_000
"""Likewise, how much JSON text: each batch becomes a block that DuckDB reads in one go."""
# for all domains of the process together
_READERS = ThreadPoolExecutor(os.cpu_count(), "reader")
_KNOWN: Known = {}


class PageStep(ItemTransform):
    """A step that gets whole pages where dlt's own steps get rows.

    It looks at dlt's state only while it is called: what a call returns is taken up by dlt in its
    own time, which may be after the next page has come.
    """

    def __init__(self) -> None:
        super().__init__(lambda page: page)


class LinkPages(PageStep):
    """Turns pages of links into typed rows, and those that cannot be into rejected rows.

    Each link gets its `_dlt_id` here, in ascending order, by which the merge knows the last
    version of a link that is listed twice (source.LINK_ID).
    """

    def __init__(self, personal: PersonalData, progress: LoadStats) -> None:
        super().__init__()
        self.personal = personal
        self.progress = progress
        listing = token_hex(8)
        self.dlt_ids = (f"{listing}{number:010}" for number in count())

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        from link_assets.rows.links import link_id, link_row
        from link_assets.rows.rejected import Rejection, rejected_batch, row_ids

        rows = self.personal.treat(parse_rows(item), LINKS)
        read = [link_row(row) for row in rows]
        rejections = [row for row in read if isinstance(row, Rejection)]
        unread = (row for row, link in zip(rows, read, strict=True) if isinstance(link, Rejection))
        self.progress.unread_links += map(link_id, unread)
        self.progress.count(len(item))
        links = [
            row | {C_DLT_ID: next(self.dlt_ids)} for row in read if not isinstance(row, Rejection)
        ]
        table = rejected_batch(LINKS.name, None, rejections)
        self.progress.reject(row_ids(table))
        return iter([*rejected_rows(table), links or dlt.mark.materialize_table_schema()])


class ClickPages(PageStep):
    """Turns pages of clicks into Arrow tables and notes how far the traversal has come.

    Many pages are read at once, in another thread while the next ones are fetched, and then handed
    on; the last page of a chunk waits for all. Where to go on is noted when what came before is
    handed on.

    A chunk has no click twice, since the merge relies on that, and of a click that comes twice the
    last version is loaded. Among pages that are handed on together only the last one is kept.
    A click that was handed on before is left out if it comes again unchanged; if it has changed,
    the chunk ends before those pages, and the next chunk, which asks for them again, replaces it.
    """

    def __init__(self, domain_id: int, traversal: ResumableRead) -> None:
        super().__init__()
        self.domain_id = domain_id
        self.traversal = traversal
        self.pages: list[list[RawRow]] = []
        self.reading: Future[list[ClickBatch]] | None = None
        self.read_to = traversal.position
        self.read_bytes = 0
        self.read: dict[int, int] = {}
        """By hash of the click's id, the last version of what is to be handed on."""
        self.seen: dict[int, int] = {}
        """The same of what was handed on."""

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        page = cast("PageData[RawRow]", item)
        self.pages.append([*page])
        ended = self.traversal.passed(page)
        batches: list[ClickBatch] = []
        if ended or self._is_batch():
            batches += self._finish_reading(page)
            self._start_reading()
        if ended:
            batches += self._finish_reading(page)
        items = self._hand_on(batches) if batches else []
        if not page.paginator.has_next_page:
            self.seen.clear()  # the next chunk is fetched while this one's source is still there
        if self.traversal.progress.finished:
            self.traversal.finish()
        return iter(items)

    @cached_property
    def reader(self) -> ClickReader:
        from link_assets.rows.clicks_arrow import ClickReader

        return ClickReader(self.domain_id, self.traversal.personal, _KNOWN)

    def _is_batch(self) -> bool:
        rows, size = sum(map(len, self.pages)), self.traversal.bytes - self.read_bytes
        return rows >= BATCH_ROWS or size >= BATCH_BYTES

    def _start_reading(self) -> None:
        """Have the pages so far read in another thread."""
        if self.pages:
            self.reading = _READERS.submit(self.reader.read, self.pages)
            self.read_to, self.pages = self.traversal.position, []
            self.read_bytes = self.traversal.bytes

    def _finish_reading(self, page: PageData[RawRow]) -> list[ClickBatch]:
        """Return what was read, to be handed on; nothing if the chunk must end before it."""
        if self.reading is None:
            return []
        batches, self.reading = self.reading.result(), None
        read = {click: version for batch in batches for click, version in _versions(batch)}
        if any(self.seen[click] != read[click] for click in self.seen.keys() & read.keys()):
            self.traversal.turn_back(page)
            self.pages = []
            return []
        self.read |= read
        self.traversal.handed_on(self.read_to)
        return batches

    def _hand_on(self, batches: list[ClickBatch]) -> list[Any]:
        """What dlt gets of them; one table, since dlt may be told to take no more than so many."""
        from link_assets.rows.clicks import click_span
        from link_assets.rows.rejected import rejected_batch, row_ids

        items: list[Any] = []
        for batch in batches:
            rejected = rejected_batch(CLICKS.name, self.domain_id, batch.rejections)
            self.traversal.saw(*click_span(batch.table), row_ids(rejected))
            items += rejected_rows(rejected)
        table = _to_load([batch.table for batch in batches])
        if len(self.read) < len(table) or not self.seen.keys().isdisjoint(self.read):
            table = self._last_of_each(table)
        self.seen |= self.read
        self.read = {}
        return [table, *items]

    def _last_of_each(self, table: pa.Table) -> pa.Table:
        """Return the last row of each click that was not handed on before."""
        clicks = table.column("click_id").to_pylist()
        last = dict(zip(clicks, range(len(clicks)), strict=True))
        kept = {number for click, number in last.items() if hash(click) not in self.seen}
        return table.filter([number in kept for number in range(len(clicks))])


def _versions(batch: ClickBatch) -> Iterator[tuple[int, int]]:
    """Pair a hash of each click's id, which takes less room than the id, with its version."""
    clicks = batch.table.column("click_id").to_pylist()
    return zip(map(hash, clicks), batch.versions, strict=True)


def _to_load(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="default")
    # in its place for dlt to fill in, since dlt writes a file anew for columns out of order
    load_id = pa.field(C_DLT_LOAD_ID, pa.string(), nullable=False)
    return table.add_column(len(CLICKS.columns), load_id, pa.nulls(len(table), pa.string()))


def rejected_rows(table: pa.Table) -> list[DataItemWithMeta]:
    """What a step returns so that rejected rows reach their table; nothing if there are none."""
    if not len(table):
        return []
    hints = dlt.mark.make_hints(
        table_name=REJECTED_ROWS.name,
        primary_key=list(REJECTED_ROWS.primary_key),
        write_disposition="merge",
    )
    return [dlt.mark.with_hints(table, hints, create_table_variant=True)]
