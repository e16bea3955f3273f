"""The contract, and the tables made of it, have every field that the API guide lists."""

from __future__ import annotations

import pytest

from link_assets.contract import CLICK_FACTS, CLICKS, LINK_TAGS, LINKS, Table
from link_assets.sandbox import Sandbox
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.guide import CLICK_FIELDS, LINK_FIELDS, Fields
from link_assets_tests.support import rows

DUCKDB_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}
PERSONAL = {
    "ip": "ip",
    "password": "password",
    "Owner.name": "people",
    "Owner.email": "people",
    "Owner.photoURL": "people",
    "User.name": "people",
    "User.email": "people",
    "User.photoURL": "people",
}


@pytest.mark.parametrize(
    ("table", "listed"), [(LINKS, LINK_FIELDS), (CLICKS, CLICK_FIELDS)], ids=["links", "clicks"]
)
def test_the_contract_has_the_guides_fields_columns_and_types(table: Table, listed: Fields) -> None:
    fields = [
        (f.name, f.column, f.data_type, "nullable" if f.nullable else "required")
        for f in table.fields
    ]
    assert sorted(fields) == sorted(listed)


def test_the_tags_of_links_are_a_list_of_their_own() -> None:
    assert LINK_TAGS == "tags"


def test_the_merge_keys_never_change() -> None:
    assert LINKS.primary_key == ("id",)
    assert CLICKS.primary_key == ("domain_id", "dt", "click_id")
    facts = "host path method url dt st ip proto ref ua"
    assert tuple(facts.split()) == CLICK_FACTS


def test_fields_about_people_are_known_to_be_personal() -> None:
    fields = [*LINKS.fields, *CLICKS.fields]
    assert {f.name: f.personal for f in fields if f.personal} == PERSONAL


@pytest.mark.parametrize(
    ("table", "listed", "added"),
    [
        ("links", LINK_FIELDS, {"deleted_at": "TIMESTAMP WITH TIME ZONE"}),
        ("clicks", CLICK_FIELDS, {"domain_id": "BIGINT", "click_id": "VARCHAR"}),
    ],
)
def test_the_first_load_makes_every_column_of_the_guide_whatever_rows_hold(
    table: str,
    listed: Fields,
    added: dict[str, str],
    api: str,
    sandbox: Sandbox,
) -> None:
    sandbox.links = [{"id": "a", "tags": ["one"]}]
    sandbox.clicks = {1: [{"dt": "2026-02-01T12:00:00Z"}]}
    load_links()
    load_clicks(1)
    found = rows(
        "SELECT column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = 'link_assets' AND table_name = '{table}'"
        " AND column_name NOT LIKE '\\_dlt%' ESCAPE '\\'"
    )
    columns = {column: DUCKDB_TYPES[data_type] for _, column, data_type, _ in listed}
    assert dict(found) == columns | added
