"""Chunks: fetched ahead, written in order, and none without the one before it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from link_assets.sandbox import Fault, RequestRecord, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.chunks import Chunk, Chunks
from link_assets.warehouse.errors import ConcurrentWriteError
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_clicks, loaded_clicks, world_clicks

CLICKS = world_clicks(World(clicks_per_domain=40), 1)
FIRST, SECOND, THIRD = CLICKS[:15], CLICKS[15:30], CLICKS[30:]
UNNAMED = {**FIRST[0], "host": None}
WAIT = 10


@pytest.fixture
def sandbox() -> Sandbox:
    """One domain of 40 clicks in pages of 15, each a chunk."""
    return Sandbox(clicks={1: CLICKS}, page_size=15)


def serve_clicks(sandbox: Sandbox, *clicks: dict[str, Any]) -> None:
    sandbox.clicks = {1: list(clicks)}


def pages(sandbox: Sandbox) -> list[int | None]:
    return [record.page for record in sandbox.requests]


def chunk(read: ClicksRead) -> Chunk:
    """The next chunk of the domain's clicks."""
    settings = replace(api_settings(), chunk_rows=15)
    return lambda pipeline: pipeline.run(clicks_source(settings, 1, read))


def load() -> None:
    """Loads the domain's clicks to the last page."""
    read = ClicksRead()
    with Chunks("clicks_1") as chunks:
        while not read.finished:
            chunks.load(chunk(read))


def alter(change: str) -> None:
    """Changes the table of clicks by hand."""
    with duckdb.connect("warehouse.duckdb") as database:
        database.execute(f"ALTER TABLE link_assets.clicks {change}")


def test_the_next_chunk_is_fetched_while_one_waits_to_be_written(
    api: str, sandbox: Sandbox
) -> None:
    held, second_asked = threading.Event(), threading.Event()
    asked_in_time: list[bool] = []

    def hold() -> None:
        with exclusive_access("holding"):
            held.set()
            asked_in_time.append(second_asked.wait(WAIT))

    def asked(record: RequestRecord) -> None:
        if record.page == 1:
            holder.start()
            assert held.wait(WAIT)
        else:
            second_asked.set()

    holder = threading.Thread(target=hold)
    sandbox.on_request = asked
    load()
    assert asked_in_time == [True]
    assert pages(sandbox) == [1, 2, 3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_no_more_than_one_chunk_waits_to_be_written(api: str, sandbox: Sandbox) -> None:
    there: list[int] = []

    def asked(record: RequestRecord) -> None:
        if record.page == 3:
            there.append(len(loaded_clicks()))

    sandbox.on_request = asked
    load()
    assert there in ([15], [30])


def test_a_chunk_is_not_written_if_writing_the_one_before_it_failed(
    api: str, sandbox: Sandbox
) -> None:
    serve_clicks(sandbox, CLICKS[-1])
    load()
    alter("ALTER host SET NOT NULL")
    serve_clicks(sandbox, UNNAMED, *FIRST[1:], *SECOND, *THIRD)
    with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
        load()
    assert loaded_clicks() == expected_clicks({1: [CLICKS[-1]]})
    alter("ALTER host DROP NOT NULL")
    sandbox.reset_log()
    load()
    assert pages(sandbox) == [1, 2, 3]
    assert loaded_clicks() == expected_clicks({1: [UNNAMED, *CLICKS[1:]]})


def test_if_two_chunks_fail_the_error_of_the_earlier_one_is_raised(
    api: str, sandbox: Sandbox
) -> None:
    serve_clicks(sandbox, CLICKS[-1])
    load()
    alter("ALTER host SET NOT NULL")
    serve_clicks(sandbox, UNNAMED, *FIRST[1:], *SECOND)
    sandbox.faults = [Fault(page=2, status=403)]
    with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
        load()


def test_an_error_of_writing_the_last_chunk_is_raised(api: str, sandbox: Sandbox) -> None:
    serve_clicks(sandbox, CLICKS[-1])
    load()
    alter("ALTER host SET NOT NULL")
    serve_clicks(sandbox, *FIRST, UNNAMED)
    with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
        load()
    assert loaded_clicks() == expected_clicks({1: [*FIRST, CLICKS[-1]]})


def test_if_fetching_a_chunk_fails_the_one_before_it_is_still_written(
    api: str, sandbox: Sandbox
) -> None:
    sandbox.faults = [Fault(page=3, status=403)]
    with pytest.raises(PipelineStepFailed, match="page 3: the API answered 403"):
        load()
    assert loaded_clicks() == expected_clicks({1: [*FIRST, *SECOND]})
    sandbox.reset_log()
    load()
    assert pages(sandbox) == [3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_after_a_failure_the_next_chunk_starts_from_the_state_in_the_warehouse(
    api: str, sandbox: Sandbox
) -> None:
    serve_clicks(sandbox, CLICKS[-1])
    load()
    alter("ALTER host SET NOT NULL")
    serve_clicks(sandbox, UNNAMED, *FIRST[1:], *SECOND, *THIRD)
    with Chunks("clicks_1") as chunks:
        chunks.load(chunk(ClicksRead()))
        with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
            chunks.load(chunk(ClicksRead()))
        alter("ALTER host DROP NOT NULL")
        read = ClicksRead()
        while not read.finished:
            chunks.load(chunk(read))
    assert loaded_clicks() == expected_clicks({1: [UNNAMED, *CLICKS[1:]]})


def test_a_chunk_is_not_written_if_another_run_has_written_since(
    api: str, sandbox: Sandbox
) -> None:
    late = {**CLICKS[0], "host": "late.example"}

    def load_while_another_run_writes() -> None:
        read = ClicksRead()
        with Chunks("clicks_1") as chunks:
            chunks.load(chunk(read))
            chunks.load(chunk(read))
            load()
            serve_clicks(sandbox, *CLICKS, late)
            chunks.load(chunk(read))

    with pytest.raises(ConcurrentWriteError, match="loaded link_assets_clicks_1 meanwhile"):
        load_while_another_run_writes()
    assert loaded_clicks() == expected_clicks({1: CLICKS})
    load()
    assert loaded_clicks() == expected_clicks({1: [*CLICKS, late]})


def test_the_next_load_knows_the_new_columns_of_every_chunk(api: str, sandbox: Sandbox) -> None:
    brought = {"plan": FIRST, "team": SECOND, "tier": THIRD}
    serve_clicks(sandbox, *({**c, field: "x"} for field, page in brought.items() for c in page))
    load()
    ((counted),) = rows("SELECT count(plan), count(team), count(tier) FROM {dataset}.clicks")
    assert counted == (15, 15, 10)
    with open_pipeline("clicks_1") as pipeline:
        pipeline.sync_destination()
        assert brought.keys() <= pipeline.default_schema.get_table_columns("clicks").keys()
