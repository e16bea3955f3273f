"""A JSON value is read as the type of its column, or refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link_assets.contract import DataType
from link_assets.rows.convert import (
    ExactNumber,
    UnreadableValue,
    as_text,
    convert_value,
    is_empty,
    json_text,
    kind_of,
)

TYPES: tuple[DataType, ...] = ("text", "bigint", "bool", "timestamp")
SPELLED = (
    "140.10",
    "1e400",
    "1E5",
    "-0",
    "-0.0",
    "0.1000",
    "1e-999",
    "NaN",
    "-Infinity",
    "7" * 5000,
)
NAN, INF = float("nan"), float("inf")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


READABLE: list[tuple[DataType, Any, Any]] = [
    *[(data_type, None, None) for data_type in TYPES],
    ("text", "", ""),
    ("text", "  as it is ", "  as it is "),
    ("text", 140, "140"),
    ("text", 1.5, "1.5"),
    ("text", True, "true"),
    ("text", NAN, "NaN"),
    ("text", 10**30, "1" + "0" * 30),
    *[("text", ExactNumber(spelled), spelled) for spelled in SPELLED],
    *[(data_type, blank, None) for data_type in TYPES[1:] for blank in ("", " \t")],
    *[(data_type, empty, None) for data_type in TYPES for empty in ([], {})],
    ("bigint", 302, 302),
    ("bigint", 302.0, 302),
    ("bigint", ExactNumber("302.0"), 302),
    ("bigint", ExactNumber("3.02E2"), 302),
    ("bigint", ExactNumber("-0"), 0),
    ("bigint", ExactNumber("-0.0"), 0),
    ("bigint", ExactNumber("9007199254740991.0"), 2**53 - 1),
    ("bigint", "302", 302),
    ("bigint", " +0302 ", 302),
    ("bigint", "-0", 0),
    ("bigint", "0" * 6000 + "7", 7),
    ("bigint", 2**63 - 1, 2**63 - 1),
    ("bigint", str(-(2**63)), -(2**63)),
    ("bigint", 2.0**53 - 1, 2**53 - 1),
    ("bool", True, True),
    ("bool", 0, False),
    ("bool", ExactNumber("-0"), False),
    ("bool", "TRUE", True),
    ("bool", " false", False),
    ("bool", "1", True),
    ("timestamp", "2020-05-20T06:19:12.000Z", utc(2020, 5, 20, 6, 19, 12)),
    ("timestamp", " 2020-05-20t06:19:12z ", utc(2020, 5, 20, 6, 19, 12)),
    ("timestamp", "2020-05-20 06:19:12+0000", utc(2020, 5, 20, 6, 19, 12)),
    ("timestamp", "2020-05-20 06:19:12 +0000", utc(2020, 5, 20, 6, 19, 12)),
    ("timestamp", "2020-05-20T06:19:12.1234569Z", utc(2020, 5, 20, 6, 19, 12, 123456)),
    ("timestamp", "2020-05-20T06:19:12.5", utc(2020, 5, 20, 6, 19, 12, 500000)),
    ("timestamp", "2020-05-20T01:19:12+02:00", utc(2020, 5, 19, 23, 19, 12)),
    ("timestamp", "2020-05-20T06:19-05:30", utc(2020, 5, 20, 11, 49)),
    ("timestamp", "20200520T061912Z", utc(2020, 5, 20, 6, 19, 12)),
    ("timestamp", "2020-05-20", utc(2020, 5, 20)),
    ("timestamp", "1901-01-01T00:00:00.000001Z", utc(1901, 1, 1, 0, 0, 0, 1)),
    ("timestamp", "9999-12-31T23:59:59.999999Z", utc(9999, 12, 31, 23, 59, 59, 999999)),
]

UNREADABLE: list[tuple[DataType, Any, str]] = [
    ("text", {"a": 1}, "is an object, not text"),
    ("text", [None], "is a list, not text"),
    ("text", "nul\x00", "is text with a NUL character, which not every warehouse can hold"),
    ("text", "half \ud800 pair", "is text with half a surrogate pair, not valid Unicode"),
    ("bigint", True, "is true or false, not a whole number"),
    ("bigint", "SECRET", "is text, not a whole number"),
    ("bigint", "1_000", "is text, not a whole number"),
    ("bigint", "\u0663", "is text, not a whole number"),
    ("bigint", "1.0", "is text, not a whole number"),
    ("bigint", "9" * 6000, "is text, not a whole number"),
    ("bigint", 1.5, "is a floating-point number, not a whole number"),
    ("bigint", 2.0**53, "is a floating-point number, not a whole number"),
    ("bigint", NAN, "is a floating-point number, not a whole number"),
    ("bigint", INF, "is a floating-point number, not a whole number"),
    *[
        ("bigint", ExactNumber(spelled), "is a floating-point number, not a whole number")
        for spelled in ("1.5", "1e400", "-1e999999999", "1e-400", "302.00000000000000000001")
    ],
    (
        "bigint",
        ExactNumber("1e-99999999999999999999"),
        "is a floating-point number, not a whole number",
    ),
    (
        "bigint",
        ExactNumber("9007199254740992.0"),
        "is a floating-point number, not a whole number",
    ),
    ("bigint", ExactNumber("NaN"), "is a floating-point number, not a whole number"),
    ("bigint", ExactNumber("7" * 5000), "is a whole number beyond 64 bits"),
    ("bigint", ExactNumber("-" + "7" * 5000), "is a whole number beyond 64 bits"),
    ("bigint", 2**63, "is a whole number beyond 64 bits"),
    ("bigint", str(2**63), "is a whole number beyond 64 bits"),
    ("bigint", {"a": None}, "is an object, not a whole number"),
    ("bool", 2, "is a whole number, not true or false"),
    ("bool", 1.0, "is a floating-point number, not true or false"),
    ("bool", ExactNumber("1.0"), "is a floating-point number, not true or false"),
    ("bool", ExactNumber("7" * 5000), "is a whole number, not true or false"),
    ("bool", "yes", "is text, not true or false"),
    ("bool", [True], "is a list, not true or false"),
    ("timestamp", "2020-05-20\x00", "is text, not an ISO 8601 date and time"),
    (
        "timestamp",
        ExactNumber("1e9"),
        "is a floating-point number, not an ISO 8601 date and time",
    ),
    ("timestamp", 1589955552, "is a whole number, not an ISO 8601 date and time"),
    ("timestamp", "1589955552", "is text, not an ISO 8601 date and time"),
    ("timestamp", "1610123112345", "is text, not an ISO 8601 date and time"),
    ("timestamp", "yesterday", "is text, not an ISO 8601 date and time"),
    ("timestamp", "\ud800", "is text, not an ISO 8601 date and time"),
    ("timestamp", True, "is true or false, not an ISO 8601 date and time"),
    ("timestamp", "2020-13-01", "is a date and time outside the calendar"),
    ("timestamp", "2020-05-20T25:00:00Z", "is a date and time outside the calendar"),
    ("timestamp", "0001-01-01T00:00:00+00:01", "is a date and time outside the calendar"),
    ("timestamp", "9999-12-31T23:59:59-00:01", "is a date and time outside the calendar"),
]


@pytest.mark.parametrize(("data_type", "value", "expected"), READABLE)
def test_a_readable_value_is_converted(data_type: DataType, value: Any, expected: Any) -> None:
    read = convert_value(value, data_type)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(("data_type", "value", "reason"), UNREADABLE)
def test_an_unreadable_value_is_refused_with_a_reason(
    data_type: DataType, value: Any, reason: str
) -> None:
    with pytest.raises(UnreadableValue) as refusal:
        convert_value(value, data_type)
    assert str(refusal.value) == reason


def test_timestamps_come_out_in_utc() -> None:
    read = convert_value("2020-05-20T06:19:12+02:00", "timestamp")
    assert isinstance(read, datetime)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("as is", "as is"),
        ("", ""),
        (1, "1"),
        (False, "false"),
        ({"b": [1, None], "a": "\u00fc"}, '{"a":"\\u00fc","b":[1,null]}'),
        (["\ud800"], '["\\ud800"]'),
        (["\x00"], '["\\u0000"]'),
        ([], "[]"),
        ({}, "{}"),
        (ExactNumber("140.10"), "140.10"),
        ({"b": [ExactNumber("1E5")], "a": ExactNumber("-0")}, '{"a":-0,"b":[1E5]}'),
    ],
)
def test_anything_reads_as_text(value: Any, expected: str | None) -> None:
    assert as_text(value) == expected


@pytest.mark.parametrize("value", ["a\x00b", "\x00"])
def test_text_with_nul_is_refused_as_undocumented_text_too(value: str) -> None:
    with pytest.raises(UnreadableValue, match="NUL"):
        as_text(value)


@pytest.mark.parametrize("value", [None, "", " \t\n", [], {}])
def test_null_blank_text_and_empty_containers_are_empty_and_nothing_else_is(value: Any) -> None:
    assert is_empty(value)
    assert not any(map(is_empty, ([value], {"a": value}, 0, False, ExactNumber("-0"), "0", "\x00")))


@settings(max_examples=200, derandomize=True)
@given(st.text(), st.sampled_from(SPELLED))
def test_a_number_is_written_as_spelled_beside_any_text(text: str, spelled: str) -> None:
    written = json_text([text, ExactNumber(spelled), {text: ExactNumber(spelled)}])
    assert written == f"[{json_text(text)},{spelled},{{{json_text(text)}:{spelled}}}]"


def test_a_deeply_nested_number_is_written_as_spelled() -> None:
    nested: Any = ExactNumber("1.50")
    for _ in range(850):
        nested = [nested]
    assert json_text(nested) == "[" * 850 + "1.50" + "]" * 850


@pytest.mark.parametrize("spelled", ["-0", "7" * 5000])
def test_a_number_without_fraction_and_exponent_is_called_whole(spelled: str) -> None:
    assert kind_of(ExactNumber(spelled)) == "a whole number"
    assert kind_of(ExactNumber(f"{spelled}.0")) == "a floating-point number"


def test_deeply_nested_json_can_be_written_at_the_end_of_many_calls() -> None:
    nested = json.loads("[" * 850 + "]" * 850)

    def deeper(calls: int) -> str:
        return deeper(calls - 1) if calls else json_text(nested)

    assert deeper(200) == "[" * 850 + "]" * 850


@settings(max_examples=100, derandomize=True)
@given(st.text(), st.sampled_from(TYPES))
def test_a_reason_never_quotes_the_value(tail: str, data_type: DataType) -> None:
    for value in (f"Zaphod{tail}\ud800", ["Zaphod"], {"Zaphod": tail}):
        with pytest.raises(UnreadableValue) as refusal:
            convert_value(value, data_type)
        assert "Zaphod" not in str(refusal.value)
        assert refusal.value.__cause__ is None


@settings(max_examples=100, derandomize=True)
@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_every_time_reads_from_its_iso_text(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    for text in (aware.isoformat(), moment.isoformat(), f"{moment.isoformat()}Z"):
        assert convert_value(text, "timestamp") == aware


@settings(max_examples=100, derandomize=True)
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_number_reads_from_its_text(number: int) -> None:
    assert convert_value(str(number), "bigint") == convert_value(number, "bigint") == number
