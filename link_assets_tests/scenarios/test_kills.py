"""Loads that are killed without warning, and what the next one makes of it."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from link_assets.sandbox import RequestRecord, Sandbox, World
from link_assets.warehouse.destinations.postgres_client import StreamedParquetJob
from link_assets_tests.children import (
    WAIT,
    child,
    load_clicks,
    load_links,
    materialize_clicks,
)
from link_assets_tests.support import Location, dagster_instance, mostly_long
from link_assets_tests.truth import (
    expected_clicks,
    expected_links,
    expected_rejections,
    expected_tags,
    loaded_clicks,
    loaded_links,
    loaded_rejections,
    loaded_tags,
    world_clicks,
)

WORLD = World(domains=4, links_per_domain=10, clicks_per_domain=80)
CLICKS = world_clicks(WORLD, 1)[::-1]
BAD_CLICKS = [{**click, "dt": "some day"} for click in CLICKS[::8]]
SERVED_CLICKS = [
    row for i, click in enumerate(CLICKS) for row in ([BAD_CLICKS[i // 8]] * (i % 8 == 0) + [click])
]
LINKS = WORLD.links()
BAD_LINKS = [{**LINKS[3], "id": None, "idString": None}]
REVISED_LINKS = [
    {**link, "title": f"Revised {i}", "tags": [*link["tags"][1:], "revised", f"n{i}"]}
    for i, link in enumerate(LINKS)
]
DICE = random.Random(20261123)


@dataclass(frozen=True)
class Moment:
    """When to kill: as the API gets its nth request, or in the loading that follows it."""

    request: int
    loading: bool = False
    after: float = 0

    def wait(self, process: BaseProcess, sandbox: Sandbox) -> None:
        """Returns when it has come, or the process has ended."""
        self._until(process, lambda: len(sandbox.requests) >= self.request)
        if self.loading:
            self._until(process, lambda: is_loading(process))
        time.sleep(self.after)

    def _until(self, process: BaseProcess, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT
        while not come() and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.001)


@dataclass(frozen=True)
class Phase:
    """When a load kills itself: as a statement begins, or `amid` it, once others are through.

    `at` and `after` are patterns of statements, and `load` says which load of a run it is in.
    """

    at: str
    after: tuple[str, ...] = ()
    amid: bool = False
    load: int = 1


class Killing:
    """Kills this process in the phase, as it sees the statements of a load."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._seen, self._done = Counter[str](), Counter[str]()

    @contextmanager
    def statement(self, text: str) -> Iterator[None]:
        """What runs the statement is in the block."""
        phase = self._phase
        patterns = [pattern for pattern in (phase.at, *phase.after) if re.search(pattern, text)]
        self._seen.update(patterns)
        if phase.at in patterns and self._seen[phase.at] == phase.load:
            self._die()
        yield
        self._done.update(patterns)

    def _die(self) -> None:
        while any(self._done[pattern] < self._phase.load for pattern in self._phase.after):
            time.sleep(0.001)
        if self._phase.amid:
            threading.Timer(0.0005, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def load_and_die(phase: Phase) -> None:
    """Loads the clicks of domain 1, and is killed in the phase."""
    killing = Killing(phase)
    for client in (DuckDbSqlClient, Psycopg2SqlClient):
        client.execute_query = watched(client.execute_query, killing)  # type: ignore[method-assign]
    ingest = StreamedParquetJob.run

    def run(job: StreamedParquetJob) -> None:
        with killing.statement(f'INSERT INTO dataset."{job.load_table_name}" '):
            ingest(job)

    StreamedParquetJob.run = run  # type: ignore[method-assign]
    load_clicks(1)


def watched(execute: Callable[..., Any], killing: Killing) -> Any:
    """The method of a SQL client, whose first statement of a query is seen."""

    @contextmanager
    def execute_or_die(client: Any, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with (
            killing.statement(str(query).split(";")[0]),
            execute(client, query, *arguments, **options) as cursor,
        ):
            yield cursor

    return execute_or_die


def is_loading(process: BaseProcess) -> bool:
    """Whether the process has the warehouse in order to load."""
    try:
        owner = Path("warehouse.duckdb.lock.owner").read_text()
    except FileNotFoundError:
        return False
    return f'"process": {process.pid},' in owner and "loading" in owner


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """90 clicks of domain 1 in 9 pages, ten of them unreadable; slow enough to be interrupted."""
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    sandbox = Sandbox(
        clicks={1: SERVED_CLICKS}, links=[*LINKS, *BAD_LINKS], page_size=10, latency=0.02
    )

    def count(_: RequestRecord) -> None:
        assert len(sandbox.requests) < 60  # ends a load that reads without end

    sandbox.on_request = count
    return sandbox


def kill(sandbox: Sandbox, moment: Moment, load: Callable[..., None], *arguments: Any) -> bool:
    """Starts a load in a process of its own and kills it; false if it ended before."""
    sandbox.reset_log()
    with child(load, *arguments) as process:
        moment.wait(process, sandbox)
        process.kill()
        process.join(WAIT)
        assert process.exitcode in (0, -signal.SIGKILL), Path(f"{process.name}.txt").read_text()
        return process.exitcode != 0


def or_none_yet(read: Callable[[], list[Any]]) -> list[Any]:
    """What there is to read, which is nothing as long as its table is not there."""
    try:
        return read()
    except DatabaseUndefinedRelation:
        return []


def assert_clicks_are_true_so_far() -> None:
    """No click is there twice or made up, however the load ended."""
    truth = Counter(expected_clicks({1: CLICKS}))
    assert Counter(or_none_yet(loaded_clicks)) <= truth
    rejected = Counter(expected_rejections(1, BAD_CLICKS))
    assert Counter(or_none_yet(loaded_rejections)) <= rejected


def assert_every_click_is_there() -> None:
    assert loaded_clicks() == expected_clicks({1: CLICKS})
    assert loaded_rejections() == expected_rejections(1, BAD_CLICKS)


def assert_links_are(links: Iterable[dict[str, Any]]) -> None:
    listed = list(links)
    assert loaded_links() == expected_links(listed)
    assert loaded_tags() == expected_tags(listed)
    assert loaded_rejections() == expected_rejections(None, BAD_LINKS)


CLICK_MOMENTS = {
    "loading the second chunk": Moment(6, loading=True, after=DICE.uniform(0, 0.3)),
    "amid the second chunk": Moment(5),
    "some time": Moment(1, after=DICE.uniform(0, 1.5)),
    "first request": Moment(1),
    "loading the first chunk": Moment(3, loading=True, after=DICE.uniform(0, 0.3)),
}


@pytest.mark.parametrize("moment", mostly_long(CLICK_MOMENTS.values(), 2), ids=CLICK_MOMENTS)
def test_a_killed_backfill_of_clicks_is_completed_by_the_next_run(
    moment: Moment, api: str, sandbox: Sandbox
) -> None:
    killed = kill(sandbox, moment, load_clicks, 1)
    assert killed or moment.after
    assert_clicks_are_true_so_far()
    load_clicks(1)
    assert_every_click_is_there()


def test_a_killed_dagster_run_is_resumed_where_its_last_chunk_ended(
    api: str, sandbox: Sandbox, workdir: Path
) -> None:
    folder = str(workdir)
    with dagster_instance(folder) as instance:
        instance.add_dynamic_partitions("domain", ["1"])
        # the third chunk, while the second is written
        assert kill(sandbox, Moment(7), materialize_clicks, folder, 1)
        there = len(loaded_clicks()) + len(loaded_rejections())
        sandbox.reset_log()
        location = Location(instance)
        assert location.clicks("1").success
        shown = location.click_metadata("1")
    asked = [record.page or 0 for record in sandbox.requests]
    assert asked in (list(range(4, 10)), list(range(7, 10)))
    assert there >= 10 * (asked[0] - 1)
    counted = (shown["resumed_from_page"], shown["pages"], shown["chunks"])
    assert counted == (asked[0], len(asked), len(asked) // 3)
    assert shown["rejected_rows"] == len(BAD_CLICKS)
    assert_every_click_is_there()


CLICKS_MERGE = r'DELETE FROM .*"clicks" as d'
REJECTED_MERGE = r'DELETE FROM .*"rejected_rows" as d'
POSITION = r'INSERT INTO .*"_positions" '
END = r'INSERT INTO .*"_dlt_loads"'
PHASES: dict[str, Phase] = {
    "clicks and their position are written, rejected rows are not": Phase(
        at=REJECTED_MERGE, after=(CLICKS_MERGE, POSITION)
    ),
    "the position is written, clicks are not": Phase(
        at=CLICKS_MERGE, after=(REJECTED_MERGE, POSITION)
    ),
    "all is written, and not yet complete": Phase(at=END),
    "clicks are written, their position is not": Phase(at=POSITION, after=(CLICKS_MERGE,)),
    "all is staged": Phase(at=CLICKS_MERGE),
    "merging": Phase(at=CLICKS_MERGE, amid=True),
    "the load is complete": Phase(at=END, amid=True),
}


@pytest.mark.parametrize("load", mostly_long([1, 2], 1))
@pytest.mark.parametrize("phase", mostly_long(PHASES.values(), 3), ids=PHASES)
def test_a_load_that_is_killed_in_any_phase_is_completed_by_the_next(
    phase: Phase, load: int, api: str, sandbox: Sandbox
) -> None:
    with child(load_and_die, replace(phase, load=load)) as process:
        process.join(WAIT)
        assert process.exitcode == -signal.SIGKILL, Path(f"{process.name}.txt").read_text()
    assert_clicks_are_true_so_far()
    sandbox.reset_log()
    load_clicks(1)
    assert_every_click_is_there()
    asked = [record.page for record in sandbox.requests]
    again, further = [*range(3 * load - 2, 10)], [*range(3 * load + 1, 10)]
    assert asked == again or (phase == PHASES["the load is complete"] and asked == further)


LINK_MOMENTS = {
    "loading for a while": Moment(5, loading=True, after=DICE.uniform(0, 0.4)),
    "amid the pages": Moment(3),
    "loading at once": Moment(5, loading=True),
}


@pytest.mark.long
@pytest.mark.parametrize("moment", mostly_long(LINK_MOMENTS.values(), 1), ids=LINK_MOMENTS)
def test_a_killed_update_of_links_leaves_the_old_or_the_new_links(
    moment: Moment, api: str, sandbox: Sandbox
) -> None:
    load_links()
    assert_links_are(LINKS)
    sandbox.links = [*REVISED_LINKS, *BAD_LINKS]
    assert kill(sandbox, moment, load_links) or moment.after
    assert loaded_links() in (expected_links(LINKS), expected_links(REVISED_LINKS))
    is_new = loaded_links() == expected_links(REVISED_LINKS)
    assert_links_are(REVISED_LINKS if is_new else LINKS)
    load_links()
    assert_links_are(REVISED_LINKS)


@pytest.mark.long
def test_kills_at_random_moments_lose_and_double_nothing(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = warehouses = 0
    rejected = [*expected_rejections(1, BAD_CLICKS), *expected_rejections(None, BAD_LINKS)]
    while kills < int(os.environ.get("KILLS", "50")):
        warehouses += 1
        monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", f"{warehouses}.duckdb")
        dice = random.Random(warehouses)
        for load, *arguments in ((load_clicks, 1), (load_links,)):
            kills += kills_until_done(sandbox, dice, load, *arguments)
        assert loaded_clicks() == expected_clicks({1: CLICKS})
        assert loaded_links() == expected_links(LINKS)
        assert loaded_tags() == expected_tags(LINKS)
        assert Counter(loaded_rejections()) == Counter(rejected)


def kills_until_done(
    sandbox: Sandbox, dice: random.Random, load: Callable[..., None], *arguments: Any
) -> int:
    """Kills a load after a random time, again and again, until one gets to its end."""
    for kills in range(40):
        moment = Moment(1, after=dice.uniform(0, 1 + kills / 10))
        if not kill(sandbox, moment, load, *arguments):
            return kills
        truth = Counter(expected_clicks({1: CLICKS}))
        assert Counter(or_none_yet(loaded_clicks)) <= truth
    raise AssertionError("no load got to its end in 40 attempts")
