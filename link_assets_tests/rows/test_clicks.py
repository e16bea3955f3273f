"""Pages of clicks become Arrow tables; what cannot be read is rejected with a reason."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link_assets.contract import CLICKS
from link_assets.rows import columns
from link_assets.rows.arrow_types import arrow_schema
from link_assets.rows.clicks import ClickBatch, click_batch
from link_assets.rows.convert import ExactNumber
from link_assets_tests.guide import CLICK_FIELDS

DT = "2020-05-20T06:19:12.000Z"
CLICK = {"host": "a.example", "path": "/x", "dt": DT, "st": 302, "human": True, "ip": "192.0.2.1"}
NAMES = [name for name, *_ in CLICK_FIELDS]

TEXT = st.text(st.characters(codec=None, categories=None), max_size=8)  # type: ignore[arg-type]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
SPELLED = st.sampled_from(
    ["", " ", "1", "302", "true", "x\x00y", DT, "2020-05-20", "2020-05-20T06Z"]
) | st.sampled_from(
    ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59Z", "2020-05-20T06:19:12.1234567+23:59"]
)
JSON = st.recursive(
    SCALARS | SPELLED,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
ROWS = st.dictionaries(st.sampled_from(NAMES) | TEXT, JSON, max_size=8)
CLICKS_WITH_DT = ROWS.map(lambda row: {**row, "dt": DT})
PAGES = st.lists(ROWS | CLICKS_WITH_DT | JSON, max_size=6)


NUL = "is text with a NUL character, which not every warehouse can hold"


def value_by_value(rows: list[Any], domain_id: int) -> ClickBatch:
    """The page converted with Arrow refusing every column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_converted_by_arrow", lambda *_: None)
        return click_batch(rows, domain_id)


def only(row: dict[str, Any]) -> dict[str, Any]:
    batch = click_batch([row], 7)
    assert not batch.rejections
    return batch.table.to_pylist()[0]


def click_id(domain_id: int = 7, **facts: Any) -> str:
    return click_batch([CLICK | facts], domain_id).table.column("click_id")[0].as_py()


def test_any_page_makes_every_column_of_the_contract() -> None:
    for rows in ([], [{}], [CLICK], [None], [{"dt": DT}]):
        assert click_batch(rows, 7).table.schema == arrow_schema(CLICKS)


def test_a_click_is_converted() -> None:
    click = only(CLICK)
    assert {name: click[name] for name in CLICK} == CLICK | {
        "dt": datetime(2020, 5, 20, 6, 19, 12, tzinfo=UTC)
    }
    assert click["domain_id"] == 7
    assert click["ua"] is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("st", "302", 302),
        ("st", 302.0, 302),
        ("st", "", None),
        ("st", [], None),
        ("st", {}, None),
        ("human", [], None),
        ("social", {}, None),
        ("social", "", ""),
        ("browser_version", ExactNumber("81.10"), "81.10"),
        ("st", ExactNumber("302.0"), 302),
        ("human", "TRUE", True),
        ("human", 0, False),
        ("browser_version", 81, "81"),
        ("goal_completed", True, "true"),
        ("dt", "2020-05-20T08:19:12+02:00", datetime(2020, 5, 20, 6, 19, 12, tzinfo=UTC)),
        ("dt", "9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_value_of_another_type_is_converted(name: str, value: Any, expected: Any) -> None:
    assert only(CLICK | {name: value})[name] == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "is not an object"),
        ([CLICK], "is not an object"),
        ("text", "is not an object"),
        ({}, "dt: is missing"),
        (CLICK | {"dt": None}, "dt: is missing"),
        (CLICK | {"dt": ""}, "dt: is missing"),
        (CLICK | {"dt": "soon"}, "dt: is text, not an ISO 8601 date and time"),
        (
            CLICK | {"dt": "9999-12-31T23:59:59-02:00"},
            "dt: is a date and time outside the calendar",
        ),
        (
            CLICK | {"dt": "0000-12-31T23:59:59-02:00"},
            "dt: is a date and time outside the calendar",
        ),
        (CLICK | {"st": "many"}, "st: is text, not a whole number"),
        (CLICK | {"st": 1.5}, "st: is a floating-point number, not a whole number"),
        (CLICK | {"st": True}, "st: is true or false, not a whole number"),
        (CLICK | {"st": 2**63}, "st: is a whole number beyond 64 bits"),
        (CLICK | {"ua": {"a": 1}}, "ua: is an object, not text"),
        (CLICK | {"ua": "nul\x00"}, f"ua: {NUL}"),
        (CLICK | {"new": "\x00"}, f"new: {NUL}"),
        (CLICK | {"n\x00w": "\x00"}, f"n\\u0000w: {NUL}"),
        (CLICK | {"new": "\ud800"}, "new: is text with half a surrogate pair, not valid Unicode"),
        (
            CLICK | {"human": 3, "st": [1]},
            "st: is a list, not a whole number; human: is a whole number, not true or false",
        ),
    ],
)
def test_an_unreadable_row_is_rejected_and_the_others_stay(row: Any, reason: str) -> None:
    batch = click_batch([CLICK, row, CLICK], 7)
    assert [rejection.reason for rejection in batch.rejections] == [reason]
    assert batch.table.num_rows == 2
    assert batch.table == click_batch([CLICK, CLICK], 7).table


def test_undocumented_fields_become_text_columns_sorted_by_name() -> None:
    rows = [CLICK | {"zeta": "as is", "isBot": True}, CLICK | {"zeta": {"a": 1}, "none": None}]
    table = click_batch(rows, 7).table
    assert table.column_names[len(CLICKS.columns) :] == ["is_bot", "zeta"]
    assert table.schema.field("zeta").type == pa.string()
    assert table.column("zeta").to_pylist() == ["as is", '{"a":1}']
    assert table.column("is_bot").to_pylist() == ["true", None]


def test_a_field_that_only_rejected_rows_fill_makes_no_column() -> None:
    table = click_batch([CLICK, {"new": "x"}], 7).table
    assert table.schema == arrow_schema(CLICKS)


def test_undocumented_fields_never_take_the_loaders_columns() -> None:
    click = only(CLICK | {"domain_id": 1, "click_id": "mine", "_dlt_id": "dlt", "": "unnamed"})
    assert click["domain_id"] == 7
    assert click["click_id"] == click_id()
    assert {"1", "mine", "dlt", "unnamed"} <= set(map(str, click.values()))


def test_the_click_id_never_changes() -> None:
    assert click_id() == "3143f739446c48f433d05fe23b87110f"


@pytest.mark.parametrize(
    "facts",
    [
        {"st": "302"},
        {"st": 302.0},
        {"st": ExactNumber("302.0")},
        {"dt": "2020-05-20T08:19:12+02:00"},
        {"dt": DT[:19]},
        {"ua": None},
        {"ua": []},
        {"human": False},
        {"browser": "x"},
        {"new": 1},
    ],
)
def test_the_click_id_ignores_spelling_and_what_the_service_works_out(
    facts: dict[str, Any],
) -> None:
    assert click_id(**facts) == click_id()


def test_a_different_fact_makes_a_different_click_id() -> None:
    others = [{"host": "b.example"}, {"st": 301}, {"ua": ""}, {"dt": "2020-05-20T06:19:12.000001Z"}]
    ids = {click_id(**facts) for facts in others}
    assert len({*ids, click_id(), click_id(domain_id=8)}) == len(others) + 2


def test_identical_clicks_of_a_page_get_different_ids() -> None:
    ids = click_batch([CLICK, CLICK | {"st": "302"}, CLICK], 7).table.column("click_id").to_pylist()
    assert len(set(ids)) == 3
    assert ids[0] == click_id()


def test_rejected_rows_are_not_numbered_among_identical_clicks() -> None:
    batch = click_batch([CLICK | {"human": "maybe"}, CLICK], 7)
    assert batch.table.column("click_id").to_pylist() == [click_id()]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(PAGES)
def test_every_row_is_either_accepted_or_rejected(rows: list[Any]) -> None:
    batch = click_batch(rows, 7)
    assert batch.table.num_rows + len(batch.rejections) == len(rows)
    batch.table.validate(full=True)
    batch.table.to_pylist()


@settings(max_examples=150, derandomize=True, deadline=None)
@given(PAGES)
def test_converting_by_column_and_by_value_agree(rows: list[Any]) -> None:
    assert click_batch(rows, 7) == value_by_value(rows, 7)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(PAGES, st.randoms(use_true_random=False))
def test_the_order_of_fields_changes_nothing(rows: list[Any], rng: random.Random) -> None:
    def shuffled(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return dict(rng.sample(list(row.items()), len(row)))

    assert click_batch([shuffled(row) for row in rows], 7) == click_batch(rows, 7)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(ROWS, st.sampled_from(NAMES), TEXT)
def test_reasons_never_quote_a_value(row: dict[str, Any], name: str, text: str) -> None:
    secret = f"Zaphod{text}\ud800"
    for bad in (secret, [secret], {secret: secret}):
        for rejection in click_batch([row | {name: bad}], 7).rejections:
            assert "Zaphod" not in rejection.reason
            assert "Zaphod" in rejection.payload


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.from_regex(
        r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]([T ][0-2][0-9](:?[0-6][0-9](:?[0-6][0-9]"
        r"([.,][0-9]{1,8})?)?)?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?",
        fullmatch=True,
    )
)
def test_arrow_and_python_read_times_alike(text: str) -> None:
    assert click_batch([{"dt": text}], 7) == value_by_value([{"dt": text}], 7)
