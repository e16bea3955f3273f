"""The id of a click never changes: warehouses hold it for good."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from link_assets.rows.click_ids import click_ids
from link_assets.rows.clicks import click_batch
from link_assets.rows.clicks_arrow import ClickReader
from link_assets.rows.personal import PersonalData

DOMAIN = 7
DT = "2020-05-20T06:19:12.000Z"
CLICK = {
    "host": "a.example",
    "path": "/x",
    "method": "GET",
    "url": "https://a.example/x",
    "dt": DT,
    "st": 302,
    "ip": "192.0.2.1",
    "proto": "https",
    "ref": "https://b.example/",
    "ua": "Mozilla/5.0",
}
FACTS = ("host", "path", "method", "url", "dt", "st", "ip", "proto", "ref", "ua")
# what warehouses hold; a change here means that every click is loaded a second time
KNOWN: list[tuple[dict[str, Any], str]] = [
    ({"dt": DT}, "b6c326fbb93dd0e254063a2111c40a38"),
    (CLICK, "7ecb21060c78f96e9d56970be4ffb3f3"),
    (CLICK | {"ua": 'say "x" \\ \t\n\x01\x1f\x7f'}, "7639eef4eed07fc087eded39e8b4bd50"),
    (
        CLICK | {"ua": "\u00fc \u2028 \ufffd \U0001f600", "ref": ""},
        "c66c6917af620b02e077c0d2fa77b140",
    ),
    (
        CLICK | {"dt": "1969-12-31T23:59:59.999999Z", "st": -(2**63)},
        "c3f15304e27506d54155bbc4c9abda1d",
    ),
]
ALL_THE_SAME = [
    "7ecb21060c78f96e9d56970be4ffb3f3",
    "e1a1c128277988d5f02837ba5e8f7204",
    "bcf8c691883917967efa4cd497e9e667",
]
TEXTS = st.none() | st.text(st.characters(codec="utf-8"))
CLICKS = st.fixed_dictionaries(
    dict.fromkeys(FACTS, TEXTS)
    | {"st": st.none() | st.integers(-(2**63), 2**63 - 1), "dt": st.integers(-(2**40), 2**50)}
)


def ids_of_objects(*clicks: dict[str, Any]) -> list[str]:
    return click_batch(clicks, DOMAIN).table.column("click_id").to_pylist()


def ids_of_texts(*clicks: dict[str, Any], ensure_ascii: bool = False) -> list[str]:
    reader = ClickReader(DOMAIN, PersonalData({"ip": "keep", "password": "keep", "people": "keep"}))
    page = [Raw(json.dumps(click, ensure_ascii=ensure_ascii).encode()) for click in clicks]
    (batch,) = reader.read([page])
    return batch.table.column("click_id").to_pylist()


def expected_id(click: dict[str, Any], number: int = 0) -> str:
    """The id of a click whose time is in microseconds, by Python's own JSON."""
    listed = [DOMAIN, *(click[name] for name in FACTS), number]
    text = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def table_of(clicks: list[dict[str, Any]]) -> pa.Table:
    types = dict.fromkeys(FACTS, pa.string())
    types |= {"st": pa.int64(), "dt": pa.timestamp("us", tz="UTC")}
    return pa.Table.from_pylist(clicks, schema=pa.schema(list(types.items())))


@pytest.mark.parametrize(("click", "click_id"), KNOWN)
def test_a_click_keeps_the_id_that_warehouses_hold(click: dict[str, Any], click_id: str) -> None:
    assert ids_of_objects(click) == [click_id]
    assert ids_of_texts(click) == [click_id]
    assert ids_of_texts(click, ensure_ascii=True) == [click_id]


def test_identical_clicks_of_a_page_keep_the_ids_that_warehouses_hold() -> None:
    assert ids_of_objects(CLICK, CLICK, CLICK) == ALL_THE_SAME
    assert ids_of_texts(CLICK, CLICK, CLICK) == ALL_THE_SAME


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(CLICKS, max_size=4))
def test_an_id_is_the_hash_of_domain_facts_and_number_as_json(clicks: list[dict[str, Any]]) -> None:
    pages = list(range(len(clicks)))
    ids = click_ids(table_of(clicks), DOMAIN, pages).to_pylist()
    assert ids == [expected_id(click) for click in clicks]


def test_every_character_is_hashed_as_json_spells_it() -> None:
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    runs = ["".join(characters[start : start + 1024]) for start in range(0, 0x110000, 1024)]
    clicks = [CLICK | {"dt": 0, "ua": run} for run in runs]
    ids = click_ids(table_of(clicks), DOMAIN, list(range(len(clicks)))).to_pylist()
    assert ids == [expected_id(click) for click in clicks]


def test_identical_clicks_are_numbered_page_by_page() -> None:
    clicks = [CLICK | {"dt": 0}, CLICK | {"dt": 0, "st": 404}]
    rows = [clicks[number] for number in (0, 0, 1, 0, 0, 1)]
    ids = click_ids(table_of(rows), DOMAIN, [0, 0, 0, 0, 1, 1]).to_pylist()
    numbers = [0, 1, 0, 2, 0, 0]
    assert ids == [expected_id(row, number) for row, number in zip(rows, numbers, strict=True)]
