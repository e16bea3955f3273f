"""Links become rows by column name; what cannot be read is rejected with a reason."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link_assets.rows.convert import ExactNumber
from link_assets.rows.links import link_row
from link_assets.rows.rejected import Rejection
from link_assets_tests.guide import LINK_FIELDS

LINK = {
    "id": "lnk_1",
    "idString": "lnk_1",
    "originalURL": "https://example.com",
    "createdAt": "2023-07-26T15:09:12.285Z",
    "DomainId": 7,
    "OwnerId": 1,
    "Owner": {"id": 1, "name": "Ada", "photoURL": None},
    "tags": ["a", "b"],
}
PEOPLE, NOTHING = ("Owner", "User"), ("", " ", [], {})
NUL = "is text with a NUL character, which not every warehouse can hold"
COLUMNS = {column for _, column, *_ in LINK_FIELDS} | {"tags", "spellings"}

TEXT = st.text(st.characters(codec=None, categories=None), max_size=8)  # type: ignore[arg-type]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
TOP = sorted({name.partition(".")[0] for name, *_ in LINK_FIELDS} | {"tags"})
ROWS = st.dictionaries(st.sampled_from(TOP) | TEXT, JSON, max_size=8)
LINKS_WITH_ID = ROWS.map(lambda row: {**row, "id": "lnk"})


def accepted(row: Any) -> dict[str, Any]:
    link = link_row(row)
    assert isinstance(link, dict), link
    return link


def rejected(row: Any) -> Rejection:
    rejection = link_row(row)
    assert isinstance(rejection, Rejection)
    return rejection


def test_a_link_has_every_documented_column_by_its_name() -> None:
    link = accepted(LINK)
    assert link.keys() == COLUMNS
    assert link["original_url"] == "https://example.com"
    assert link["created_at"] == datetime(2023, 7, 26, 15, 9, 12, 285000, tzinfo=UTC)
    assert (link["owner_id"], link["owner__id"], link["owner__name"]) == (1, 1, "Ada")
    assert link["user__id"] is None
    assert accepted({"id": "x"}).keys() == COLUMNS


@pytest.mark.parametrize(
    ("field", "value", "column", "expected"),
    [
        ("DomainId", "7", "domain_id", 7),
        ("redirectType", 302, "redirect_type", "302"),
        ("archived", "true", "archived", True),
        ("clicksLimit", 140, "clicks_limit", "140"),
        ("AutodeletedAt", "", "autodeleted_at", None),
        ("Owner", {"id": "1"}, "owner__id", 1),
        ("Owner", None, "owner__id", None),
        ("User", {"role": "admin"}, "user__role", "admin"),
        ("tags", None, "tags", []),
        *(("tags", nothing, "tags", []) for nothing in ("", " ", {}, [])),
        (
            "tags",
            [1, None, True, "", [], {}, ExactNumber("1.50")],
            "tags",
            ["1", "true", "", "1.50"],
        ),
        *((who, nothing, f"{who.lower()}__id", None) for who in PEOPLE for nothing in NOTHING),
        ("Owner", {"id": [], "name": {}}, "owner__name", None),
        ("utmSource", [], "utm_source", None),
        ("utmSource", {}, "utm_source", None),
        ("utmSource", "", "utm_source", ""),
        ("OwnerId", {}, "owner_id", None),
        ("archived", [], "archived", None),
        ("createdAt", {}, "created_at", None),
        ("clicksLimit", ExactNumber("140.10"), "clicks_limit", "140.10"),
        ("DomainId", ExactNumber("7.0"), "domain_id", 7),
        ("Owner", {"id": 1, "name": ExactNumber("-0")}, "owner__name", "-0"),
        ("nested", {"a": [ExactNumber("1e400")]}, "nested", '{"a":[1e400]}'),
        ("nested", {"a": "\x00"}, "nested", '{"a":"\\u0000"}'),
        ("nested", {}, "nested", "{}"),
        ("nested", [], "nested", "[]"),
        ("skipQS", False, "skip_qs", "false"),
        ("score", 1.5, "score", "1.5"),
        ("score", float("inf"), "score", "Infinity"),
        ("count", 2**63 - 1, "count", str(2**63 - 1)),
        ("count", 2**63, "count", str(2**63)),
        ("nested", {"b": 1, "a": [2]}, "nested", '{"a":[2],"b":1}'),
        ("title", "\uf026 is an icon", "title", "\uf026 is an icon"),
    ],
)
def test_a_value_becomes_its_column(field: str, value: Any, column: str, expected: Any) -> None:
    read = accepted(LINK | {field: value})[column]
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "is not an object"),
        ([], "is not an object"),
        ({}, "id: is missing, and so is idString"),
        ({"id": "", "idString": None}, "id: is missing, and so is idString"),
        (LINK | {"DomainId": "(masked)"}, "DomainId: is text, not a whole number"),
        (LINK | {"Owner": "Ada"}, "Owner: is text, not an object"),
        (LINK | {"User": [1]}, "User: is a list, not an object"),
        (LINK | {"User": False}, "User: is true or false, not an object"),
        (LINK | {"tags": {"a": "b"}}, "tags: is an object, not a list"),
        (LINK | {"tags": 0}, "tags: is a whole number, not a list"),
        *((LINK | {name: "\x00"}, f"{name}: {NUL}") for name in ("id", "title", "new")),
        (LINK | {"tags": ["a", "b\x00"]}, f"tags: {NUL}"),
        (LINK | {"Owner": {"name": "\x00"}}, f"Owner.name: {NUL}"),
        (LINK | {"Owner": {"team": "\x00"}}, f"Owner.team: {NUL}"),
        (LINK | {"n\x00w": "\x00"}, f"n\\u0000w: {NUL}"),
        (LINK | {"Owner": {"id": "Ada"}}, "Owner.id: is text, not a whole number"),
        (LINK | {"tags": "a"}, "tags: is text, not a list"),
        (LINK | {"tags": ["a", {"b": 1}]}, "tags: is an object, not text"),
        (LINK | {"new": "\ud800"}, "new: is text with half a surrogate pair, not valid Unicode"),
        (LINK | {"title": "\uf0261.5"}, "title: is text that dlt reserves for typed values"),
        (LINK | {"tags": ["\uf0261.5"]}, "tags: is text that dlt reserves for typed values"),
        (
            LINK | {"id": {"a": 1}, "archived": 2},
            "id: is an object, not text; archived: is a whole number, not true or false",
        ),
    ],
)
def test_an_unreadable_link_is_rejected(row: Any, reason: str) -> None:
    assert rejected(row).reason == reason


@pytest.mark.parametrize("absent", [{"id": None}, {"id": ""}, {"id": []}, {"id": {}}, {}])
def test_a_link_without_an_id_gets_its_id_string_as_id(absent: dict[str, Any]) -> None:
    assert accepted({"idString": "lnk_9"} | absent)["id"] == "lnk_9"


def test_undocumented_fields_take_no_other_columns() -> None:
    odd = {"Owner__id": 5, "Owner.id": 6, "Tags": "t", "owner": "o", "_dlt_id": "d", "TITLE": "T"}
    link = accepted(LINK | odd | {"Owner": {"id": 1, "ID": 2}})
    expected = accepted(LINK | {"Owner": {"id": 1}})
    assert {column: link[column] for column in COLUMNS} == expected
    added = [value for column, value in link.items() if column not in COLUMNS]
    assert sorted(map(str, added)) == sorted(["5", "6", "t", "o", "d", "T", "2"])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(ROWS | LINKS_WITH_ID | JSON)
def test_every_row_is_accepted_or_rejected(row: Any) -> None:
    link = link_row(row)
    assert isinstance(link, dict | Rejection)
    assert repr(link) == repr(link_row(row))
    if isinstance(link, dict):
        assert not any(isinstance(value, dict) for value in link.values())
        assert link["id"]
        assert link.keys() >= COLUMNS


@settings(max_examples=100, derandomize=True, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_fields_changes_nothing(row: dict[str, Any], rng: random.Random) -> None:
    shuffled = dict(rng.sample(list(row.items()), len(row)))
    one, other = link_row(row), link_row(shuffled)
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert sorted(map(repr, one.items())) == sorted(map(repr, other.items()))
    else:
        assert isinstance(other, Rejection)
        assert one.payload == other.payload


@settings(max_examples=100, derandomize=True, deadline=None)
@given(LINKS_WITH_ID, st.sampled_from(TOP), TEXT)
def test_reasons_never_quote_a_value(row: dict[str, Any], name: str, text: str) -> None:
    secret = f"Zaphod{text}\ud800"
    for bad in (secret, [secret], [[secret]], {"id": secret}):
        link = link_row(row | {name: bad})
        if isinstance(link, Rejection):
            assert "Zaphod" not in link.reason
            assert "Zaphod" in link.payload


def test_dlt_loads_a_link_under_the_same_names(tmp_path: Path) -> None:
    odd = {"Owner__id": 5, "_dlt_id": "d", "": "unnamed", "nested": {"a": 1}, "Tags": "t"}
    link = accepted(LINK | odd | {"title": "esc\x1b", "tags": ["a", "", "b\x01"]})
    pipeline = dlt.pipeline(
        "link_rows",
        pipelines_dir=str(tmp_path / "pipelines"),
        destination=dlt.destinations.duckdb(str(tmp_path / "links.duckdb")),
        dataset_name="loaded",
    )
    hints: Any = {column: {"data_type": kind} for _, column, kind, _ in LINK_FIELDS}
    pipeline.run([link], table_name="links", columns=hints, loader_file_format="parquet")
    with duckdb.connect(str(tmp_path / "links.duckdb")) as database:
        links = database.execute("select * from loaded.links")
        names = [name for name, *_ in links.description or ()]
        row = dict(zip(names, links.fetchall()[0], strict=True))
        tags = database.execute("select value from loaded.links__tags order by _dlt_list_idx")
        assert [tag for (tag,) in tags.fetchall()] == link.pop("tags")
        assert link.pop("spellings") == []
    assert row.keys() - link.keys() == {"_dlt_id", "_dlt_load_id"}
    assert {column: row[column] for column in link} == link
