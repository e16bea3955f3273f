"""Pages of clicks as Arrow tables.

Pages are converted column by column, many at once. Arrow does it in one go where every value
already has the column's type; otherwise the column is read value by value, with the same result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow.compute import (
    MatchSubstringOptions,
    SetLookupOptions,
    SliceOptions,
    call_function,
)

from link_assets.contract import CLICKS, DataType
from link_assets.rows.click_ids import click_ids
from link_assets.rows.column_names import ARROW_TYPES, arrow_schema, column_names
from link_assets.rows.convert import UnreadableValue, as_text, convert_value
from link_assets.rows.rejected import Rejection, reject, unusable

_SCHEMA = arrow_schema(CLICKS)
DOCUMENTED = frozenset(f.name for f in CLICKS.fields)
# Arrow does not mind offsets that move a moment out of the calendar.
_EDGE_YEARS = pa.array(("0000", "0001", "9999"))
_NUL = MatchSubstringOptions("\0")
Texts = TypeVar("Texts", pa.Array, pa.ChunkedArray)


@dataclass(frozen=True)
class ClickBatch:
    """Pages of clicks: every row of them is either in `table` or in `rejections`.

    `accepted` are the numbers, among all rows of the pages, of those in `table`. `versions`, where
    somebody has worked them out, tell by the rows' text whether two of one click are the same.
    """

    table: pa.Table
    rejections: list[Rejection]
    accepted: list[int]
    versions: list[int] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class _Column:
    """A field's values, and by row number why some of them are missing."""

    name: str
    column: str
    values: pa.Array
    problems: dict[int, str] = field(default_factory=dict)


def click_batches(pages: Sequence[Sequence[Any]], domain_id: int) -> list[ClickBatch]:
    """One batch of all the pages, or one of each if some row has to be rejected.

    So the rejections of a batch are those of one page, which number identical rows.
    """
    batch = _batch(pages, domain_id)
    whole = len(pages) == 1 or not batch.rejections
    return [batch] if whole else [_batch([page], domain_id) for page in pages]


def click_batch(rows: Sequence[Any], domain_id: int) -> ClickBatch:
    """The page as a table of the contract's columns and one text column per undocumented field.

    Undocumented fields are text whatever they hold (other values as their JSON text), because a
    column's type must not depend on which page or domain came first. One that is null in every
    accepted row makes no column.
    """
    return _batch([rows], domain_id)


def click_span(table: pa.Table) -> tuple[datetime | None, datetime | None]:
    """The first and the last time of a table of clicks; None if it has no row."""
    ends = call_function("min_max", [table.column("dt")]).as_py()
    return ends["min"], ends["max"]


def _batch(pages: Sequence[Sequence[Any]], domain_id: int) -> ClickBatch:
    rows = [row for page in pages for row in page]
    page_of_row = [number for number, page in enumerate(pages) for _ in page]
    objects = [row if isinstance(row, dict) else {} for row in rows]
    columns = [*_documented(objects), *_undocumented(objects)]
    reasons = _reasons(rows, columns)
    table = pa.table({column.column: column.values for column in columns})
    accepted = [i for i in range(len(rows)) if i not in reasons]
    if reasons:
        table = table.take(pa.array(accepted, pa.int64()))
        page_of_row = [page_of_row[i] for i in accepted]
    rejections = [reject(rows[i], why) for i, why in sorted(reasons.items())]
    return ClickBatch(finished(table, domain_id, page_of_row), rejections, accepted)


def _documented(objects: list[dict[str, Any]]) -> Iterator[_Column]:
    for f in CLICKS.fields:
        read = partial(convert_value, data_type=f.data_type)
        column = _column(f.name, f.column, objects, f.data_type, read)
        yield _required(column) if f.column in CLICKS.primary_key else column


def timestamps(texts: Texts) -> Texts:
    """Return the times that texts spell.

    Raises pa.ArrowInvalid if `convert_value` might read another time, or none.
    """
    years = call_function("utf8_slice_codeunits", [texts], SliceOptions(0, 4))
    at_edge = call_function("is_in", [years], SetLookupOptions(_EDGE_YEARS))
    if call_function("any", [at_edge]).as_py():
        raise pa.ArrowInvalid("a year at the calendar's edge")
    return texts.cast(ARROW_TYPES["timestamp"])


def _undocumented(objects: list[dict[str, Any]]) -> list[_Column]:
    told = [
        name
        for name in set().union(*objects) - DOCUMENTED
        if any(row.get(name) is not None for row in objects)
    ]
    names = sorted(column_names(told, CLICKS).items(), key=lambda item: item[1])
    return [_column(raw, column, objects, "text", as_text) for raw, column in names]


def _column(
    name: str,
    column: str,
    objects: list[dict[str, Any]],
    data_type: DataType,
    read: Callable[[Any], Any],
) -> _Column:
    values = [row.get(name) for row in objects]
    converted = _convert(values, data_type)
    if converted is not None:
        return _Column(name, column, converted)
    problems: dict[int, str] = {}
    for i, value in enumerate(values):
        try:
            values[i] = read(value)
        except UnreadableValue as unreadable:
            values[i], problems[i] = None, str(unreadable)
    return _Column(name, column, pa.array(values, ARROW_TYPES[data_type]), problems)


def _convert(values: list[Any], data_type: DataType) -> pa.Array | None:
    """The values as Arrow takes them, if it takes them all and as `convert_value` would."""
    if data_type == "bigint" and float in map(type, values):
        return None  # Arrow would cut off fractions
    try:
        if data_type == "timestamp":
            return timestamps(pa.array(values, pa.string()))
        converted = pa.array(values, ARROW_TYPES[data_type])
    except (TypeError, ValueError, OverflowError):
        return None
    return None if data_type == "text" and _has_nul(converted) else converted


def _has_nul(texts: pa.Array) -> bool:
    return bool(call_function("any", [call_function("match_substring", [texts], _NUL)]).as_py())


def _required(column: _Column) -> _Column:
    """The column with a problem wherever it has no value."""
    if not column.values.null_count:
        return column
    missing = [i for i, null in enumerate(column.values.is_null().to_pylist()) if null]
    problems = dict.fromkeys(missing, "is missing") | column.problems
    return _Column(column.name, column.column, column.values, problems)


def _reasons(rows: Sequence[Any], columns: Iterable[_Column]) -> dict[int, list[str]]:
    """By row number, everything that keeps the row out of the table."""
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for column in columns:
        for i, problem in column.problems.items():
            reasons[i].append(f"{column.name}: {problem}")
    return reasons | {i: [unusable(row)] for i, row in enumerate(rows) if not isinstance(row, dict)}


def finished(
    table: pa.Table, domain_id: int, page_of_row: list[int], *, plain: bool = False
) -> pa.Table:
    """The accepted rows with the loader's columns, without undocumented ones that say nothing.

    Texts are `plain` if JSON escapes none of their characters.
    """
    domain = pa.repeat(pa.scalar(domain_id, pa.int64()), table.num_rows)
    ids = click_ids(table, domain_id, page_of_row, plain=plain)
    added = zip((f.column for f in CLICKS.added), (domain, ids), strict=True)
    kept = {
        name: values
        for name, values in zip(table.column_names, table.columns, strict=True)
        if name in _SCHEMA.names or values.null_count < len(values)
    }
    columns = dict(added) | kept
    unknown = (pa.field(name, pa.string()) for name in columns if name not in _SCHEMA.names)
    return pa.table(columns, schema=pa.schema([*_SCHEMA, *unknown]))
