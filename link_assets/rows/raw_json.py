"""A row while it is still JSON text, and the reading of JSON text as Python objects.

`source` cuts pages into such rows; they are parsed only where Arrow does not read them. Nothing
is lost on the way: numbers keep their spelling, and a row that is no valid JSON is kept as a
`DamagedRow`.

Three parsers read JSON, each for what the others cannot do. msgspec cuts a page into rows without
reading them (`source/pages.py`). Arrow reads rows as columns while other threads run
(`clicks_arrow`). Python's reads all else (`parse_json`), because it alone takes halves of
surrogate pairs, NaN, Infinity and UTF-16, and hands over the spelling of whole numbers: msgspec
reads -0 as 0. Trying msgspec first saved three tenths of the CPU of parsing, 1 % of a load of
links.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from msgspec import Raw

from link_assets.rows.convert import ExactNumber, json_text, with_deep_stack

RawRow = Raw
"""The JSON text of one row, whole and valid, as UTF-8."""


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
    return json.loads(
        body, parse_float=ExactNumber, parse_int=_whole_number, parse_constant=ExactNumber
    )


def _whole_number(digits: str) -> int | ExactNumber:
    try:
        number = int(digits)
    except ValueError:  # more digits than Python takes
        return ExactNumber(digits)
    return number if digits != "-0" else ExactNumber(digits)
