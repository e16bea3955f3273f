"""Reading one JSON value as the type of its column.

What reads safely is converted, what does not is refused with a reason. Reasons speak of kinds,
never of the value: rows hold personal data, and reasons end up in logs and reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

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
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")
_TIMESTAMP = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}(?=T))"
    r"(?:[T ][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?"
    r" ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_JSON = json.JSONEncoder(check_circular=False, sort_keys=True, separators=(",", ":"))


class UnreadableValue(ValueError):
    """A value does not read as its column's type; the message says why without quoting it."""

    @classmethod
    def expected(cls, expectation: str, value: Any) -> UnreadableValue:
        return cls(f"is {kind_of(value)}, not {expectation}")


def kind_of(value: Any) -> str:
    """What a user calls a JSON value of this kind."""
    return _KINDS.get(type(value), "no JSON value")


def read_value(value: Any, data_type: DataType) -> Value | None:
    """`value` as `data_type`, or `UnreadableValue`.

    Null is always null. So is blank text for any type but text: the API sends "" where it has
    nothing to say. Timestamps come out in UTC, cut to microseconds; without an offset they are
    taken for UTC already, and a date alone for its midnight.
    """
    if value is None or (data_type != "text" and isinstance(value, str) and not value.strip()):
        return None
    return _READERS[data_type](value)


def read_anything(value: Any) -> str | None:
    """Any value as text: null as null, text verbatim, all else as its JSON text."""
    if isinstance(value, str):
        return _encodable(value)
    return None if value is None else json_text(value)


def json_text(value: Any) -> str:
    """Compact JSON, the same for equal values, in ASCII so that no text is too odd for it."""
    try:
        return _JSON.encode(value)
    except RecursionError:
        # A thread has a stack of its own: what was shallow enough to be decoded fits in there.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_JSON.encode, value).result()


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnreadableValue("is text with half a surrogate pair, not valid Unicode") from None
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, bool | int | float):
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
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT_FLOAT else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bool(value: Any) -> bool:
    flag = _BOOLS.get(value.strip().lower()) if isinstance(value, str) else value
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
