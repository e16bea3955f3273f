"""Which link a click belongs to, by the SQL that docs/loading.md shows, in each warehouse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse.link_join import STAND_INS, clicks_with_links, missing_tables
from link_assets.warehouse.reader import reading
from link_assets_tests.support import rows
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.destinations.test_postgres import port, server
from link_assets_tests.warehouse.helpers import load_clicks, load_links

SERVER = (port, server)
"""Fixtures, for pytest to find here."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "loading.md"
SECTION = DOCUMENT.read_text().partition("\n## Joining clicks to links\n")[2].partition("\n## ")[0]
EXACT, PLAIN = 2, 1
"""A domain that tells case apart, and one that does not."""
JOINED = {
    # click's path and status on a domain, and the link's path on it
    (PLAIN, "/promo", 302): "promo",
    (PLAIN, "/PROMO/", 302): "promo",
    (PLAIN, "/promo?utm=x&y=/z", 302): "promo",
    (PLAIN, "//promo#top", 302): "promo",
    (PLAIN, "/promo", None): "promo",
    (PLAIN, "/promo", 200): "promo",
    (PLAIN, "/promo", 404): None,
    (PLAIN, "/gone", 302): None,
    (PLAIN, "/elsewhere", 302): None,
    (PLAIN, "/", 302): None,
    (PLAIN, None, 302): None,
    (PLAIN, "/?utm=x", 302): None,
    (PLAIN, "/*", 302): None,
    (PLAIN, "/camel", 302): "Camel",
    (PLAIN, "/caf%C3%A9", 302): "café",
    (PLAIN, "/caf%c3%a9", 302): "café",
    (PLAIN, "/Café", 302): "café",
    (PLAIN, "/th%C3%A9", 302): "th%C3%A9",
    (PLAIN, "/thé", 302): "th%C3%A9",
    (PLAIN, "/spring%20sale", 302): "spring sale",
    (PLAIN, "/a/b", 302): "a/b",
    (PLAIN, "/a%2fb", 302): "a%2Fb",
    (EXACT, "/promo", 302): "promo",
    (EXACT, "/Promo", 302): "Promo",
    (EXACT, "/PROMO", 302): None,
    (EXACT, "/elsewhere/", 302): "elsewhere",
    (EXACT, "/caf%c3%a9", 302): "café",
    (EXACT, "/Caf%C3%A9", 302): None,
}


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[needs_postgres, pytest.mark.long])],
    autouse=True,
)
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, api: str) -> None:
    """One kind of warehouse after the other, empty."""
    if request.param == "postgres":
        monkeypatch.setenv("DESTINATION_TYPE", "postgres")
        address = request.getfixturevalue("server")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)


def link(domain: int, path: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A link whose id is its domain and path, unless it has a name."""
    key = name or f"{domain} {path}"
    return {"id": key, "idString": key, "path": path, "DomainId": domain, **more}


def click(path: str | None, status: int | None = 302) -> dict[str, Any]:
    # a host may come as punycode where the domain is known by its name in Unicode
    host = "xn--caf-dma.example"
    return {"dt": "2026-03-01T00:00:00Z", "host": host, "path": path, "st": status}


def load(sandbox: Sandbox, links: list[dict[str, Any]], clicks: dict[int, list[Any]]) -> None:
    sandbox.links, sandbox.clicks = links, clicks
    load_links()
    for domain in clicks:
        load_clicks(domain)


def shown() -> str:
    """The SQL that the document shows."""
    (sql,) = re.findall(r"```sql\n(WITH .*?)\n```", SECTION, re.DOTALL)
    return sql


def linked(sql: str | None = None) -> dict[tuple[Any, ...], Any]:
    """The id of each click's link, which must come once."""
    found = rows(f"SELECT domain_id, path, st, link_id FROM ({sql or shown()}) AS j")
    assert len(found) == rows("SELECT count(*) FROM {dataset}.clicks")[0][0]
    return {(domain, path, status): link for domain, path, status, link in found}


def test_each_click_joins_the_link_of_its_domain_with_its_path(sandbox: Sandbox) -> None:
    plain = ["promo", "Camel", "café", "th%C3%A9", "spring sale", "a/b", "a%2Fb", "*", "/"]
    exact = ["promo", "Promo", "elsewhere", "café"]
    links = [*(link(PLAIN, path) for path in plain), *(link(EXACT, path) for path in exact)]
    clicks: dict[int, list[Any]] = {PLAIN: [], EXACT: []}
    for domain, path, status in JOINED:
        clicks[domain].append(click(path, status))
    load(sandbox, links, clicks)
    rows(f"UPDATE {{dataset}}.domains SET case_sensitive = (id = {EXACT})")
    expected = {key: path and f"{key[0]} {path}" for key, path in JOINED.items()}
    assert linked() == expected


def test_of_links_with_one_path_a_click_joins_the_one_that_is_there_or_else_the_newest(
    sandbox: Sandbox,
) -> None:
    twice = [
        link(1, "again", "made again", createdAt="2026-01-01T00:00:00Z"),
        link(1, "Case", "older", createdAt="2026-01-01T00:00:00Z"),
        link(1, "case", "newer", createdAt="2026-01-02T00:00:00Z"),
        link(1, "case", "of no date"),
        link(1, "CASE", "deleted", createdAt="2026-01-03T00:00:00Z"),
        link(1, "again", "first made", createdAt="2026-01-02T00:00:00Z"),
        link(1, "thé", "as it is", createdAt="2026-01-01T00:00:00Z"),
        link(1, "th%C3%A9", "escaped", createdAt="2026-01-02T00:00:00Z"),
    ]
    paths = ["/again", "/case", "/thé", "/th%C3%A9"]
    load(sandbox, twice, {1: [click(path) for path in paths]})
    rows(
        "UPDATE {dataset}.links SET deleted_at = '2026-02-01' WHERE id IN ('deleted', 'first made')"
    )
    found = linked()
    expected = ["made again", "newer", "as it is", "escaped"]
    assert [found[1, path, 302] for path in paths] == expected


def test_the_only_link_of_a_path_is_joined_even_if_it_is_deleted(sandbox: Sandbox) -> None:
    load(sandbox, [link(1, "gone")], {1: [click("/gone")]})
    rows("UPDATE {dataset}.links SET deleted_at = '2026-02-01'")
    assert linked() == {(1, "/gone", 302): "1 gone"}


def test_spellings_go_with_a_path_that_is_changed(sandbox: Sandbox) -> None:
    load(sandbox, [link(1, "café", "a"), link(1, "thé", "b")], {1: [click("/caf%C3%A9")]})
    load(sandbox, [link(1, "cafe", "a"), link(1, "tea", "b")], {1: [click("/caf%C3%A9")]})
    assert rows("SELECT count(*) FROM {dataset}.links__spellings") == [(0,)]
    assert linked() == {(1, "/caf%C3%A9", 302): None}


def test_a_warehouse_without_domains_and_spellings_compares_in_lower_case(sandbox: Sandbox) -> None:
    links = [link(1, "promo"), link(1, "café")]
    load(sandbox, links, {1: [click("/Promo"), click("/café"), click("/caf%C3%A9")]})
    for table in STAND_INS:
        rows(f"DROP TABLE {{dataset}}.{table}")
    expected = {"/Promo": "1 promo", "/café": "1 café", "/caf%C3%A9": None}
    with reading() as reader:
        missing = missing_tables(reader)
    for sql in (clicks_with_links(missing=missing), without_tables(shown())):
        assert linked(sql) == {(1, path, 302): link for path, link in expected.items()}


def without_tables(sql: str) -> str:
    """The document's SQL with what it says to put in the place of missing tables."""
    instead = dict(re.findall(r"^\| `(link_assets\.\w+)` \| `(.*)` \|$", SECTION, re.MULTILINE))
    assert len(instead) == 2
    for table, stand_in in instead.items():
        sql = re.sub(rf"\bFROM {re.escape(table)}\b", f"FROM {stand_in}", sql)
    return sql


def test_the_document_shows_the_sql_that_is_used() -> None:
    assert shown() == clicks_with_links().replace("{dataset}", "link_assets")
