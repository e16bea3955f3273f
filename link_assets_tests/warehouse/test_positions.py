"""Where domains stand: in rows that travel with theirs, believed only if their load is complete."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from link_assets.domain_loads import open_loads
from link_assets.sandbox import Sandbox, World
from link_assets.settings import api_settings
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.positions import Position, read_positions
from link_assets.warehouse.reader import reading
from link_assets_tests.children import load_clicks
from link_assets_tests.defs.loads import register
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.truth import expected_world, loaded_clicks

WORLD = World(domains=2, links_per_domain=2, clicks_per_domain=40)
OF_AN_EARLIER_VERSION = Path(__file__).parent / "files" / "positions_in_state.duckdb.gz"
"""Written by the version before this table, from the sandbox's WORLD in chunks of one page of 15:
domain 1 to its last page, domain 2 to its first."""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(world=WORLD, page_size=15)


@pytest.fixture
def former(workdir: Path) -> None:
    """A warehouse of an earlier version."""
    Path("warehouse.duckdb").write_bytes(gzip.decompress(OF_AN_EARLIER_VERSION.read_bytes()))


def position(domain: int = 1) -> Position | None:
    with reading() as reader:
        return read_positions(reader, [domain]).get(domain)


def load_chunk(domain: int = 1) -> None:
    settings = replace(api_settings(), chunk_rows=15)
    with open_loads(settings, [domain]) as loads, loads.begin(domain, ClicksRead()) as chunks:
        chunks.load()


def execute(statement: str) -> None:
    with duckdb.connect("warehouse.duckdb") as database:
        database.execute(statement)


def pages_asked(sandbox: Sandbox, domain: int) -> list[int | None]:
    return [r.page for r in sandbox.requests if r.path == f"/v1/domain/{domain}/link_clicks"]


def test_a_domain_that_was_never_loaded_stands_nowhere(api: str) -> None:
    assert position() is None
    load_clicks(2)
    assert position() is None


def test_each_load_adds_the_position_that_follows(api: str) -> None:
    for number in (1, 2, 3):
        load_chunk()
        found = position()
        assert found
        assert (found.number, found.state.get("pages")) == (number, {3: None}.get(number, number))


def test_a_position_is_not_believed_before_its_load_is_complete(api: str, sandbox: Sandbox) -> None:
    load_chunk()
    before = position()
    load_chunk()
    # as a load that was killed after its tables were written, and before that was noted
    execute(
        "DELETE FROM warehouse.link_assets._dlt_loads"
        " WHERE load_id = (SELECT max(load_id) FROM warehouse.link_assets._dlt_loads)"
    )
    assert position() == before
    sandbox.reset_log()
    load_clicks(1)
    assert pages_asked(sandbox, 1) == [2, 3]
    assert loaded_clicks() == expected_world(WORLD, 1)


@pytest.mark.long
def test_positions_before_the_last_two_are_deleted(api: str) -> None:
    for _ in range(5):
        load_clicks(1)
        load_clicks(2)
    numbers = rows("SELECT domain_id, number FROM {dataset}._positions ORDER BY ALL")
    assert numbers == [(1, 4), (1, 5), (2, 4), (2, 5)]


def test_a_position_of_a_load_that_never_ended_is_deleted_by_the_next(api: str) -> None:
    load_clicks(1)
    execute("INSERT INTO warehouse.link_assets._positions VALUES (1, 2, '{}', 'never ended')")
    load_clicks(1)
    numbers = rows("SELECT number, _dlt_load_id = 'never ended' FROM {dataset}._positions")
    assert sorted(numbers) == [(1, False), (2, False)]


def test_every_domain_of_an_earlier_version_goes_on_where_it_stopped(
    former: None, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CLICKS_ORDER", "newest_first")
    register(location, 1, 2)
    sandbox.reset_log()
    assert location.clicks("1", "2").success
    assert location.click_metadata("2")["resumed_from_page"] == 2
    # of the one that was read to its end only what is new is read
    assert 3 not in pages_asked(sandbox, 1)
    assert pages_asked(sandbox, 2) == [2, 3]
    assert loaded_clicks() == expected_world(WORLD)


def test_a_warehouse_of_an_earlier_version_still_knows_which_api_it_holds(
    former: None, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1, 2)
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API", "short_io")
    assert "holds rows of the API 'guide'" in failure_text(location.clicks("1"))
