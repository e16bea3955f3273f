"""A row while it is still JSON text, and the reading of JSON text as Python objects.

`source` cuts pages into such rows; they are parsed only where Arrow does not read them. Nothing
is lost on the way: numbers keep their spelling, and a row that is no valid JSON is kept as a
`DamagedRow`.

Three parsers read JSON, each for what the others cannot do. Arrow reads rows as columns while
other threads run (`clicks_arrow`). msgspec cuts a page into rows without reading them
(`source/pages.py`) and makes objects of rows: without it, clicks that are read as objects take a
fifth more CPU. Python's takes what msgspec refuses, halves of surrogate pairs, NaN, Infinity and
UTF-16, and keeps -0 apart from 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from link_assets.rows.convert import ExactNumber, json_text, with_deep_stack

RawRow = Raw
"""The JSON text of one row, whole and valid, as UTF-8."""

NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")
"""Finds -0 in JSON text, which msgspec and Arrow read as 0; may find it within a text as well."""

_DECODER = Decoder(float_hook=ExactNumber)


@dataclass(frozen=True)
class DamagedRow:
    """A row whose text is not valid JSON, which is why it is not loaded.

    Attributes:
        value: What the row says, with what is not JSON in it escaped.
        reason: Why it is not loaded, without quoting the row.
    """

    value: Any
    reason: str

    def __len__(self) -> int:
        """Return the bytes of its JSON text, as `len` of a RawRow does."""
        return len(json_text(self.value))


def parse_rows(rows: Sequence[RawRow | DamagedRow]) -> list[Any]:
    """Return what the rows say, as `parse_json` reads it; a damaged row stays as it is."""
    if DamagedRow in map(type, rows):
        return [row if isinstance(row, DamagedRow) else parse_json(bytes(row)) for row in rows]
    return parse_json(b"[" + b",".join(cast(Sequence[RawRow], rows)) + b"]")


def is_doubtful(text: str) -> bool:
    """Return whether a text in a damaged row may be part of the damage."""
    return not text.isprintable() or "\\" in text


def raw_row(value: Any) -> RawRow:
    """Return the row that says this."""
    return RawRow(json_text(value).encode())


def parse_json(body: bytes) -> Any:
    """Return what JSON text says, with numbers as `ExactNumber` where Python respells them.

    Raises:
        ValueError: The text is not JSON.
        RecursionError: It is nested too deeply, some 990 levels.
    """
    return with_deep_stack(_parse, body)


def _parse(body: bytes) -> Any:
    if not NEGATIVE_ZERO.search(body):
        with suppress(DecodeError, UnicodeDecodeError):
            return _DECODER.decode(body)
    return json.loads(
        body, parse_float=ExactNumber, parse_int=_whole_number, parse_constant=ExactNumber
    )


def _whole_number(digits: str) -> int | ExactNumber:
    try:
        number = int(digits)
    except ValueError:  # more digits than Python takes
        return ExactNumber(digits)
    return number if digits != "-0" else ExactNumber(digits)
