"""Every field has a column of its own, spelled as dlt spells it."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from link_assets.contract import CLICKS, LINKS, Table
from link_assets.rows.arrow_types import arrow_schema
from link_assets.rows.column_names import column_names
from link_assets_tests.guide import CLICK_FIELDS, LINK_FIELDS

SUFFIX = re.compile(r"__x[0-9a-f]{8}$")
ANY_NAME = st.text(st.characters(codec=None, categories=None), max_size=80)  # type: ignore[arg-type]


def one(raw: str, table: Table = CLICKS, **options: str) -> str:
    return column_names([raw], table, **options)[raw]  # type: ignore[arg-type]


def test_documented_fields_get_their_columns() -> None:
    top = {name: column for name, column, *_ in LINK_FIELDS if "." not in name}
    assert column_names(top, LINKS) == top
    assert one("photoURL", LINKS, parent="Owner") == "owner__photo_url"


@pytest.mark.parametrize(
    ("raw", "column"),
    [("isBot", "is_bot"), ("some thing", "some_thing"), ("2fa", "_2fa"), ("a__b", "a_b")],
)
def test_an_undocumented_field_gets_the_name_dlt_would_give_it(raw: str, column: str) -> None:
    assert one(raw) == column


@pytest.mark.parametrize(
    ("raw", "base"),
    [
        ("utmSource", "utm_source"),  # documented as utm_source
        ("HOST", "host"),
        ("domain_id", "domain_id"),  # the loader's own
        ("ClickId", "click_id"),
        ("_dlt_id", "_dlt_id"),
        ("_dltAnything", "_dlt_anything"),
        ("", "x"),
        ("  ", "x"),
        ("\u540d\u524d", "x"),
        ("\u4f4f\u6240", "x"),
    ],
)
def test_a_name_that_is_taken_gets_a_hash(raw: str, base: str) -> None:
    assert SUFFIX.sub("", one(raw)) == base
    assert SUFFIX.search(one(raw))


def test_a_flat_field_does_not_take_the_column_of_a_nested_one() -> None:
    names = column_names(["Owner__id", "Owner.id", "OwnerId"], LINKS)
    assert names["OwnerId"] == "owner_id"
    assert "owner__id" not in names.values()
    assert len(set(names.values())) == 3


def test_of_fields_that_normalize_alike_only_the_exact_one_keeps_the_name() -> None:
    names = column_names(["a-b", "aB", "a_b"], CLICKS)
    assert names["a_b"] == "a_b"
    assert len(set(names.values())) == 3
    assert SUFFIX.search(names["a-b"])


def test_reserved_names_are_kept_free() -> None:
    assert column_names(["Tags"], LINKS, ["tags"])["Tags"] != "tags"


def test_a_name_does_not_depend_on_the_process() -> None:
    assert one("HOST") == "host__xa5b728c0"


@pytest.mark.parametrize("raw", ["x" * 5000, "\ud800" * 5000, "-" * 5000])
def test_long_names_fit_any_destination(raw: str) -> None:
    for parent in ("", "Owner"):
        assert len(one(raw, LINKS, parent=parent)) <= 63


@settings(max_examples=200, derandomize=True)
@given(st.lists(ANY_NAME | st.sampled_from([name for name, *_ in CLICK_FIELDS]), unique=True))
def test_names_are_distinct_and_stay_as_they_are_in_dlt(raws: list[str]) -> None:
    names = column_names(raws, CLICKS)
    assert names.keys() == set(raws)
    assert len(set(names.values())) == len(raws)
    assert names == column_names(reversed(raws), CLICKS)
    dlt_naming = NamingConvention()
    assert [dlt_naming.normalize_path(name) for name in names.values()] == list(names.values())


def test_the_arrow_schema_has_the_contracts_columns_in_order() -> None:
    schema = arrow_schema(CLICKS)
    assert schema.names == ["domain_id", "click_id", *(column for _, column, *_ in CLICK_FIELDS)]
    assert schema.field("dt").type == pa.timestamp("us", tz="UTC")
    assert schema.field("st").type == pa.int64()
    assert {f.name for f in schema if not f.nullable} == {"domain_id", "dt", "click_id"}
