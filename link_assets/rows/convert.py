"""One JSON value as the type of its column.

`links` and `clicks` call `convert_value` for documented fields and `as_text` for all others. A
value that reads safely as the type is converted, any other is refused with a reason. A reason
names the kind of the value, never the value: rows hold personal data, and reasons end up in logs
and reports.
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
"""Characters of a whole number that suffice to see that it is beyond 64 bits."""
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
    """A number as JSON spells it, where Python would spell it otherwise: 140.10, 1e400, -0."""

    text: str

    @property
    def is_whole(self) -> bool:
        """Return whether it is spelled without fraction and exponent."""
        return self.text.removeprefix("-").isdecimal()


# Python's encoder cannot write a number as it is spelled. It writes a text with a random mark,
# which no API can know, and `json_text` takes mark and quotes away.
_MARK = token_hex(16)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_JSON = json.JSONEncoder(
    check_circular=False,
    sort_keys=True,
    separators=(",", ":"),
    default=lambda number: _MARK + number.text,
)


class UnreadableValue(ValueError):
    """A value cannot be read as its column's type; the message says why without quoting it."""

    @classmethod
    def expected(cls, expectation: str, value: Any) -> UnreadableValue:
        """Return the error of a value that is not of the expected kind, such as "a list"."""
        return cls(f"is {kind_of(value)}, not {expectation}")


def kind_of(value: Any) -> str:
    """Return what a user calls a JSON value of this kind, such as "a whole number"."""
    if isinstance(value, ExactNumber):
        return _KINDS[int if value.is_whole else float]
    return _KINDS.get(type(value), "no JSON value")


def is_empty(value: Any) -> bool:
    """Return whether a value stands for a missing one: null, blank text, an empty list or object.

    APIs send "" for a missing number or object, and those written in PHP send [] for {}.
    """
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def convert_value(value: Any, data_type: DataType) -> Value | None:
    """Return a parsed JSON value as a value of this type; None for one that `is_empty`.

    Text stays as it is where text is expected, even if it is blank. Times come out in UTC, cut to
    microseconds; one without an offset is taken for UTC, and a date alone for its midnight.

    Raises:
        UnreadableValue: The value cannot be read safely as this type.
    """
    if is_empty(value) and not (data_type == "text" and isinstance(value, str)):
        return None
    return _READERS[data_type](value)


def as_text(value: Any) -> str | None:
    """Return any value as text: null as None, text as it is, all else as its JSON text.

    Raises:
        UnreadableValue: It is text that not every warehouse can hold.
    """
    if isinstance(value, str):
        return _storable(value)
    return None if value is None else json_text(value)


def json_text(value: Any) -> str:
    """Return compact JSON in ASCII, which any text can be written as; equal for equal values."""
    text = with_deep_stack(_JSON.encode, value)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def with_deep_stack(call: Callable[[_Given], _Result], given: _Given) -> _Result:
    """Return what a function makes of a nested value, on an empty stack if this one is too full.

    A thread has a stack of its own, with more room than there is at the end of many calls.

    Raises:
        RecursionError: The value is nested too deeply for an empty stack, too.
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
    """Return the whole number that a value spells exactly; None if it spells none."""
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
    # datetime.fromisoformat takes some numbers, such as epoch milliseconds, for ISO dates
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
