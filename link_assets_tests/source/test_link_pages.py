"""A link that the warehouse has as it is listed is not loaded again; every other one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from link_assets.contract import LINKS, Field
from link_assets.rows import link_versions
from link_assets.rows.link_versions import LinkVersions
from link_assets.sandbox import Sandbox
from link_assets.settings import api_settings
from link_assets.source import link_pages
from link_assets.source.links_read import LinksRead, known_links
from link_assets.source.rest import links_source
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.children import load_clicks
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_tags, loaded_tags

pytestmark = pytest.mark.usefixtures("api")
Change = Callable[[pytest.MonkeyPatch], object]


def a_link(name: str, version: str = "0", **more: Any) -> dict[str, Any]:
    tags = [f"{name}{version}", "b"]
    return {"id": name, "DomainId": 1, "title": version, "tags": tags} | more


def listed(sandbox: Sandbox, *links: Any, within: timedelta | None = None) -> LinksRead:
    """What is read when these links are listed, and all but the known ones are loaded."""
    sandbox.links, read = [*links], LinksRead()
    with open_pipeline("links") as pipeline:
        listing = LinkListing(pipeline, within)
        read.known = known_links(listing.present)
        pipeline.run(links_source(api_settings(), read))
        listing.mark_deleted(read.listed, read.unread, 1)
    return read


def loads() -> dict[str, str]:
    """The load that each link is of."""
    return dict(rows("SELECT id, _dlt_load_id FROM {dataset}.links"))


def loaded_anew(before: dict[str, str]) -> str:
    """The links that a load since then has brought."""
    return "".join(sorted(link for link, load in loads().items() if before.get(link) != load))


def test_only_links_that_are_new_or_changed_are_loaded(sandbox: Sandbox) -> None:
    listed(sandbox, *map(a_link, "abc"))
    before = loads()
    read = listed(sandbox, *map(a_link, "abc"))
    assert (loaded_anew(before), read.listed, read.stats.accepted) == ("", {*"abc"}, 3)
    now = [a_link("a"), a_link("b", "1"), a_link("c"), a_link("d")]
    assert listed(sandbox, *now).listed == {*"abcd"}
    assert loaded_anew(before) == "bd"
    assert loaded_tags() == expected_tags(now)


@pytest.mark.long
@pytest.mark.parametrize("links", ["ab", ""])
def test_links_that_stay_as_they_are_are_listed_after_a_load_of_clicks(
    sandbox: Sandbox, links: str
) -> None:
    # its pipeline stores the schema without links and their child tables
    listed(sandbox, *map(a_link, links))
    load_clicks(1)
    before = loads()
    listed(sandbox, *map(a_link, links))
    assert (loads(), loaded_anew(before)) == (before, "")
    listed(sandbox, a_link("c"))
    assert loaded_anew(before) == "c"


@pytest.mark.parametrize("batch_rows", [1, 2, 4_000])
@pytest.mark.parametrize(
    ("listing", "title"), [("01", "1"), ("10", "0"), ("010", "0"), ("0110", "0"), ("101", "1")]
)
def test_the_last_version_wins_also_where_one_is_known(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    listing: str,
    title: str,
    batch_rows: int,
) -> None:
    monkeypatch.setattr(link_pages, "BATCH_ROWS", batch_rows)
    sandbox.page_size = 1
    listed(sandbox, a_link("a"), a_link("b"))
    listed(sandbox, *(a_link("a", version) for version in listing), a_link("b"))
    assert rows("SELECT id, title FROM {dataset}.links ORDER BY 1") == [("a", title), ("b", "0")]
    assert loaded_tags() == expected_tags([a_link("a", title), a_link("b")])


@pytest.mark.long
def test_a_marked_link_that_comes_back_as_it_was_is_loaded(sandbox: Sandbox) -> None:
    listed(sandbox, *map(a_link, "ab"))
    listed(sandbox, a_link("a"))
    before = loads()
    listed(sandbox, *map(a_link, "ab"))
    assert loaded_anew(before) == "b"
    assert rows("SELECT count(deleted_at) FROM {dataset}.links") == [(0,)]


@pytest.mark.long
def test_a_link_that_was_deleted_by_hand_is_loaded(sandbox: Sandbox) -> None:
    listed(sandbox, *map(a_link, "ab"))
    before = loads()
    rows("DELETE FROM {dataset}.links WHERE id = 'b'")
    del before["b"]
    listed(sandbox, *map(a_link, "ab"))
    assert loaded_anew(before) == "b"


@pytest.mark.long
def test_links_are_loaded_again_after_some_time(sandbox: Sandbox) -> None:
    listed(sandbox, *map(a_link, "ab"))
    rows("UPDATE {dataset}.links SET title = 'by hand'")
    rows("UPDATE {dataset}.links SET _dlt_load_id = '1700000000.5' WHERE id = 'b'")
    before = loads()
    listed(sandbox, *map(a_link, "ab"), within=timedelta(days=7))
    assert loaded_anew(before) == "b"
    assert rows("SELECT id, title FROM {dataset}.links ORDER BY 1") == [
        ("a", "by hand"),
        ("b", "0"),
    ]


@pytest.mark.long
def test_links_of_an_earlier_version_of_the_project_are_loaded_once(sandbox: Sandbox) -> None:
    listed(sandbox, *map(a_link, "ab"))
    for table, column in [
        ("links", "_dlt_id"),
        *((f"links__{c}", "_dlt_root_id") for c in ("tags",)),
    ]:
        rows(f"UPDATE {{dataset}}.{table} SET {column} = split_part({column}, '_', 1)")
    rows("UPDATE {dataset}.links__tags SET _dlt_parent_id = _dlt_root_id")
    for loaded in ("ab", ""):
        before = loads()
        listed(sandbox, *map(a_link, "ab"))
        assert loaded_anew(before) == loaded
        assert loaded_tags() == expected_tags([*map(a_link, "ab")])


def with_another_column(patch: pytest.MonkeyPatch) -> None:
    fields = (*LINKS.fields, Field("another", "another"))
    patch.setattr(link_versions, "LINKS", replace(LINKS, fields=fields))


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv("SOURCES__LINK_ASSETS__PERSONAL_PEOPLE", "drop"),
        lambda patch: patch.setattr(link_versions, "CONVERSION", 0),
        with_another_column,
        lambda patch: patch.setattr(link_pages, "LinkVersions", partial(LinkVersions, "new key")),
    ],
    ids=["treatment", "conversion", "column", "key"],
)
def test_links_are_loaded_anew_when_other_rows_come_of_them(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    listed(sandbox, *map(a_link, "ab"))
    change(monkeypatch)
    for loaded in ("ab", ""):
        before = loads()
        listed(sandbox, *map(a_link, "ab"))
        assert loaded_anew(before) == loaded


def test_the_domains_of_links_that_stay_as_they_are_are_loaded(sandbox: Sandbox) -> None:
    links = [
        a_link(name, shortURL=f"https://{name}.example/x", DomainId=i)
        for i, name in enumerate("abc")
    ]
    listed(sandbox, *links)
    rows("DELETE FROM {dataset}.domains")
    before = loads()
    listed(sandbox, *links)
    domains = rows("SELECT id, hostname FROM {dataset}.domains ORDER BY 1")
    assert domains == [(0, "a.example"), (1, "b.example"), (2, "c.example")]
    assert loaded_anew(before) == ""


def test_child_tables_have_no_columns_but_those_that_dlt_makes(sandbox: Sandbox) -> None:
    listed(sandbox, a_link("a", path="café"))
    for table in ("links__tags", "links__spellings"):
        with_types = rows(
            "SELECT column_name, is_nullable FROM information_schema.columns"
            f" WHERE table_name = '{table}' AND table_schema = 'link_assets' ORDER BY 1"
        )
        keys = ("_dlt_id", "_dlt_list_idx", "_dlt_parent_id", "_dlt_root_id")
        assert with_types == [*((key, "NO") for key in keys), ("value", "YES")]
