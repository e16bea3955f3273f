"""Clicks read straight from their JSON text by Arrow, many pages at once.

`source` reads the clicks of a domain with a `ClickReader`. Arrow lets other threads run
meanwhile, and takes half the CPU of parsing to Python objects first. It reads a value only if it
has the type of its column; pages with any other are read as objects (`clicks`), with the same
result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, cast

import pyarrow as pa
from pyarrow import json as arrow_json

from link_assets.contract import CLICKS
from link_assets.rows.arrow_types import ARROW_TYPES
from link_assets.rows.clicks import (
    DOCUMENTED,
    ClickBatch,
    click_batches,
    completed,
)
from link_assets.rows.column_names import column_names
from link_assets.rows.columns import timestamps
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import NEGATIVE_ZERO, DamagedRow, RawRow, parse_rows

OBJECT_ROWS = 750
"""Rows that are parsed to objects at once, to the end of a page; other threads wait meanwhile."""

_FIELDS = [
    pa.field(f.name, pa.string() if f.data_type == "timestamp" else ARROW_TYPES[f.data_type])
    for f in CLICKS.fields
]
"""The documented fields as Arrow reads them; times are cast afterwards."""
_SAME_TEXT = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}
"""By Python type, the type that Arrow may read an undocumented field as.

Cast to text, its values are spelled as `as_text` spells them. Values of other types are not.
"""
_REFUSALS = (pa.ArrowInvalid, OverflowError)
"""What Arrow raises for a value that it cannot read, and for too much text in one block."""
_NULL = b"null"
_BACKSLASH, _ESCAPED_NUL = b"\\", rb"\u0000"
_Pages = Sequence[Sequence[RawRow | DamagedRow]]
Known = dict[str, pa.DataType]
"""Undocumented fields with the types that Arrow may read them as."""


class ClickReader:
    """Reads the pages of a domain's clicks, and learns their undocumented fields.

    Arrow has to know every field before it reads. The first pages with a new field are read as
    objects; from then on Arrow reads it, too.
    """

    def __init__(self, domain_id: int, personal: PersonalData, known: Known | None = None) -> None:
        """Make a reader.

        Args:
            domain_id: The domain that was clicked on.
            personal: What becomes of personal fields.
            known: Undocumented fields that readers of other domains have learned. The reader adds
                its own.
        """
        self._domain_id = domain_id
        self._personal = personal
        self._known: Known = {} if known is None else known
        self._learned: Known = {}

    def read(self, pages: _Pages) -> list[ClickBatch]:
        """Return every row of the pages, in batches of as many pages as were read together."""
        batches: list[ClickBatch] = []
        while (table := self._read_at_once(pages)) is None:
            first, pages = _split(pages)
            batches += self._read_as_objects(first)
            if not pages:
                return batches
        batch = ClickBatch(table, [], list(range(len(table))))
        return [*batches, _with_versions(batch, pages)]

    def _read_as_objects(self, pages: _Pages) -> list[ClickBatch]:
        read = [parse_rows(page) for page in pages]
        self._learn([row for page in read for row in page if isinstance(row, dict)])
        treated = [self._personal.treat(page, CLICKS) for page in read]
        batches = click_batches(treated, self._domain_id)
        parts = [pages] if len(batches) == 1 else [[page] for page in pages]
        return [_with_versions(*made) for made in zip(batches, parts, strict=True)]

    def _learn(self, objects: Sequence[dict[str, Any]]) -> None:
        """Note the undocumented fields of these rows for all readers.

        A reader trusts what it has seen itself before what others have seen. A field that is null
        or of several types in these rows keeps the type that is known.
        """
        for name in filter(_is_text, set().union(*objects) - DOCUMENTED):
            kinds = {type(row[name]) for row in objects if row.get(name) is not None}
            if len(kinds) == 1:
                self._learned[name] = _SAME_TEXT.get(kinds.pop(), pa.string())
            else:
                self._learned.setdefault(name, self._known.get(name, pa.string()))
        self._known.update(self._learned)

    def _read_at_once(self, pages: _Pages) -> pa.Table | None:
        """Return one table of all rows; None if Arrow cannot read one or would read it wrong."""
        undocumented = self._known | self._learned
        text = _text_for_arrow(pages, with_whole_numbers=pa.int64() in undocumented.values())
        if text is None:
            return None
        try:
            read = _read(text, pa.schema([*_FIELDS, *undocumented.items()]))
            columns = dict(self._columns(read, undocumented))
        except _REFUSALS:
            return None
        page_of_row = [number for number, page in enumerate(pages) for _ in page]
        without_key = any(columns[n].null_count for n in CLICKS.primary_key if n in columns)
        if without_key or len(read) != len(page_of_row):
            return None
        plain = _BACKSLASH not in text
        return completed(pa.table(columns), self._domain_id, page_of_row, plain=plain)

    def _columns(
        self, read: pa.Table, undocumented: Iterable[str]
    ) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """Yield the columns of what Arrow has read, with times cast and personal fields treated."""
        treatments = self._personal.changes(CLICKS)
        for f in CLICKS.fields:
            values = read.column(f.name)
            if f.data_type == "timestamp":
                values = timestamps(values)
            if change := treatments.get(f.name):
                changed = [None if v is None else change(v) for v in values.to_pylist()]
                values = pa.chunked_array([pa.array(changed, values.type)])
            yield f.column, values
        filled = [n for n in undocumented if read.column(n).null_count < len(read)]
        for name, column in sorted(column_names(filled, CLICKS).items(), key=lambda item: item[1]):
            yield column, read.column(name).cast(pa.string())


def _text_for_arrow(pages: _Pages, *, with_whole_numbers: bool) -> bytes | None:
    """Return the rows as lines of JSON; None if Arrow would fail on one, or read it wrong.

    `with_whole_numbers` says whether Arrow reads an undocumented field as a whole number.
    """
    if any(DamagedRow in map(type, page) for page in pages):
        return None
    rows = cast(Sequence[Sequence[RawRow]], pages)
    if any(len(_NULL) in map(len, page) for page in rows):
        return None  # the row may be null, on which Arrow's reader crashes
    text = b"\n".join(row for page in rows for row in page)
    # looking for one character first takes a tenth of the time
    if _BACKSLASH in text and _ESCAPED_NUL in text:
        return None  # Arrow reads it, but not every warehouse can hold it
    if with_whole_numbers and NEGATIVE_ZERO.search(text):
        return None  # Arrow reads 0, but a text column keeps the spelling
    return text


def _with_versions(batch: ClickBatch, pages: _Pages) -> ClickBatch:
    """Return a batch of these pages with its versions."""
    # a damaged row is never accepted
    rows = cast(list[RawRow], [row for page in pages for row in page])
    return replace(batch, versions=[hash(bytes(rows[i])) for i in batch.accepted])


def _is_text(name: str) -> bool:
    """Return whether a field's name is valid Unicode, as Arrow needs; half a pair is not."""
    return name == name.encode(errors="ignore").decode()


def _read(text: bytes, schema: pa.Schema) -> pa.Table:
    """Return JSON rows, none of them null, as a table of these fields.

    Raises:
        pa.ArrowInvalid: A row is no object, or has another field or a value of another type.
    """
    # in one block, which the calling thread reads as one table
    reading = arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    parsing = arrow_json.ParseOptions(
        schema, newlines_in_values=True, unexpected_field_behavior="error"
    )
    # Arrow's own pool would keep the memory of a block
    pool = pa.system_memory_pool()
    return arrow_json.read_json(pa.BufferReader(text), reading, parsing, pool)


def _split(pages: _Pages) -> tuple[_Pages, _Pages]:
    """Return the first pages with OBJECT_ROWS rows or more, if there are as many, and the rest."""
    rows = accumulate(map(len, pages))
    first = next((n for n, count in enumerate(rows, 1) if count >= OBJECT_ROWS), len(pages))
    return pages[:first], pages[first:]
