"""Clicks read straight from their JSON text, many pages at once, by Arrow.

Arrow lets other threads go on meanwhile, and takes a value only if it has the column's type. What
it does not take is read by way of Python's objects (click_batches), with the same result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, cast

import pyarrow as pa
from pyarrow import json as arrow_json

from link_assets.contract import CLICKS
from link_assets.rows.clicks import (
    DOCUMENTED,
    ClickBatch,
    click_batches,
    finished,
    timestamps,
)
from link_assets.rows.column_names import ARROW_TYPES, column_names
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_rows

OBJECT_ROWS = 750
"""Rows that are made objects at once, to the page: other threads wait meanwhile."""

_AS_GIVEN = [
    pa.field(f.name, pa.string() if f.data_type == "timestamp" else ARROW_TYPES[f.data_type])
    for f in CLICKS.fields
]
_SAME_TEXT = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}
"""Arrow's type for what it makes the same text of as `as_text`."""

_REFUSALS = (pa.ArrowInvalid, OverflowError)
"""Of a value, of too much text for one block."""
_NULL = b"null"
_NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")
"""Finds -0 in JSON text; may find it within a text as well."""
_BACKSLASH, _ESCAPED_NUL = b"\\", rb"\u0000"
_Pages = Sequence[Sequence[RawRow | DamagedRow]]
Known = dict[str, pa.DataType]
"""Undocumented fields, and as what Arrow may take them."""


class ClickReader:
    """Reads the pages of a domain's clicks."""

    def __init__(self, domain_id: int, personal: PersonalData, known: Known | None = None) -> None:
        """Readers of other domains may share what is `known`, which grows."""
        self._domain_id = domain_id
        self._personal = personal
        self._known: Known = {} if known is None else known
        self._learned: Known = {}

    def read(self, pages: _Pages) -> list[ClickBatch]:
        """Every row of the pages, in batches of as many of them as could be read together."""
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
        """Notes undocumented fields for all readers; what one saw itself goes before all else."""
        for name in filter(_is_text, set().union(*objects) - DOCUMENTED):
            kinds = {type(row[name]) for row in objects if row.get(name) is not None}
            if len(kinds) == 1:
                self._learned[name] = _SAME_TEXT.get(kinds.pop(), pa.string())
            else:
                self._learned.setdefault(name, self._known.get(name, pa.string()))
        self._known.update(self._learned)

    def _read_at_once(self, pages: _Pages) -> pa.Table | None:
        """One table of all rows; None if Arrow would refuse one or read it otherwise."""
        if any(DamagedRow in map(type, page) for page in pages):
            return None
        rows = cast(Sequence[Sequence[RawRow]], pages)
        if any(len(_NULL) in map(len, page) for page in rows):
            return None  # it may be null, on which Arrow's reader crashes
        text = b"\n".join(row for page in rows for row in page)
        plain = _BACKSLASH not in text
        undocumented = self._known | self._learned
        if not plain and _ESCAPED_NUL in text:
            return None  # Arrow would take it, some warehouses do not
        if pa.int64() in undocumented.values() and _NEGATIVE_ZERO.search(text):
            return None  # Arrow would read 0, but a text column has it as it is spelled
        try:
            given = _read(text, pa.schema([*_AS_GIVEN, *undocumented.items()]))
            columns = dict(self._columns(given, undocumented))
        except _REFUSALS:
            return None
        page_of_row = [number for number, page in enumerate(pages) for _ in page]
        without_key = any(columns[n].null_count for n in CLICKS.primary_key if n in columns)
        if without_key or len(given) != len(page_of_row):
            return None
        return finished(pa.table(columns), self._domain_id, page_of_row, plain=plain)

    def _columns(
        self, given: pa.Table, undocumented: Iterable[str]
    ) -> Iterator[tuple[str, pa.ChunkedArray]]:
        treatments = self._personal.changes(CLICKS)
        for f in CLICKS.fields:
            values = given.column(f.name)
            if f.data_type == "timestamp":
                values = timestamps(values)
            if change := treatments.get(f.name):
                changed = [None if v is None else change(v) for v in values.to_pylist()]
                values = pa.chunked_array([pa.array(changed, values.type)])
            yield f.column, values
        told = [n for n in undocumented if given.column(n).null_count < len(given)]
        for name, column in sorted(column_names(told, CLICKS).items(), key=lambda item: item[1]):
            yield column, given.column(name).cast(pa.string())


def _with_versions(batch: ClickBatch, pages: _Pages) -> ClickBatch:
    """Add what tells whether a row of these pages has come before as it is."""
    # a damaged row is never accepted
    rows = cast(list[RawRow], [row for page in pages for row in page])
    return replace(batch, versions=[hash(bytes(rows[i])) for i in batch.accepted])


def _is_text(name: str) -> bool:
    """Whether Arrow can have a field of this name: half a surrogate pair is none."""
    return name == name.encode(errors="ignore").decode()


def _read(text: bytes, schema: pa.Schema) -> pa.Table:
    """The rows, of which none may be null.

    Raises pa.ArrowInvalid if one is no object of these fields, all of them of these types.
    """
    # all in one block, of which the calling thread makes one table
    reading = arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    parsing = arrow_json.ParseOptions(
        schema, newlines_in_values=True, unexpected_field_behavior="error"
    )
    # Arrow's own pool would keep for later what a block takes
    pool = pa.system_memory_pool()
    return arrow_json.read_json(pa.BufferReader(text), reading, parsing, pool)


def _split(pages: _Pages) -> tuple[_Pages, _Pages]:
    """The first pages, of OBJECT_ROWS rows if there are so many, and the others."""
    rows = accumulate(map(len, pages))
    first = next((n for n, count in enumerate(rows, 1) if count >= OBJECT_ROWS), len(pages))
    return pages[:first], pages[first:]
