"""A rejected row is kept whole, under an id that stays the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from link_assets.contract import REJECTED_ROWS
from link_assets.rows.arrow_types import arrow_schema
from link_assets.rows.convert import ExactNumber
from link_assets.rows.rejected import Rejection, reject
from link_assets.rows.rejected_arrow import rejected_batch, row_ids


@pytest.mark.parametrize(
    "row", [{"b": 1, "a": ["\ud800", "\x00", "\u00fc"]}, [1], "text", None, 1.5, {"\udc00": {}}]
)
def test_the_payload_is_the_whole_row(row: Any) -> None:
    payload = reject(row, ["why"]).payload
    assert json.loads(payload) == row
    assert payload.isascii()


def test_nan_and_infinity_are_kept() -> None:
    assert reject({"x": float("nan"), "y": -float("inf")}, []).payload == '{"x":NaN,"y":-Infinity}'


def test_numbers_are_kept_as_they_were_spelled() -> None:
    row = {"x": ExactNumber("140.10"), "y": [ExactNumber("1e400"), ExactNumber("-0"), 10**22]}
    assert reject(row, []).payload == f'{{"x":140.10,"y":[1e400,-0,{10**22}]}}'


def test_the_order_of_fields_makes_no_difference() -> None:
    assert reject({"a": 1, "b": 2}, ["why"]) == reject({"b": 2, "a": 1}, ["why"])


def test_reasons_are_joined_and_every_warehouse_can_hold_them() -> None:
    rejection = reject({}, ["st: is text", "\ud800: is a list", "n\x00: is a list"])
    assert rejection.reason == "st: is text; \\ud800: is a list; n\\u0000: is a list"


def test_no_rejections_make_an_empty_table_with_every_column() -> None:
    table = rejected_batch("clicks", 1, [])
    assert table.num_rows == 0
    assert table.schema == arrow_schema(REJECTED_ROWS)


def test_every_rejection_makes_one_row() -> None:
    rejections = [Rejection("why", "{}"), Rejection("why not", "[]")]
    table = rejected_batch("links", None, rejections)
    assert table.schema == arrow_schema(REJECTED_ROWS)
    rows = table.to_pylist()
    assert [row["payload"] for row in rows] == ["{}", "[]"]
    assert [row["reason"] for row in rows] == ["why", "why not"]
    assert {(row["resource"], row["domain_id"]) for row in rows} == {("links", None)}


def test_the_row_id_depends_on_resource_domain_and_payload_but_not_on_the_reason() -> None:
    def row_id(resource: str, domain_id: int | None, reason: str, payload: str) -> str:
        table = rejected_batch(resource, domain_id, [Rejection(reason, payload)])
        return table.column("rejected_row_id")[0].as_py()

    known = row_id("clicks", 1, "why", "{}")
    assert len(known) == 32
    assert row_id("clicks", 1, "why not", "{}") == known
    others = {
        row_id("links", 1, "", "{}"),
        row_id("clicks", 2, "", "{}"),
        row_id("clicks", None, "", "{}"),
        row_id("clicks", 1, "", "[]"),
    }
    assert len(others - {known}) == 4


def test_a_rejected_row_keeps_the_id_that_warehouses_hold() -> None:
    rejection = reject({"a": '\ud800\x00 \u00fc "x"', "n": 10**22}, ["why"])
    assert row_ids(rejected_batch("clicks", 7, [rejection, rejection])) == [
        "a5180c52e0cc6af31e02a79f997cbe5c",
        "572dfa8dd17fa3e53f9ec9a11c5f1111",
    ]
    assert row_ids(rejected_batch("links", None, [rejection])) == [
        "5269a413295cec5c9819ef8e384ac38f"
    ]
