"""Rows of a page, which stay JSON text until what they are needed for is known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from link_assets.rows.convert import ExactNumber, json_text, with_deep_stack

RawRow = Raw
"""The JSON text of one row, whole and valid, as UTF-8."""

NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")
"""Finds -0 in JSON text, which Python reads as 0; may find it within a text as well."""

_DECODER = Decoder(float_hook=ExactNumber)


@dataclass(frozen=True)
class DamagedRow:
    """A row with text that is not JSON: what it says with that escaped, and why it is not loaded.

    The reason quotes nothing of the row.
    """

    value: Any
    reason: str

    def __len__(self) -> int:
        """Count the bytes of its JSON text, as `len` of a Row does."""
        return len(json_text(self.value))


def parse_rows(rows: Sequence[RawRow | DamagedRow]) -> list[Any]:
    """What the rows say, as `parse_json` reads it; a damaged row stays as it is."""
    if DamagedRow in map(type, rows):
        return [row if isinstance(row, DamagedRow) else parse_json(bytes(row)) for row in rows]
    return parse_json(b"[" + b",".join(cast(Sequence[RawRow], rows)) + b"]")


def is_doubtful(text: str) -> bool:
    """Whether text of a damaged row may be part of the damage."""
    return not text.isprintable() or "\\" in text


def raw_row(value: Any) -> RawRow:
    """Make the row that says this."""
    return RawRow(json_text(value).encode())


def parse_json(body: bytes) -> Any:
    """Parse JSON text; raise ValueError if it is none, RecursionError if it is nested too deeply.

    Numbers that Python would spell otherwise come as `ExactNumber`. The slower standard parser
    takes what msgspec does not: half a surrogate pair, NaN, Infinity, other encodings than UTF-8.
    """
    return with_deep_stack(_read_json, body)


def _read_json(body: bytes) -> Any:
    if not NEGATIVE_ZERO.search(body):
        try:
            return _DECODER.decode(body)
        except (DecodeError, UnicodeDecodeError):
            pass
    return json.loads(
        body, parse_float=ExactNumber, parse_int=_whole_number, parse_constant=ExactNumber
    )


def _whole_number(digits: str) -> int | ExactNumber:
    try:
        number = int(digits)
    except ValueError:  # more digits than Python takes
        return ExactNumber(digits)
    return number if digits != "-0" else ExactNumber(digits)
