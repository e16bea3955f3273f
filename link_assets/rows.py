"""Rows of a page, which stay JSON text until what they are needed for is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from msgspec import Raw

from link_assets.values import json_text

Row = Raw
"""The JSON text of one row, whole and valid, as UTF-8."""

_ZERO_FOR_DIGITS = bytes(48 if chr(byte).isdecimal() and byte < 128 else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 19


@dataclass(frozen=True)
class DamagedRow:
    """A row with text that is not JSON: what it says with that escaped, and why it is not loaded.

    The reason quotes nothing of the row.
    """

    value: Any
    reason: str


def read_rows(rows: Sequence[Row | DamagedRow]) -> list[Any]:
    """What the rows say, as `read_json` reads it; a damaged row stays as it is."""
    if DamagedRow in map(type, rows):
        return [row if isinstance(row, DamagedRow) else read_json(bytes(row)) for row in rows]
    return read_json(b"[" + b",".join(cast(Sequence[Row], rows)) + b"]")


def is_doubtful(text: str) -> bool:
    """Whether text of a damaged row may be part of the damage."""
    return not text.isprintable() or "\\" in text


def row_of(value: Any) -> Row:
    """The row that says this."""
    return Row(json_text(value).encode())


def read_json(body: bytes) -> Any:
    """Parses JSON text; raises ValueError if it is none.

    orjson reads whole numbers beyond 64 bits as floats and refuses lone surrogates; the slower
    standard parser keeps both as they are. A number of more digits than Python takes is text.
    """
    if _LONG_NUMBER in body.translate(_ZERO_FOR_DIGITS):
        return json.loads(body, parse_int=_whole_number)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _whole_number(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits
