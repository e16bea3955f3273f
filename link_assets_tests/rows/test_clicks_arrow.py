"""Clicks are read as expected, by Arrow from their text and otherwise as objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.json import encode

from link_assets.contract import PersonalGroup, Treatment
from link_assets.rows import clicks_arrow
from link_assets.rows.clicks import ClickBatch, click_batches
from link_assets.rows.clicks_arrow import ClickReader, Known
from link_assets.rows.convert import ExactNumber
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import raw_row
from link_assets.sandbox import World
from link_assets_tests.guide import CLICK_FIELDS
from link_assets_tests.rows.oracle import batches_of
from link_assets_tests.rows.test_clicks import CLICK, CLICKS_WITH_DT, DT, PAGES
from link_assets_tests.rows.test_fast_path import OF_TYPE, clicks_of
from link_assets_tests.scenarios.test_faults import READ, REFUSED

KEPT: dict[PersonalGroup, Treatment] = {"password": "keep", "people": "keep"}
CLICKS_OF_WORLD = World(clicks_per_domain=60).clicks(1, 0, 60)
# text that spells the escape of NUL is taken for NUL at first, and so is not read at once
GOOD_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).filter(
    lambda text: "\\u0000" not in text
)
# fields of the right type alone, so that Arrow takes them
GOOD = st.fixed_dictionaries(
    {"dt": st.sampled_from([DT, "1969-12-31T23:59:59.999999+01:00", "2500-01-01T00:00:00Z"])},
    optional={name: st.none() | GOOD_TEXT for name, _, kind, _ in CLICK_FIELDS if kind == "text"}
    | {"st": st.none() | st.integers(-(2**63), 2**63 - 1), "human": st.none() | st.booleans()},
)


@pytest.fixture
def as_objects(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were read as objects each time some were."""
    counts: list[int] = []

    def counted(pages: Any, domain_id: int) -> list[ClickBatch]:
        counts.append(sum(map(len, pages)))
        return click_batches(pages, domain_id)

    monkeypatch.setattr(clicks_arrow, "click_batches", counted)
    return counts


def reader(ip: Treatment = "keep", known: Known | None = None) -> ClickReader:
    return ClickReader(7, PersonalData({**KEPT, "ip": ip}, "salt"), known)


def as_is(row: Any) -> Raw:
    """The row as APIs mostly spell it: no character otherwise than as itself, where possible."""
    try:
        return Raw(json.dumps(row, ensure_ascii=False).encode())
    except (UnicodeEncodeError, TypeError):
        return raw_row(row)


SPELLED = st.sampled_from([raw_row, as_is])


def encoded(pages: list[list[Any]], spell: Callable[[Any], Raw] = raw_row) -> list[list[Raw]]:
    return [[spell(row) for row in page] for page in pages]


def read(
    *pages: list[Any], by: ClickReader | None = None, spell: Callable[[Any], Raw] = raw_row
) -> list[ClickBatch]:
    return (by or reader()).read(encoded([*pages], spell))


def expected(*pages: list[Any]) -> list[ClickBatch]:
    """What becomes of the pages of domain 7, whichever way they are read."""
    return batches_of([[bytes(row) for row in page] for page in encoded([*pages])], 7)


def joined(batches: list[ClickBatch]) -> pa.Table:
    return pa.concat_tables([b.table for b in batches], promote_options="default")


def test_arrow_reads_documented_fields_of_the_right_types(as_objects: list[int]) -> None:
    clicks = [{k: v for k, v in c.items() if k != "device_type"} for c in CLICKS_OF_WORLD]
    (batch,) = read(clicks[:20], clicks[20:])
    assert as_objects == []
    assert [batch] == expected(clicks[:20], clicks[20:])


def test_arrow_reads_undocumented_fields_once_they_are_known(as_objects: list[int]) -> None:
    page = [
        CLICK | {"device": "phone", "isBot": False, "score": 12},
        CLICK | {"device": None, "isBot": True, "score": -(2**63)},
        CLICK | {"device": "\u00fc", "score": 2**63 - 1},
    ]
    by = reader()
    first, second = read(page, by=by), read(page, by=by)
    assert as_objects == [3]
    assert first == second == expected(page)
    assert second[0].table.column("is_bot").to_pylist() == ["false", "true", None]
    assert second[0].table.column("score").to_pylist() == ["12", str(-(2**63)), str(2**63 - 1)]


def test_readers_share_the_fields_they_have_learned(as_objects: list[int]) -> None:
    known: Known = {}
    first, second = reader(known=known), reader(known=known)
    page = [CLICK | {"device": "phone", "score": 12}]
    assert read(page, by=first) == read(page, by=second) == expected(page)
    assert as_objects == [1]


def test_a_reader_trusts_the_type_it_saw_itself_before_that_of_others(
    as_objects: list[int],
) -> None:
    known: Known = {}
    first, second = reader(known=known), reader(known=known)
    numbers, texts = [CLICK | {"score": 12}], [CLICK | {"score": "high"}]
    for page, by in ((numbers, first), (texts, second), (numbers, first), (texts, second)):
        assert read(page, by=by) == expected(page)
    assert as_objects == [1, 1]


def test_a_null_does_not_change_the_type_that_other_readers_know(as_objects: list[int]) -> None:
    known: Known = {}
    numbers, nothing = [CLICK | {"score": 12}], [CLICK | {"score": None, "st": "302"}]
    read(numbers, by=reader(known=known))
    read(nothing, by=reader(known=known))
    as_objects.clear()
    read(numbers, by=reader(known=known))
    assert as_objects == []


def test_a_field_name_that_is_not_unicode_does_not_disturb_other_readers(
    as_objects: list[int],
) -> None:
    known: Known = {}
    odd = [CLICK | {"half\ud800": "x"}]
    assert read(odd, by=reader(known=known)) == expected(odd)
    as_objects.clear()
    read([CLICK], by=reader(known=known))
    assert as_objects == []


def test_a_null_does_not_change_the_type_that_a_reader_knows(as_objects: list[int]) -> None:
    by = reader()
    read([CLICK | {"score": 1}], by=by)
    read([CLICK | {"score": None, "st": "302"}], by=by)
    as_objects.clear()
    read([CLICK | {"score": 2}], by=by)
    assert as_objects == []


@pytest.mark.parametrize(
    "value",
    [
        *(1.5, 10.0, 1e300, 2**63, {"a": None}, [], {}, "", "2026-01-01T00:00:00Z", "text", 0),
        *(
            True,
            "\ud800",
            "nul\x00",
            "\\u0000",
            {"a": "\x00"},
            ExactNumber("-0"),
            ExactNumber("1.50"),
        ),
        *(ExactNumber("1e400"), ExactNumber("-0.0"), -7),
    ],
    ids=repr,
)
@pytest.mark.parametrize("known_as", ["text", 3, 0, False, 0.5, {}, None])
def test_the_text_of_an_undocumented_field_does_not_depend_on_earlier_values(
    value: Any, known_as: Any
) -> None:
    by = reader()
    read([CLICK | {"new": known_as}], by=by)
    page = [CLICK | {"new": value}, CLICK | {"new": None}, CLICK | {"new": value}]
    for _ in range(2):
        assert read(page, by=by) == expected(page)


def test_a_new_field_is_not_skipped() -> None:
    by = reader()
    read([CLICK], by=by)
    (batch,) = read([CLICK | {"late": "x"}], by=by)
    assert batch.table.column("late").to_pylist() == ["x"]


def test_fields_with_similar_names_keep_separate_columns() -> None:
    by = reader()
    for row in ({"newField": "x", "new_field": "y"}, {"newField": "x"}, {"new_field": "y"}):
        for _ in range(2):
            assert read([CLICK | row], by=by) == expected([CLICK | row])


@pytest.mark.parametrize(
    "row", [None, [], 1, "text", True, False, {}, {"dt": None}, {"dt": "soon"}]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_is_not_a_click_is_rejected(row: Any, place: int) -> None:
    page = [CLICK, CLICK | {"st": 404}]
    page.insert(place, row)
    (batch,) = read(page)
    assert [batch] == expected(page)
    assert len(batch.rejections) == 1


def test_the_last_value_of_a_repeated_name_counts(as_objects: list[int]) -> None:
    text = b'{"dt": "%b", "city": "first", "x": 1, "city": "last", "x": 2}' % DT.encode()
    by = reader()
    for _ in range(2):
        (batch,) = by.read([[Raw(text)]])
        assert batch.table.column("city").to_pylist() == ["last"]
        assert batch.table.column("x").to_pylist() == ["2"]


def test_white_space_and_line_breaks_between_values_change_nothing(as_objects: list[int]) -> None:
    text = b'{ "dt"\n:\t"%b",\r\n"host":\n"a.example" ,"st" : 302,"ua":\nnull}' % DT.encode()
    (batch,) = reader().read([[Raw(text), Raw(text)]])
    assert as_objects == []
    assert [batch] == expected([{"dt": DT, "host": "a.example", "st": 302, "ua": None}] * 2)


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize(
    "text", ['say "x"', "back\\slash", "tab\t", "\x01", "\x7f\u2028/\u00fc", "\U0001f600", ""]
)
def test_the_click_id_does_not_depend_on_how_text_is_spelled(
    text: str, escaped: bool, as_objects: list[int]
) -> None:
    row = CLICK | {"ua": text, "ref": None}
    spelled = json.dumps(row).encode() if escaped else encode(row)
    (batch,) = reader().read([[Raw(spelled)]])
    assert as_objects == []
    assert [batch] == expected([row])


def test_identical_clicks_are_numbered_by_page(as_objects: list[int]) -> None:
    pages = [CLICK, CLICK], [CLICK], [CLICK, CLICK | {"st": 404}, CLICK]
    (batch,) = read(*pages)
    assert as_objects == []
    assert [batch] == expected(*pages)
    ids = batch.table.column("click_id").to_pylist()
    assert len({*ids}) == 3
    assert ids[0] == ids[2] == ids[3]
    assert ids[1] == ids[5]


@pytest.mark.parametrize("treatment", ["hash", "drop"])
def test_addresses_are_treated_alike_by_arrow_and_as_objects(
    treatment: Treatment, as_objects: list[int]
) -> None:
    rows = [CLICK, CLICK | {"ip": None}, CLICK | {"ip": "2001:db8::1"}]
    (at_once,) = read(rows, by=reader(ip=treatment))
    assert as_objects == []
    whole, _ = read([*rows, CLICK | {"st": "302"}], [None], by=reader(ip=treatment))
    assert whole.table.slice(0, 3) == at_once.table
    assert CLICK["ip"] not in str(at_once.table.to_pylist())


def test_each_value_of_the_fault_matrix_is_read_as_expected() -> None:
    for data_type, value, _ in [*READ, *REFUSED]:
        page = clicks_of([{OF_TYPE[data_type]: value}, {}])
        assert read(page) == expected(page), (data_type, value)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(PAGES | st.lists(CLICKS_WITH_DT, max_size=4), min_size=1, max_size=3), SPELLED)
def test_any_pages_are_read_as_expected(
    pages: list[list[Any]], spell: Callable[[Any], Raw]
) -> None:
    by = reader()
    for _ in range(2):
        assert read(*pages, by=by, spell=spell) == expected(*pages)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.lists(GOOD, min_size=1, max_size=5), min_size=1, max_size=3), SPELLED)
def test_arrow_alone_reads_values_of_the_right_types_as_expected(
    pages: list[list[Any]], spell: Callable[[Any], Raw]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clicks_arrow, "click_batches", None)
        batches = read(*pages, spell=spell)
    assert batches == expected(*pages)


def test_rows_that_arrow_cannot_read_are_read_some_pages_at_a_time(as_objects: list[int]) -> None:
    page = [CLICK | {"st": "302"}] * 300
    batches = read(*[page] * 7)
    assert as_objects == [900, 900, 300]
    assert joined(batches).num_rows == 2_100


def test_only_the_first_pages_with_a_new_field_are_read_as_objects(as_objects: list[int]) -> None:
    page = [CLICK | {"new": "x"}] * 300
    batches = read(*[[CLICK] * 300] * 4, *[page] * 7)
    assert as_objects == [900, 900]
    assert [batch.table.num_rows for batch in batches] == [900, 900, 1_500]
    assert joined(batches).column("new").null_count == 1_200
