"""What becomes of a page of clicks, worked out from its JSON text by rules of its own.

Slow and simple: Python's JSON parser, one row and one value after the other. Of the package it
takes what holds the result, and the columns of undocumented fields, which test_column_names
judges.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from link_assets.contract import CLICKS
from link_assets.rows.clicks import ClickBatch
from link_assets.rows.column_names import column_names
from link_assets.rows.rejected import Rejection
from link_assets_tests.guide import CLICK_FIELDS

FACTS = ("host", "path", "method", "url", "dt", "st", "ip", "proto", "ref", "ua")
ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
EXPECTED = {
    "text": "text",
    "bigint": "a whole number",
    "bool": "true or false",
    "timestamp": "an ISO 8601 date and time",
}
TRUE, FALSE = ("true", "1"), ("false", "0")
SIGNED = re.compile(r"[+-]?0*([0-9]{1,19})")
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?"
    r" ?(Z|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class Refused(Exception):
    """Why a value is not one of its column."""


@dataclass
class Click:
    """A row, its values by column, why they are missing, and its page."""

    row: Any
    page: int
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def batches_of(pages: Sequence[Sequence[bytes]], domain_id: int) -> list[ClickBatch]:
    """The batches of pages of JSON texts: one, or one of each page if some row is rejected."""
    batch = _batch(pages, domain_id)
    if len(pages) == 1 or not batch.rejections:
        return [batch]
    return [_batch([page], domain_id) for page in pages]


def _batch(pages: Sequence[Sequence[bytes]], domain_id: int) -> ClickBatch:
    clicks = [Click(parsed(text), n) for n, page in enumerate(pages) for text in page]
    undocumented = _undocumented([c.row for c in clicks if isinstance(c.row, dict)])
    for click in clicks:
        _read(click, undocumented)
    good = [click for click in clicks if not click.problems]
    seen: Counter[Any] = Counter()
    for click in good:
        facts = (domain_id, *(_fact(click.values[name]) for name in FACTS))
        number = seen[click.page, facts]
        seen[click.page, facts] += 1
        click.values |= {"domain_id": domain_id, "click_id": click_id(*facts, number)}
    columns = [c for c in undocumented.values() if any(x.values[c] is not None for x in good)]
    return ClickBatch(
        pa.Table.from_pylist([click.values for click in good], schema=_schema(columns)),
        [_rejection(click) for click in clicks if click.problems],
        [number for number, click in enumerate(clicks) if not click.problems],
    )


def _schema(undocumented: Iterable[str]) -> pa.Schema:
    added = [("domain_id", "bigint"), ("click_id", "text")]
    documented = [(column, data_type) for _, column, data_type, _ in CLICK_FIELDS]
    return pa.schema(
        pa.field(name, ARROW_TYPES[kind], nullable=name not in ("domain_id", "dt", "click_id"))
        for name, kind in [*added, *documented, *((name, "text") for name in undocumented)]
    )


def _undocumented(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The columns of fields that the guide does not list and some row fills, by field."""
    names = {name for row in rows for name, value in row.items() if value is not None}
    names -= {name for name, *_ in CLICK_FIELDS}
    return dict(sorted(column_names(names, CLICKS).items(), key=lambda item: item[1]))


def _read(click: Click, undocumented: dict[str, str]) -> None:
    if not isinstance(click.row, dict):
        click.problems.append("is not an object")
        return
    fields = [(name, column, data_type) for name, column, data_type, _ in CLICK_FIELDS]
    for name, column, data_type in [*fields, *((n, c, "any") for n, c in undocumented.items())]:
        try:
            click.values[column] = converted(click.row.get(name), data_type)
        except Refused as refused:
            click.problems.append(f"{name}: {refused}")
        else:
            if name == "dt" and click.values[column] is None:
                click.problems.append("dt: is missing")


def _rejection(click: Click) -> Rejection:
    reason = "; ".join(click.problems).replace("\0", "\\u0000")
    surrogates = re.compile("[\ud800-\udfff]")
    return Rejection(surrogates.sub(lambda m: f"\\u{ord(m[0]):x}", reason), spelled(click.row))


def _fact(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return value


def click_id(*facts: Any) -> str:
    """The hash of a click's domain, facts (its time in microseconds) and number."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def parsed(text: bytes) -> Any:
    """What JSON text says, numbers as they are spelled."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)


def spelled(value: Any) -> str:
    """A parsed value as compact JSON with sorted names."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))}]"
    if isinstance(value, dict):
        items = (f"{json.dumps(name)}:{spelled(value[name])}" for name in sorted(value))
        return f"{{{','.join(items)}}}"
    return json.dumps(value)


def converted(value: Any, data_type: str) -> Any:
    """A parsed value as what its column holds; "any" is the text column of an unknown field."""
    is_text = isinstance(value, str) and not isinstance(value, Number)
    if data_type in ("text", "any") and is_text:
        return _storable(value)
    if value is None or (data_type == "any"):
        return None if value is None else spelled(value)
    if value in ([], {}) or (is_text and not value.strip()):
        return None
    convert = {"text": _text, "bigint": _bigint, "bool": _bool, "timestamp": _timestamp}
    return convert[data_type](value)


def _storable(text: str) -> str:
    if "\0" in text:
        raise Refused("is text with a NUL character, which not every warehouse can hold")
    if re.search("[\ud800-\udfff]", text):
        raise Refused("is text with half a surrogate pair, not valid Unicode")
    return text


def _refusal(value: Any, data_type: str) -> Refused:
    if isinstance(value, Number):
        kind = "a whole number" if _is_whole(value) else "a floating-point number"
    else:
        kinds = {str: "text", bool: "true or false", dict: "an object", list: "a list"}
        kind = kinds[type(value)]
    return Refused(f"is {kind}, not {EXPECTED[data_type]}")


def _is_whole(number: Number) -> bool:
    return re.fullmatch("-?[0-9]+", number) is not None


def _text(value: Any) -> str:
    if isinstance(value, Number | bool):
        return spelled(value)
    raise _refusal(value, "text")


def _bigint(value: Any) -> int:
    if isinstance(value, Number):
        number = Decimal(value)
        exact = number.is_finite() and number == number.to_integral_value()
        if not (_is_whole(value) or (exact and abs(number) < 2**53)):
            raise _refusal(value, "bigint")
    elif isinstance(value, str) and SIGNED.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise _refusal(value, "bigint")
    if not -(2**63) <= number < 2**63:
        raise Refused("is a whole number beyond 64 bits")
    return int(number)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Number) and _is_whole(value) and Decimal(value) in (0, 1):
        return Decimal(value) == 1
    if isinstance(value, str) and not isinstance(value, Number):
        word = value.strip().lower()
        if word in (*TRUE, *FALSE):
            return word in TRUE
    raise _refusal(value, "bool")


def _timestamp(value: Any) -> datetime:
    is_text = isinstance(value, str) and not isinstance(value, Number)
    text = value.strip().upper() if is_text else ""
    # the form without hyphens, of which only that with a time is taken
    moment = MOMENT.fullmatch(re.sub(r"^([0-9]{4})([0-9]{2})([0-9]{2})(?=T)", r"\1-\2-\3", text))
    if not moment:
        raise _refusal(value, "timestamp")
    *clock, fraction, zone, sign, hours, minutes = moment.groups(default="")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime(*(int(part or 0) for part in clock), int(f"{fraction:0<6}"[:6]))  # type: ignore[misc]
        zone = timezone(-offset if sign == "-" else offset)
        return local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused("is a date and time outside the calendar") from None
