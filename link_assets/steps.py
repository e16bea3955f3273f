"""What becomes of pages: links turn into typed rows, clicks into Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.extract.items_transform import ItemTransform

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS
from link_assets.personal import PersonalData
from link_assets.progress import Progress
from link_assets.rows import Row, read_rows
from link_assets.traversal import Traversal

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.extract.items import DataItemWithMeta
    from dlt.sources.helpers.rest_client.client import PageData

    from link_assets.click_batches import ClickBatch
    from link_assets.click_reader import ClickReader, Known
    from link_assets.rejected import Rejection

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
    """Turns pages of links into typed rows, and those that cannot be into rejected rows."""

    def __init__(self, personal: PersonalData, progress: Progress) -> None:
        super().__init__()
        self.personal = personal
        self.progress = progress

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        from link_assets.link_rows import link_id, link_row
        from link_assets.rejected import Rejection

        rows = self.personal.treat(read_rows(item), LINKS)
        read = [link_row(row) for row in rows]
        rejections = [row for row in read if isinstance(row, Rejection)]
        unread = (row for row, link in zip(rows, read, strict=True) if isinstance(link, Rejection))
        self.progress.unread_links += map(link_id, unread)
        self.progress.count(len(item))
        self.progress.rejected += len(rejections)
        links = [row for row in read if not isinstance(row, Rejection)]
        items = rejected_rows(LINKS.name, None, rejections)
        return iter([*items, links or dlt.mark.materialize_table_schema()])


class ClickPages(PageStep):
    """Turns pages of clicks into Arrow tables and notes how far the traversal has come.

    Many pages are read at once, in another thread while the next ones are fetched, and then handed
    on, no click twice; the last page of a chunk waits for all. Where to go on is noted when what
    came before is handed on.
    """

    def __init__(self, domain_id: int, traversal: Traversal) -> None:
        super().__init__()
        self.domain_id = domain_id
        self.traversal = traversal
        self.pages: list[list[Row]] = []
        self.reading: Future[list[ClickBatch]] | None = None
        self.read_to: tuple[int, str | None] = (0, None)
        self.read_bytes = 0
        self.seen: set[str] = set()

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        page = cast("PageData[Row]", item)
        self.pages.append([*page])
        ended = self.traversal.passed(page)
        batches: list[ClickBatch] = []
        if ended or self._is_batch():
            batches += self._read_meanwhile()
            self.reading = _READERS.submit(self.reader.read, self.pages)
            self.read_to = (self.traversal.pages, self.traversal.next_token)
            self.pages, self.read_bytes = [], self.traversal.bytes
        if ended:
            batches += self._read_meanwhile()
        items = self._hand_on(batches) if batches else []
        if ended:
            self.seen.clear()  # the next chunk is fetched while this one's source is still there
        if self.traversal.progress.finished:
            self.traversal.finish()
        return iter(items)

    @cached_property
    def reader(self) -> ClickReader:
        from link_assets.click_reader import ClickReader

        return ClickReader(self.domain_id, self.traversal.personal, _KNOWN)

    def _is_batch(self) -> bool:
        rows, size = sum(map(len, self.pages)), self.traversal.bytes - self.read_bytes
        return rows >= BATCH_ROWS or size >= BATCH_BYTES

    def _read_meanwhile(self) -> list[ClickBatch]:
        if self.reading is None:
            return []
        batches, self.reading = self.reading.result(), None
        self.traversal.handed_on(*self.read_to)
        return batches

    def _hand_on(self, batches: list[ClickBatch]) -> list[Any]:
        """What dlt gets of them; one table, since dlt may be told to take no more than so many."""
        from link_assets.click_batches import click_span

        items: list[Any] = []
        for batch in batches:
            self.traversal.saw(*click_span(batch.table), len(batch.rejections))
            items += rejected_rows(CLICKS.name, self.domain_id, batch.rejections)
        return [_to_load([self._unseen(batch.table) for batch in batches]), *items]

    def _unseen(self, table: pa.Table) -> pa.Table:
        """The table without clicks that came before: pages shift while they are read."""
        ids = table.column("click_id").to_pylist()
        new = set(ids) - self.seen
        self.seen |= new
        if len(new) == len(ids):
            return table
        # of each new one the first row: the set loses what it gives
        return table.filter([id in new and not new.discard(id) for id in ids])


def _to_load(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="default")
    # in its place for dlt to fill in, since dlt writes a file anew for columns out of order
    load_id = pa.field(C_DLT_LOAD_ID, pa.string(), nullable=False)
    return table.add_column(len(CLICKS.columns), load_id, pa.nulls(len(table), pa.string()))


def rejected_rows(
    resource: str, domain_id: int | None, rejections: list[Rejection]
) -> list[DataItemWithMeta]:
    """What a step returns so that rejected rows reach their table; nothing if there are none."""
    from link_assets.rejected import rejected_batch

    if not rejections:
        return []
    hints = dlt.mark.make_hints(
        table_name=REJECTED_ROWS.name,
        primary_key=list(REJECTED_ROWS.primary_key),
        write_disposition="merge",
    )
    batch = rejected_batch(resource, domain_id, rejections)
    return [dlt.mark.with_hints(batch, hints, create_table_variant=True)]
