"""Chunks of many domains: fetched ahead, written together, each with its own trouble."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from link_assets.domain_loads import DomainLoads, open_loads
from link_assets.sandbox import Fault, RequestRecord, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source import click_chunks, table_store
from link_assets.source.click_chunks import ClickChunk
from link_assets.source.resume import ClicksRead
from link_assets.warehouse import group_commit, group_load
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.destinations import duckdb_client
from link_assets.warehouse.errors import ConcurrentWriteError, OutOfMemory, WarehouseBusy
from link_assets.warehouse.group_commit import DomainChunks, GroupCommit
from link_assets.warehouse.pipeline import WarehousePipeline, open_pipeline
from link_assets_tests.support import mostly_long, rows
from link_assets_tests.truth import expected_clicks, loaded_clicks, world_clicks
from link_assets_tests.warehouse.helpers import wait_until

WORLD = World(domains=6, clicks_per_domain=40)
CLICKS = world_clicks(WORLD, 1)
FIRST, SECOND, THIRD = CLICKS[:15], CLICKS[15:30], CLICKS[30:]
UNNAMED = {**FIRST[0], "host": None}
DOMAINS = WORLD.domain_ids()
LOADS = "SELECT count(*) FROM {dataset}._dlt_loads WHERE status = 0"
WAIT = 10


@pytest.fixture
def sandbox() -> Sandbox:
    """One domain of 40 clicks in pages of 15, each a chunk."""
    return Sandbox(clicks={1: CLICKS}, page_size=15)


def serve_clicks(sandbox: Sandbox, *clicks: dict[str, Any]) -> None:
    sandbox.clicks = {1: list(clicks)}


def pages(sandbox: Sandbox) -> list[int | None]:
    return [record.page for record in sandbox.requests]


@contextmanager
def loads_of(*domains: int) -> Iterator[DomainLoads]:
    with open_loads(replace(api_settings(), chunk_rows=15), domains) as loads:
        yield loads


@contextmanager
def chunks_of(read: ClicksRead) -> Iterator[DomainChunks[ClickChunk]]:
    with loads_of(1) as loads, loads.begin(1, read) as chunks:
        yield chunks


def load() -> None:
    """Loads the domain's clicks to the last page."""
    with loads_of(1) as loads:
        loads.load(1)


def load_side_by_side(
    *domains: int, each_in_a_chunk: bool = True
) -> dict[int, BaseException | None]:
    """Loads domains whole, each in a chunk, which are written together; what each failed with."""
    with open_loads(api_settings(), domains) as loads, ThreadPoolExecutor(len(domains)) as threads:
        commits = loads._commits
        with commits.fetching() if each_in_a_chunk else nullcontext():  # so long all wait
            tasks = {domain: threads.submit(loads.load, domain) for domain in domains}
            wait_until(lambda: not each_in_a_chunk or len(commits._waiting) == len(domains))
    return {domain: task.exception() for domain, task in tasks.items()}


def alter(change: str) -> None:
    """Changes the table of clicks by hand."""
    with duckdb.connect("warehouse.duckdb") as database:
        database.execute(f"ALTER TABLE link_assets.clicks {change}")


def have_unnamed_refused(sandbox: Sandbox) -> None:
    """Loads the last click, and has the table take none without a host from now on."""
    serve_clicks(sandbox, CLICKS[-1])
    load()
    alter("ALTER host SET NOT NULL")


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


@pytest.mark.long
def test_a_chunk_is_not_written_if_writing_the_one_before_it_failed(
    api: str, sandbox: Sandbox
) -> None:
    have_unnamed_refused(sandbox)
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
    have_unnamed_refused(sandbox)
    serve_clicks(sandbox, UNNAMED, *FIRST[1:], *SECOND)
    sandbox.faults = [Fault(page=2, status=403)]
    with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
        load()


@pytest.mark.long
def test_an_error_of_writing_the_last_chunk_is_raised(api: str, sandbox: Sandbox) -> None:
    have_unnamed_refused(sandbox)
    serve_clicks(sandbox, *FIRST, UNNAMED)
    with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
        load()
    assert loaded_clicks() == expected_clicks({1: [*FIRST, CLICKS[-1]]})


@pytest.mark.long
def test_if_fetching_a_chunk_fails_the_one_before_it_is_still_written(
    api: str, sandbox: Sandbox
) -> None:
    sandbox.faults = [Fault(page=3, status=403)]
    with pytest.raises(DltException, match="page 3: the API answered 403"):
        load()
    assert loaded_clicks() == expected_clicks({1: [*FIRST, *SECOND]})
    sandbox.reset_log()
    load()
    assert pages(sandbox) == [3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})


@pytest.mark.long
def test_after_a_failure_a_domain_begins_again_where_the_warehouse_is(
    api: str, sandbox: Sandbox
) -> None:
    have_unnamed_refused(sandbox)
    serve_clicks(sandbox, UNNAMED, *FIRST[1:], *SECOND, *THIRD)
    with loads_of(1) as loads:
        with pytest.raises(PipelineStepFailed, match="NOT NULL constraint failed"):
            loads.load(1)
        alter("ALTER host DROP NOT NULL")
        loads.load(1)
    assert loaded_clicks() == expected_clicks({1: [UNNAMED, *CLICKS[1:]]})


@pytest.mark.parametrize("chunks_before", [0, 1, 2])
def test_a_chunk_is_not_written_if_another_run_has_written_since(
    chunks_before: int, api: str, sandbox: Sandbox
) -> None:
    late = {**CLICKS[0], "host": "late.example"}

    def load_while_another_run_writes() -> None:
        with chunks_of(ClicksRead()) as chunks:
            for _ in range(chunks_before):
                chunks.load()
            if chunks_before:
                chunks.wait()
            load()
            serve_clicks(sandbox, *CLICKS, late)
            chunks.load()

    with pytest.raises(ConcurrentWriteError, match="loaded the clicks of 1 meanwhile"):
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
    with open_pipeline("clicks") as pipeline:
        pipeline.restore()
        assert brought.keys() <= pipeline.dlt.default_schema.get_table_columns("clicks").keys()


# Many domains


@pytest.fixture
def served(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> dict[int, list[dict[str, Any]]]:
    """The clicks of six domains, 40 of each, which wait for each other to be written together."""
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", WAIT)
    sandbox.clicks = served = {domain: world_clicks(WORLD, domain) for domain in DOMAINS}
    return served


def test_domains_that_are_fetched_at_the_same_time_are_written_in_one_load(
    served: dict[int, Any],
) -> None:
    assert set(load_side_by_side(*DOMAINS).values()) == {None}
    assert loaded_clicks() == expected_clicks(served)
    assert rows(LOADS) == [(1,)]


@pytest.mark.parametrize(("clicks", "count"), [(10, 1), (40, 2)])
def test_a_load_does_not_leave_between_a_domains_last_page_and_its_chunk(
    clicks: int, count: int, served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served[1], served[2] = served[1][:10], served[2][:clicks]
    write, fetched, may_write = GroupCommit.write, threading.Event(), threading.Event()

    def write_later(commits: GroupCommit[ClickChunk], chunk: ClickChunk, number: int) -> Any:
        if chunk.domain_id == 2:
            fetched.set()
            assert may_write.wait(WAIT)
        return write(commits, chunk, number)

    settings = replace(api_settings(), chunk_rows=30)
    with open_loads(settings, [1, 2]) as loads, ThreadPoolExecutor(2) as threads:
        chunks = loads.begin(2, ClicksRead())
        if count > 1:
            chunks.load()  # and the chunk that is looked at is the next one
            wait_until(lambda: chunks._written is not None and chunks._written.done())
        monkeypatch.setattr(GroupCommit, "write", write_later)
        second = threads.submit(chunks.load)
        assert fetched.wait(WAIT)
        first = threads.submit(loads.load, 1)
        wait_until(lambda: len(loads._commits._waiting) == 1, WAIT)
        may_write.set()
        first.result()
        second.result()
        chunks.wait()
    assert loaded_clicks() == expected_clicks({1: served[1], 2: served[2]})
    assert rows("SELECT count(DISTINCT _dlt_load_id) FROM {dataset}.clicks") == [(count,)]


def test_a_load_takes_hardly_more_rows_than_a_chunk_may_have(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "100")
    load_side_by_side(*DOMAINS, each_in_a_chunk=False)
    loads = rows("SELECT count(*) FROM {dataset}.clicks GROUP BY _dlt_load_id")
    assert sum(count for (count,) in loads) == 240
    assert max(loads) <= (110,)


def test_a_full_load_waits_for_nobody(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 10 * WAIT)
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "40")
    with (
        open_loads(api_settings(), [1]) as loads,
        ThreadPoolExecutor(1) as threads,
        loads._commits.fetching(),  # as another domain might, for long
    ):
        assert threads.submit(loads.load, 1).result(3 * WAIT).finished
    assert loaded_clicks() == expected_clicks({1: served[1]})


def test_once_a_load_is_fetched_by_all_domains_together_it_is_written_while_they_go_on(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_side_by_side(*DOMAINS)
    assert rows("SELECT DISTINCT number FROM {dataset}._positions") == [(1,)]
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "100")
    load_side_by_side(*DOMAINS, each_in_a_chunk=False)
    # no domain has as many rows by itself
    assert rows("SELECT max(number) FROM {dataset}._positions") > [(2,)]
    assert loaded_clicks() == expected_clicks(served)


def test_a_domain_whose_rows_are_refused_leaves_the_others_in_its_load(
    served: dict[int, Any],
) -> None:
    load_side_by_side(1)
    alter("ALTER host SET NOT NULL")
    served[4][7]["host"] = None
    errors = load_side_by_side(*DOMAINS)
    assert [domain for domain, error in errors.items() if error] == [4]
    assert "NOT NULL constraint failed" in str(errors[4])
    others = {domain: clicks for domain, clicks in served.items() if domain != 4}
    assert loaded_clicks() == expected_clicks(others)


def test_a_domain_that_another_run_has_loaded_leaves_the_others_in_its_load(
    served: dict[int, Any],
) -> None:
    with open_loads(api_settings(), DOMAINS) as loads, ThreadPoolExecutor(6) as threads:
        load_side_by_side(4)
        tasks = {domain: threads.submit(loads.load, domain) for domain in DOMAINS}
    errors = {domain: task.exception() for domain, task in tasks.items()}
    assert [domain for domain, error in errors.items() if error] == [4]
    assert isinstance(errors[4], ConcurrentWriteError)
    assert loaded_clicks() == expected_clicks(served)


COMMON: dict[str, Callable[[], Exception]] = {
    "not free": lambda: WarehouseBusy("held by another"),
    "a server that is gone": lambda: DestinationConnectionError(
        "postgres", "link_assets", "refused", OSError("refused")
    ),
    "a full disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
}


@pytest.mark.parametrize("trouble", mostly_long(COMMON.values(), 1), ids=COMMON)
@pytest.mark.parametrize("rows_of_a_load", mostly_long(["1", "100000"], 1))
def test_trouble_that_every_load_would_meet_is_met_once(
    trouble: Callable[[], Exception],
    rows_of_a_load: str,
    served: dict[int, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_side_by_side(*DOMAINS)
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", rows_of_a_load)
    monkeypatch.setattr(
        group_commit.GroupCommit, "_is_enough", lambda commits: not commits._fetching
    )
    tries = list[int]()

    def fail(pipeline: WarehousePipeline, *_: Any) -> None:
        tries.append(1)
        raise trouble()

    monkeypatch.setattr(WarehousePipeline, "writing_alone", fail)
    errors = load_side_by_side(*DOMAINS)
    assert {type(error) for error in errors.values()} == {type(trouble())}
    assert tries == [1]


@pytest.mark.long
def test_a_load_that_dlt_is_set_to_call_complete_though_it_failed_fails(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    load_side_by_side(1)
    alter("ALTER host SET NOT NULL")
    served[4][7]["host"] = None
    errors = load_side_by_side(*DOMAINS)
    assert [domain for domain, error in errors.items() if error] == [4]
    alter("ALTER host DROP NOT NULL")
    load_side_by_side(4)
    assert loaded_clicks() == expected_clicks(served)


def test_a_domain_that_is_loaded_twice_at_once_doubles_no_click(served: dict[int, Any]) -> None:
    with open_loads(api_settings(), [1]) as loads:
        one, other = (loads.begin(1, ClicksRead()) for _ in range(2))
        one.load()
        other.load()
        one.wait()
        with pytest.raises(ConcurrentWriteError):
            other.wait()
    assert loaded_clicks() == expected_clicks({1: served[1]})


@pytest.mark.long
def test_loads_that_fail_give_back_the_room_of_what_they_fetched(
    served: dict[int, Any], sandbox: Sandbox
) -> None:
    load_side_by_side(1)
    alter("ALTER host SET NOT NULL")
    served[1][0]["host"] = None
    sandbox.faults = [Fault("/v1/domain/2/link_clicks", page=3, status=403, times=None)]
    with loads_of(1, 2) as loads, ThreadPoolExecutor(2) as threads:
        tasks = [threads.submit(loads.load, domain) for domain in (1, 2)]
        assert all(task.exception() for task in tasks)
        assert loads._store._room == table_store.IN_MEMORY


def test_loads_that_are_stopped_write_nothing_more(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        with open_loads(api_settings(), [1]) as loads:
            loads._commits._fetching += 1  # for another chunk, for which this one waits
            loads.begin(1, ClicksRead()).load()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    load_side_by_side(2)
    assert loaded_clicks() == expected_clicks({2: served[2]})


@pytest.mark.long
@pytest.mark.parametrize("batch_rows", [10, 1_000])
def test_a_chunk_that_is_too_large_for_the_memory_is_written_in_parts(
    batch_rows: int, api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.page_size = 10
    monkeypatch.setattr("link_assets.source.transforms.BATCH_ROWS", batch_rows)
    load, parts = group_load.GroupLoads._load, list[int]()

    def small_only(loads: Any, group: Sequence[Any]) -> float:
        parts.append(sum(t.rows for waiting in group for t in waiting.chunk.clicks))
        if parts[-1] > 20:
            raise OutOfMemory(duckdb.OutOfMemoryException("failed to allocate data"))
        return load(loads, group)

    monkeypatch.setattr(group_load.GroupLoads, "_load", small_only)
    assert load_side_by_side(1) == {1: None}
    assert parts[0] == 40
    assert sum(rows for rows in parts if rows <= 20) == 40
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_a_chunk_that_cannot_be_divided_for_lack_of_room_fails_and_nobody_waits(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack_memory(*_: Any) -> float:
        raise OutOfMemory(duckdb.OutOfMemoryException("failed to allocate data"))

    def lack_room(chunk: ClickChunk) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(group_load.GroupLoads, "_load", lack_memory)
    monkeypatch.setattr(ClickChunk, "halves", lack_room)
    errors = load_side_by_side(1, 2)
    assert {type(error) for error in errors.values()} == {OSError}


@pytest.mark.long
def test_staged_files_of_several_columns_are_read_where_they_are(
    served: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click_chunks, "BATCH_ROWS", 1)  # a table for each domain
    run, files = duckdb_client.StagedViewJob.run, list[str]()

    def noted(job: duckdb_client.StagedViewJob) -> None:
        files.append(job.file_name())
        run(job)

    monkeypatch.setattr(duckdb_client.StagedViewJob, "run", noted)
    for domain, clicks in served.items():
        for click in clicks:
            click[f"field_of_{domain}"] = "x"
    assert set(load_side_by_side(*DOMAINS).values()) == {None}
    assert len(files) > 1
    assert loaded_clicks() == expected_clicks(served)
    own = ", ".join(f"count(field_of_{domain})" for domain in DOMAINS)
    assert rows(f"SELECT {own} FROM {{dataset}}.clicks") == [(40,) * len(DOMAINS)]
    assert rows(LOADS) == [(1,)]
