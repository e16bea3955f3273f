"""A full disk, a damaged file, tables changed by hand: reported clearly, nothing half done."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from link_assets.defs.failures import failures_explained
from link_assets.sandbox import Sandbox, World
from link_assets_tests.children import load_clicks
from link_assets_tests.support import Location, failure_text, mostly_long, rows

COUNTS = "SELECT domain_id, count(*), count(browser) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
CLICKS = "link_assets.clicks"


def by_hand(statement: str) -> None:
    with duckdb.connect("warehouse.duckdb") as connection:
        connection.execute(statement)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk is to this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def load_domains() -> None:
    for domain in (1, 2):
        load_clicks(domain)


@pytest.mark.long
def test_a_merge_that_fails_half_way_leaves_the_rows_unchanged(location: Location) -> None:
    location.instance.add_dynamic_partitions("domain", ["1", "2"])
    load_domains()
    before = rows(COUNTS)
    by_hand(f"ALTER TABLE {CLICKS} ALTER st TYPE DATE USING NULL")
    result = location.clicks("1")
    assert not result.success
    message = failure_text(result)
    assert "Unimplemented type for cast (BIGINT -> DATE)" in message
    assert "warehouse.duckdb refused" in message
    assert rows(COUNTS) == before
    by_hand(f"ALTER TABLE {CLICKS} DROP COLUMN st")
    assert location.clicks("1", "2", full_refresh=True).success
    assert rows("SELECT count(*) FROM {dataset}.clicks WHERE st IS NULL") == [(0,)]


def test_a_column_dropped_by_hand_comes_back_with_the_next_load(api: str) -> None:
    load_domains()
    before = rows(COUNTS)
    by_hand(f"ALTER TABLE {CLICKS} DROP COLUMN browser")
    load_domains()
    assert rows(COUNTS) == before


@pytest.mark.parametrize(
    "room",
    mostly_long([(200_000, "Could not write file"), (20_000, "no room to write to disk")], 1),
    ids=["none to merge", "none for pages"],
)
def test_a_full_disk_is_reported_and_leaves_nothing_half_done(
    room: tuple[int, str], api: str, sandbox: Sandbox
) -> None:
    size, message = room
    load_clicks(1)
    before = rows(COUNTS)
    sandbox.world, sandbox.page_size = World(clicks_per_domain=1000, links_per_domain=5), 1000
    with files_no_larger_than(size), pytest.raises(dg.Failure) as full:
        load_explained(2)
    assert message in str(full.value.description)
    assert rows(COUNTS) == before
    load_clicks(2)
    assert [(d, n) for d, n, _ in rows(COUNTS)] == [(1, 40), (2, 1000)]


def load_explained(domain: int) -> None:
    with failures_explained(f"clicks of domain {domain}"):
        load_clicks(domain)


@pytest.mark.long
def test_a_file_that_is_not_a_database_is_named_and_left_unchanged(location: Location) -> None:
    Path("warehouse.duckdb").write_bytes(b"not a database" * 500)
    result = location.links()
    assert not result.success
    assert "is not a valid DuckDB database file" in failure_text(result)
    assert "warehouse.duckdb refused" in failure_text(result)
    assert Path("warehouse.duckdb").read_bytes() == b"not a database" * 500
    Path("warehouse.duckdb").rename("damaged")
    assert location.links().success


def test_a_file_in_place_of_a_folder_is_named(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("taken").write_text("")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "taken/warehouse.duckdb")
    result = location.links()
    assert not result.success
    assert "taken/warehouse.duckdb.lock cannot be made" in failure_text(result)
