"""Reading one JSON value as the type of its column.

What reads safely is converted, what does not is refused with a reason. Reasons speak of kinds,
never of the value: rows hold personal data, and reasons end up in logs and reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from secrets import token_hex
from typing import Any, TypeVar

from link_assets.contract import DataType

Value = str | int | bool | datetime

_KINDS = {
    type(None): "null",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a floating-point number",
    dict: "an object",
    list: "a list",
}
INT64 = range(-(2**63), 2**63)
_EXACT_FLOAT = 2.0**53
_TOO_LONG = 25
"""Characters of a whole number after which it is beyond 64 bits however it goes on."""
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")
_TIMESTAMP = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}(?=T))"
    r"(?:[T ][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?"
    r" ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_NUL = "\0"
_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ExactNumber:
    """A number as JSON text spells it, where Python would spell it otherwise: 140.10, 1e400, -0."""

    text: str

    @property
    def is_whole(self) -> bool:
        """Whether it is spelled without fraction and exponent."""
        return self.text.removeprefix("-").isdecimal()


# the encoder writes text only, so numbers pass as text with a mark that no text of an API has
_MARK = token_hex(16)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_JSON = json.JSONEncoder(
    check_circular=False,
    sort_keys=True,
    separators=(",", ":"),
    default=lambda number: _MARK + number.text,
)


class UnreadableValue(ValueError):
    """A value does not read as its column's type; the message says why without quoting it."""

    @classmethod
    def expected(cls, expectation: str, value: Any) -> UnreadableValue:
        return cls(f"is {kind_of(value)}, not {expectation}")


def kind_of(value: Any) -> str:
    """What a user calls a JSON value of this kind."""
    if isinstance(value, ExactNumber):
        return _KINDS[int if value.is_whole else float]
    return _KINDS.get(type(value), "no JSON value")


def is_empty(value: Any) -> bool:
    """Whether an API says nothing by it: null, blank text, an empty list or an empty object.

    APIs send "" for a missing number or object, and those written in PHP send [] for {}.
    """
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def convert_value(value: Any, data_type: DataType) -> Value | None:
    """Read `value` as `data_type`, or raise `UnreadableValue`.

    What says nothing (`is_empty`) is null, but text stays text where text is expected.
    Timestamps come out in UTC, cut to microseconds; without an offset they are taken for UTC
    already, and a date alone for its midnight.
    """
    if is_empty(value) and not (data_type == "text" and isinstance(value, str)):
        return None
    return _READERS[data_type](value)


def as_text(value: Any) -> str | None:
    """Read any value as text: null as null, text verbatim, all else as its JSON text."""
    if isinstance(value, str):
        return _storable(value)
    return None if value is None else json_text(value)


def json_text(value: Any) -> str:
    """Write compact JSON, the same for equal values, in ASCII so that no text is too odd for it."""
    text = with_deep_stack(_JSON.encode, value)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def with_deep_stack(call: Callable[[_Given], _Result], given: _Given) -> _Result:
    """Call a function that goes as deep as what it is given; raise RecursionError beyond a stack.

    A thread has a stack of its own, where there is more room than at the end of a long call.
    """
    try:
        return call(given)
    except RecursionError:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(call, given).result()


def _storable(text: str) -> str:
    if _NUL in text:
        raise UnreadableValue("is text with a NUL character, which not every warehouse can hold")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnreadableValue("is text with half a surrogate pair, not valid Unicode") from None
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, bool | int | float | ExactNumber):
        return json_text(value)
    raise UnreadableValue.expected("text", value)


def _bigint(value: Any) -> int:
    number = _whole_number(value)
    if number is None:
        raise UnreadableValue.expected("a whole number", value)
    if number not in INT64:
        raise UnreadableValue("is a whole number beyond 64 bits")
    return number


def _whole_number(value: Any) -> int | None:
    """The number that `value` spells exactly, if any."""
    if isinstance(value, str):
        digits = _INTEGER.fullmatch(value.strip())
        return int(digits[1] + digits[2]) if digits else None
    if isinstance(value, ExactNumber):
        return _spelled_whole(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT_FLOAT else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _spelled_whole(number: ExactNumber) -> int | None:
    if number.is_whole:
        return int(number.text[:_TOO_LONG])
    nearest = float(number.text)
    whole = int(nearest) if abs(nearest) < _EXACT_FLOAT else None
    try:
        return whole if Decimal(number.text) == whole else None
    except InvalidOperation:  # its exponent is beyond all bounds
        return None


def _bool(value: Any) -> bool:
    flag = _BOOLS.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(flag, ExactNumber) and flag.is_whole:
        flag = _spelled_whole(flag)
    if isinstance(flag, int) and flag in (0, 1):
        return bool(flag)
    raise UnreadableValue.expected("true or false", value)


def _timestamp(value: Any) -> datetime:
    text = value.strip().upper() if isinstance(value, str) else ""
    # datetime.fromisoformat alone takes some numbers (epoch milliseconds) for basic ISO dates.
    if not _TIMESTAMP.fullmatch(text):
        raise UnreadableValue.expected("an ISO 8601 date and time", value)
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UnreadableValue("is a date and time outside the calendar") from None


_READERS: dict[DataType, Callable[[Any], Value]] = {
    "text": _text,
    "bigint": _bigint,
    "bool": _bool,
    "timestamp": _timestamp,
}
