"""Which API the rows of a warehouse come from; a domain that is new to it is of no other one."""

from __future__ import annotations

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse.loaded_api import warehouse_api
from link_assets_tests.defs.loads import register
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.destinations.test_postgres import port, server

SERVER = (port, server)
"""Fixtures, for pytest to find here."""
API = "SOURCES__LINK_ASSETS__API"


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[needs_postgres, pytest.mark.long])],
    autouse=True,
)
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind of warehouse after the other, empty."""
    if request.param == "postgres":
        monkeypatch.setenv("DESTINATION_TYPE", "postgres")
        address = request.getfixturevalue("server")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)


def test_a_warehouse_without_rows_is_of_no_api_yet(location: Location, sandbox: Sandbox) -> None:
    assert warehouse_api() is None
    sandbox.links, sandbox.clicks = [], {}
    assert location.links().success
    assert warehouse_api() is None


@pytest.mark.long
def test_a_domain_that_was_never_loaded_is_not_loaded_from_another_api(
    location: Location, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.links().success
    assert warehouse_api() == "guide"
    assert location.clicks("1").success
    assert warehouse_api() == "guide"
    monkeypatch.setenv(API, "short_io")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", f"{api}/statistics")
    refused = location.clicks("2")
    assert not refused.success
    assert "holds rows of the API 'guide'" in failure_text(refused)
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.clicks") == [(1,)]
    monkeypatch.delenv(API)
    assert location.clicks("2").success


@pytest.mark.long
def test_links_that_were_never_loaded_are_not_loaded_from_another_api(
    location: Location, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1)
    assert location.clicks("1").success
    monkeypatch.setenv(API, "short_io")
    refused = location.links()
    assert not refused.success
    assert "holds rows of the API 'guide'" in failure_text(refused)
    monkeypatch.delenv(API)
    assert location.links().success
