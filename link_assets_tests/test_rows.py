"""Rows are read without loss, and written so that they read the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from link_assets.rows import read_json, read_rows, row_of

VALUES = pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        -(2**63),
        2**64 - 1,
        2**64,
        10**30,
        -(10**30),
        1.5,
        "\u00fc \U0001f600",
        "\ud800",
        "1" * 30,
        None,
        [{"a": 10**20, "b": [0.1]}],
    ],
    ids=repr,
)


@VALUES
def test_json_is_read_without_loss(value: Any) -> None:
    read = read_json(json.dumps({"value": value}).encode())["value"]
    assert (read, type(read)) == (value, type(value))


def test_a_number_of_more_digits_than_python_takes_is_read_as_its_text() -> None:
    digits = "7" * 5_000
    assert read_json(f'{{"a": {digits}, "b": -{digits}, "c": 1}}'.encode()) == {
        "a": digits,
        "b": f"-{digits}",
        "c": 1,
    }


@pytest.mark.parametrize("body", [b"", b"{", b"<p>", b"{} {}", b"\xff", b"\xff" + b"1" * 20])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(body)


@VALUES
def test_a_row_says_what_it_was_made_of(value: Any) -> None:
    (read,) = read_rows([row_of(value)])
    assert (read, type(read)) == (value, type(value))


def test_rows_are_read_in_order_and_no_row_is_no_row() -> None:
    assert read_rows([Raw(b'{"a": 1}'), Raw(b"null"), Raw(b"[2]")]) == [{"a": 1}, None, [2]]
    assert read_rows([]) == []
