"""A field of many rows, parsed to Python objects, as an Arrow column.

Arrow converts it if every value has the column's type already; otherwise it is read value by value,
with the same result. `clicks` and `links_arrow` call it for each field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow.compute import SetLookupOptions, SliceOptions, call_function

from link_assets.contract import DataType
from link_assets.rows.arrow_types import ARROW_TYPES
from link_assets.rows.convert import UnreadableValue

_EDGE_YEARS = pa.array(("0000", "0001", "9999"))
"""Years in which an offset may lead out of Python's calendar, which Arrow does not notice."""
_NUL = b"\0"
_SAME_TEXT = {bool: pa.bool_(), int: pa.int64()}
"""By Python type, the type whose values Arrow spells as JSON does."""
_Texts = TypeVar("_Texts", pa.Array, pa.ChunkedArray)


@dataclass(frozen=True)
class Column:
    """A field's values, null where there is a problem, and the problems by row number."""

    name: str
    column: str
    values: pa.Array
    problems: dict[int, str] = field(default_factory=dict)


def read_column(
    name: str,
    column: str,
    objects: Sequence[dict[str, Any]],
    data_type: DataType,
    read: Callable[[Any], Any],
    doubtful: bytes = _NUL,
) -> Column:
    """Return a field of all rows; null for rows without it.

    Args:
        name: The field's name in JSON.
        column: The column's name.
        objects: The rows.
        data_type: The column's type.
        read: Returns a value as that type, or raises UnreadableValue.
        doubtful: Bytes of texts that only `read` knows what to do about; it is asked about NUL,
            too.
    """
    values = [row.get(name) for row in objects]
    converted = _converted_by_arrow(values, data_type, doubtful)
    if converted is not None:
        return Column(name, column, converted)
    return read_values(name, column, values, ARROW_TYPES[data_type], read)


def read_values(
    name: str, column: str, values: list[Any], kind: pa.DataType, read: Callable[[Any], Any]
) -> Column:
    """Return the column of these values, each read by `read`; the list is changed."""
    problems: dict[int, str] = {}
    for i, value in enumerate(values):
        try:
            values[i] = read(value)
        except UnreadableValue as unreadable:
            values[i], problems[i] = None, str(unreadable)
    return Column(name, column, pa.array(values, kind), problems)


def timestamps(texts: _Texts) -> _Texts:
    """Return the times that a column of texts spells.

    Raises:
        pa.ArrowInvalid: One is no time to Arrow, or `convert_value` may read it otherwise.
    """
    years = call_function("utf8_slice_codeunits", [texts], SliceOptions(0, 4))
    at_edge = call_function("is_in", [years], SetLookupOptions(_EDGE_YEARS))
    if call_function("any", [at_edge]).as_py():
        raise pa.ArrowInvalid("a year at the calendar's edge")
    return texts.cast(ARROW_TYPES["timestamp"])


def holds(texts: pa.Array | pa.ChunkedArray, doubtful: bytes = _NUL) -> bool:
    """Return whether NUL or these bytes are anywhere in a column of texts."""
    # more text than Arrow has in one array comes in several
    arrays = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    contents = [content.to_pybytes() for *_, content in (a.buffers() for a in arrays) if content]
    return any(_NUL in content or doubtful in content for content in contents)


def _converted_by_arrow(values: list[Any], data_type: DataType, doubtful: bytes) -> pa.Array | None:
    """Return the column, or None if Arrow refuses a value or may read it otherwise than we do."""
    if data_type == "bigint" and float in map(type, values):
        return None  # Arrow would cut off fractions
    try:
        if data_type == "timestamp":
            return timestamps(pa.array(values, pa.string()))
        if data_type == "text" and (spelled := _spelled_by_arrow(values)) is not None:
            return spelled
        converted = pa.array(values, ARROW_TYPES[data_type])
    except (TypeError, ValueError, OverflowError):
        return None
    return None if data_type == "text" and holds(converted, doubtful) else converted


def _spelled_by_arrow(values: list[Any]) -> pa.Array | None:
    """Return a column of true and false or of whole numbers as texts; None for any other."""
    kinds = {*map(type, values)} - {type(None)}
    kind = _SAME_TEXT.get(kinds.pop()) if len(kinds) == 1 else None
    return pa.array(values, kind).cast(pa.string()) if kind else None
