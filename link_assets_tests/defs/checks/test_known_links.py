"""Which redirects the check `known_links` takes for unknown, in each kind of warehouse."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from link_assets.contract import CLICKS
from link_assets.defs.checks import known_links
from link_assets.defs.checks.judged_rows import Rows
from link_assets.defs.checks.known_links import unknown_links
from link_assets.sandbox import Sandbox
from link_assets.warehouse.reader import reading
from link_assets_tests.defs.checks.test_link_paths import SAME
from link_assets_tests.support import Location, mostly_long, rows
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.destinations.test_postgres import port, server

SERVER = (port, server)
"""Fixtures, for pytest to find here."""
POSTGRES = pytest.param("postgres", marks=[needs_postgres, pytest.mark.long])
ADDED = "2026-03-01T00:00:00Z"


@pytest.fixture(params=["duckdb", POSTGRES])
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind of warehouse after the other, empty."""
    if request.param == "duckdb":
        return
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    address = request.getfixturevalue("server")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    with reading() as reader:
        reader.rows("DROP SCHEMA IF EXISTS link_assets CASCADE")


def link(number: int, path: str | None, domain: int = 1) -> dict[str, Any]:
    return {"id": f"{number}", "idString": f"{number}", "path": path, "DomainId": domain}


def load(
    location: Location,
    sandbox: Sandbox,
    links: list[dict[str, Any]],
    paths: list[str | None],
    status: int | None = 302,
) -> dg.AssetCheckEvaluation:
    """What the check finds after a run that loads a domain with a click on each path."""
    sandbox.links = links
    sandbox.clicks = {1: [{"dt": ADDED, "path": path, "st": status} for path in paths]}
    assert location.links().success
    found = location.clicks("1").get_asset_check_evaluations()
    (known,) = [evaluation for evaluation in found if evaluation.check_name == "known_links"]
    return known


def numbers(found: dg.AssetCheckEvaluation) -> tuple[Any, ...]:
    return tuple(found.metadata[name].value for name in ("redirects", "without_link"))


@pytest.mark.usefixtures("warehouse")
def test_every_spelling_of_a_links_path_is_known(location: Location, sandbox: Sandbox) -> None:
    links = [link(number, path) for number, (_, path) in enumerate(SAME)]
    found = load(location, sandbox, links, [path for path, _ in SAME])
    assert numbers(found) == (len(SAME), 0)
    assert found.passed


@pytest.mark.long
@pytest.mark.usefixtures("warehouse")
def test_paths_of_no_link_are_counted_with_examples(location: Location, sandbox: Sandbox) -> None:
    promo = link(1, "promo") | {"shortURL": "https://go.example.com/promo"}
    links = [promo, link(2, None), link(3, "elsewhere", 2)]
    gone = ["/gone", "/gone", "/gone", "/else%77here", "/a%20b?email=jane@example.com", "/z"]
    found = load(location, sandbox, links, ["/Promo/", *gone])
    assert numbers(found) == (7, 6)
    told = str(found.description)
    assert told.startswith(
        "6 of 7 redirects went through links that are not in the links table: "
        "/gone of domain 1 (go.example.com), /a%20b of domain 1 (go.example.com), "
        "/else%77here of domain 1 (go.example.com) and 1 more. "
    )
    assert "Materialize link_assets/links; if they stay" in told
    assert "jane" not in told


@pytest.mark.long
@pytest.mark.usefixtures("warehouse")
def test_front_page_catch_all_and_missing_paths_need_no_link(
    location: Location, sandbox: Sandbox
) -> None:
    paths = ["/", "", None, "//", "/?utm=x", "/#top", "/*", "/*?x"]
    found = load(location, sandbox, [link(1, "promo")], paths)
    assert (found.passed, numbers(found)) == (True, (0, 0))


@pytest.mark.long
@pytest.mark.usefixtures("warehouse")
def test_paths_that_differ_in_case_are_unknown_where_a_domain_tells_case_apart(
    location: Location, sandbox: Sandbox
) -> None:
    load(location, sandbox, [link(1, "promo"), link(2, "café")], ["/promo", "/Promo", "/CAF%C3%89"])
    judged: list[Any] = []
    for exact in ("TRUE", "FALSE"):
        rows(f"UPDATE {{dataset}}.domains SET case_sensitive = {exact}")
        with reading() as reader:
            judged.append(unknown_links(reader, Rows(CLICKS)).metadata["without_link"])
    assert judged == [2, 0]


@pytest.mark.parametrize("status", mostly_long([404, 200, None], 1))
def test_only_redirects_need_a_link(
    status: int | None, location: Location, sandbox: Sandbox
) -> None:
    found = load(location, sandbox, [link(1, "promo")], ["/gone"], status)
    assert (found.passed, numbers(found)) == (True, (0, 0))


@pytest.mark.long
def test_a_link_that_is_marked_as_deleted_is_known(location: Location, sandbox: Sandbox) -> None:
    links = [link(1, "promo"), link(2, "other"), link(3, "third")]
    load(location, sandbox, links, ["/promo"])
    found = load(location, sandbox, links[1:], ["/promo", "/Pr%6Fmo"])
    assert rows("SELECT count(deleted_at) FROM {dataset}.links") == [(1,)]
    assert numbers(found) == (2, 0)


@pytest.mark.long
def test_the_paths_that_are_compared_in_every_spelling_are_bounded(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_links, "COMPARED_PATHS", 2)
    load(location, sandbox, [link(1, "promo")], ["/a", "/a", "/b", "/b", "/c", "/d"])
    with reading() as reader:
        found = unknown_links(reader, Rows(CLICKS))
    assert found.metadata == {"redirects": 4, "without_link": 4, "not_judged": 2}
    assert "Not judged: 2 through many more paths." in found.looked_at
