"""Rows are read without loss, and written so that they read the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from link_assets.rows.convert import ExactNumber, json_text
from link_assets.rows.raw_json import parse_json, parse_rows, raw_row

SPELLED = ["140.10", "0.5", "1e400", "1E5", "1e+05", "-0", "-0.0", "NaN", "-Infinity", "7" * 5000]
VALUES = pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        -(2**63),
        2**64 - 1,
        2**64,
        10**30,
        -(10**30),
        "\u00fc \U0001f600",
        "\ud800",
        "1" * 30,
        None,
        0,
        True,
        [{"a": 10**20, "b": [True, {}]}],
    ],
    ids=repr,
)


@VALUES
def test_json_is_read_without_loss(value: Any) -> None:
    read = parse_json(json.dumps({"value": value}).encode())["value"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("number", SPELLED)
@pytest.mark.parametrize("beside", ["1", '"\\ud800"', "NaN", '"-0,"', "-0", "1.0"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_number_keeps_its_spelling(number: str, beside: str, encoding: str) -> None:
    text = f'{{"a":[{number}],"b":{{"c":{number},"d":{beside}}}}}'
    read = parse_json(text.encode(encoding))
    assert read["a"] == [read["b"]["c"]] == [ExactNumber(number)]
    assert json_text(read) == text


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1" + "0" * 4000])
def test_a_whole_number_becomes_an_int(number: str) -> None:
    assert parse_json(b"[%b]" % number.encode()) == [int(number)]


@pytest.mark.parametrize("body", [b"", b"{", b"<p>", b"{} {}", b"\xff", b"\xff" + b"1" * 20])
def test_text_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(body)


@VALUES
def test_a_row_parses_to_the_value_it_was_made_of(value: Any) -> None:
    (read,) = parse_rows([raw_row(value)])
    assert (read, type(read)) == (value, type(value))


def test_rows_are_parsed_in_order() -> None:
    assert parse_rows([Raw(b'{"a": 1}'), Raw(b"null"), Raw(b"[2]")]) == [{"a": 1}, None, [2]]
    assert parse_rows([]) == []
