"""Rows of any size and width load under the default settings; what cannot says what to change."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from link_assets.defs.failures import failures_explained
from link_assets.rows.clicks import ClickBatch
from link_assets.rows.clicks_arrow import ClickReader
from link_assets.sandbox import Sandbox
from link_assets.source import transforms
from link_assets.warehouse.destinations import duckdb_memory
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import Location, mostly_long, rows

FEW_FIELDS = 110
RANDOM = random.Random(7)
MORE_MEMORY = "needs more memory: DuckDB may take"


def text(length: int) -> str:
    """Text that does not get smaller by compression than half."""
    return RANDOM.randbytes(length // 2).hex()


def click(number: int, **fields: Any) -> dict[str, Any]:
    minute = f"{number // 60 % 24:02}:{number % 60:02}"
    return {"dt": f"2026-02-01T{minute}:00Z", "path": f"/{number}", **fields}


def link(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"l{number}", "DomainId": 1, **fields}


def fields(row: int, count: int) -> dict[str, str]:
    """Fields that no other row has."""
    return {f"f{row}_{number}": "x" for number in range(count)}


def wide(make: Any) -> list[dict[str, Any]]:
    return [make(number, **fields(number, FEW_FIELDS)) for number in range(20)]


LARGE: list[tuple[str, Any]] = [
    ("many fields", lambda: wide(click)),
    ("40 kB each", lambda: [click(n, ref=text(40_000)) for n in range(4000)]),
    ("3 MB each", lambda: [click(n, ref=text(3_000_000)) for n in range(60)]),
    ("3 MB each, rejected", lambda: [click(n, st=text(3_000_000)) for n in range(60)]),
    ("many filled fields", lambda: [click(n, **fields(0, 300)) for n in range(4000)]),
    ("one of 50 MB", lambda: [click(0, ref=text(50_000_000))]),
    ("ever new fields", lambda: [click(n, **fields(n // 150, 300)) for n in range(2100)]),
]


@pytest.mark.long
@pytest.mark.parametrize(
    "make", mostly_long([make for _, make in LARGE], 1), ids=[name for name, _ in LARGE]
)
def test_clicks_of_any_size_load_and_so_do_those_after_them(
    make: Any, api: str, sandbox: Sandbox, location: Location
) -> None:
    clicks = make()
    sandbox.clicks = {1: clicks}
    load_clicks(1)
    sandbox.clicks = {1: [click(100_000)]}
    load_clicks(1)
    stored = "SELECT count(*), sum(length(ref)) FROM {dataset}.clicks"
    rejected = [c for c in clicks if isinstance(c.get("st"), str)]
    assert rows("SELECT count(*) FROM {dataset}.rejected_rows") == [(len(rejected),)]
    length = sum(len(c.get("ref", "")) for c in clicks) or None
    assert rows(stored) == [(len(clicks) - len(rejected) + 1, length)]
    assert location.run("checks_job").success


@pytest.mark.parametrize(
    "make",
    mostly_long(
        [
            lambda: wide(link),
            lambda: [link(n, title=text(40_000)) for n in range(4000)],
            lambda: [link(n, title=text(3_000_000)) for n in range(60)],
            lambda: [link(n, createdAt=text(3_000_000)) for n in range(60)],
            lambda: [link(n, tags=[text(3_000)] * 500) for n in range(100)],
        ],
        0,
    ),
    ids=["many fields", "40 kB each", "3 MB each", "3 MB each, rejected", "many tags"],
)
def test_links_of_any_size_load_and_so_do_those_after_them(
    make: Any, location: Location, sandbox: Sandbox
) -> None:
    links = make()
    sandbox.links = links
    assert location.links().success
    sandbox.links = [link(100_000)]
    assert location.links().success
    rejected = [one for one in links if "createdAt" in one]
    assert rows("SELECT count(*) FROM {dataset}.rejected_rows") == [(len(rejected),)]
    stored = rows("SELECT count(*), sum(length(title)) FROM {dataset}.links")
    length = sum(len(one.get("title", "")) for one in links) or None
    assert stored == [(len(links) - len(rejected) + 1, length)]
    assert location.run("checks_job").success


def test_a_load_gets_the_memory_that_it_needs_and_nothing_is_fetched_again(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(duckdb_memory, "AT_FIRST", 16_000_000)
    sandbox.clicks = {1: [click(n, ref=text(600_000)) for n in range(40)]}
    load_clicks(1)
    assert MORE_MEMORY in caplog.text
    assert len(sandbox.requests) == 3
    assert rows("SELECT count(*), sum(length(ref)) FROM {dataset}.clicks") == [(40, 24_000_000)]


def test_links_get_the_memory_that_they_need(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(duckdb_memory, "AT_FIRST", 16_000_000)
    sandbox.links = [link(n, title=text(600_000)) for n in range(40)]
    load_links()
    assert MORE_MEMORY in caplog.text
    assert rows("SELECT count(*), sum(length(title)) FROM {dataset}.links") == [(40, 24_000_000)]


def test_reading_gets_the_memory_that_it_needs(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(duckdb_memory, "AT_FIRST", 16_000_000)
    query = "SELECT length(string_agg(repeat('x', 1000), '')) FROM range(40000)"
    assert rows(query) == [(40_000_000,)]
    assert MORE_MEMORY in caplog.text


@pytest.mark.long
def test_a_limit_that_was_set_is_kept_and_the_failure_says_what_to_change(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DUCKDB_MEMORY", "64MB")
    sandbox.clicks = {1: wide(click)}
    with pytest.raises(dg.Failure) as failure, failures_explained("clicks of domain 1"):
        load_clicks(1)
    told = str(failure.value.description)
    for setting in (
        "LINK_ASSETS__DUCKDB_MEMORY",
        "SOURCES__LINK_ASSETS__CHUNK_ROWS",
        "SOURCES__LINK_ASSETS__CHUNK_MEGABYTES",
    ):
        assert setting in told
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(0,)]
    monkeypatch.delenv("LINK_ASSETS__DUCKDB_MEMORY")
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(20,)]


def test_a_load_that_dlt_threw_away_is_not_taken_for_one_that_was_loaded(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_memory, "AT_FIRST", 16_000_000)
    monkeypatch.setenv("LOAD__AUTO_ABORT_ON_TERMINAL_ERROR", "true")
    sandbox.clicks = {1: [click(n, ref=text(600_000)) for n in range(40)]}
    with pytest.raises(Exception, match="Out of Memory"):
        load_clicks(1)


def test_a_chunk_ends_when_its_rows_are_too_much_text(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_MEGABYTES", "0.1")
    sandbox.clicks = {1: [click(n, ref=text(5_000)) for n in range(40)]}
    load_clicks(1)
    by_load = "SELECT count(*) FROM {dataset}.clicks GROUP BY _dlt_load_id ORDER BY _dlt_load_id"
    assert rows(by_load) == [(30,), (10,)]


def test_pages_of_much_text_are_read_by_fewer_rows(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_BYTES", 100_000)
    batches: list[int] = []
    read = ClickReader.read

    def count(reader: ClickReader, pages: Any) -> list[ClickBatch]:
        batches.append(sum(map(len, pages)))
        return read(reader, pages)

    monkeypatch.setattr(ClickReader, "read", count)
    sandbox.clicks = {1: [click(n, ref=text(5_000)) for n in range(75)]}
    load_clicks(1)
    assert batches == [30, 30, 15]
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(75,)]
