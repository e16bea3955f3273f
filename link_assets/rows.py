"""Rows of a page, which stay JSON text until what they are needed for is known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from link_assets.values import Number, json_text

Row = Raw
"""The JSON text of one row, whole and valid, as UTF-8."""

NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")
"""Finds -0 in JSON text, which Python reads as 0; may find it within a text as well."""

_DECODER = Decoder(float_hook=Number)


def read_rows(rows: Sequence[Row]) -> list[Any]:
    """Read what the rows say, as `read_json` does."""
    return read_json(b"[" + b",".join(rows) + b"]")


def row_of(value: Any) -> Row:
    """Make the row that says this."""
    return Row(json_text(value).encode())


def read_json(body: bytes) -> Any:
    """Parse JSON text; raise ValueError if it is none.

    Numbers that Python would spell otherwise come as `Number`. The slower standard parser takes
    what msgspec does not: half a surrogate pair, NaN and Infinity, other encodings than UTF-8.
    """
    if not NEGATIVE_ZERO.search(body):
        try:
            return _DECODER.decode(body)
        except (DecodeError, UnicodeDecodeError):
            pass
    return json.loads(body, parse_float=Number, parse_int=_whole_number, parse_constant=Number)


def _whole_number(digits: str) -> int | Number:
    try:
        number = int(digits)
    except ValueError:  # more digits than Python takes
        return Number(digits)
    return number if digits != "-0" else Number(digits)
