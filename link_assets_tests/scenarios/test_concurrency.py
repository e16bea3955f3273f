"""Ten domains loaded by ten processes at once into one DuckDB file, as it is read and checked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox, World
from link_assets.warehouse.reader import reading
from link_assets_tests.children import (
    child,
    finish,
    load_clicks,
    materialize_clicks,
)
from link_assets_tests.support import Location, dagster_instance
from link_assets_tests.truth import expected_world, loaded_clicks, loaded_clicks_with_keys

WORLD = World(domains=10, links_per_domain=2, clicks_per_domain=60)
DOMAINS = WORLD.domain_ids()


@pytest.fixture
def sandbox() -> Sandbox:
    """Ten domains of 60 clicks, each in pages of 20."""
    return Sandbox(world=WORLD, page_size=20)


class Watcher:
    """Counts the clicks of every domain over and over while others load."""

    def __init__(self) -> None:
        self.seen: list[Counter[int]] = []
        self.error: Exception | None = None
        self._enough = threading.Event()

    def watch(self) -> None:
        try:
            while not self._enough.wait(0.2):
                self.seen.append(self._counts())
            self.seen.append(self._counts())
        except Exception as error:  # noqa: BLE001 - told by the test
            self.error = error

    def _counts(self) -> Counter[int]:
        with reading() as reader:
            try:
                found = reader.rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1")
            except DatabaseUndefinedRelation:
                found = []
            return Counter({row[0]: row[1] for row in found})

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.seen.append(self._counts())
        thread = threading.Thread(target=self.watch)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join(timeout=60)


def all_at_once(load: Callable[..., None], *arguments: Any) -> None:
    """Has each domain loaded by a process of its own."""
    with ExitStack() as stack:
        children = [stack.enter_context(child(load, *arguments, domain)) for domain in DOMAINS]
        for process in children:
            finish(process)


def check_until(file: str, folder: str) -> None:
    """Runs the checks on the Dagster instance kept in a folder, again and again, at least once."""
    with dagster_instance(folder) as instance:
        while True:
            assert Location(instance).run("checks_job").success
            if Path(file).exists():
                break
            time.sleep(1)


@contextmanager
def checking(folder: str) -> Iterator[None]:
    """Has the checks run in a process of their own meanwhile; none of those runs may fail."""
    enough = Path("enough")
    with child(check_until, str(enough), folder) as process:
        yield
        enough.touch()
        finish(process)


@pytest.mark.long
def test_ten_processes_lose_no_click_three_times_over(
    api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workdir / "dagster"
    folder.mkdir()
    with dagster_instance(str(folder)) as instance:
        instance.add_dynamic_partitions("domain", [str(domain) for domain in DOMAINS])
        watcher = Watcher()
        with watcher.watching(), checking(str(folder)):
            all_at_once(materialize_clicks, str(folder))
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        assert loaded_clicks() == expected_world(WORLD)
        assert len(instance.get_materialized_partitions(CLICKS_KEY)) == 10
        location = Location(instance)
        shown = [location.click_metadata(str(domain))["rows_loaded"] for domain in DOMAINS]
        assert shown == [60] * 10
    assert_only_grew(watcher)
    loaded = loaded_clicks_with_keys()
    for file in ("another.duckdb", "a_third.duckdb"):
        monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", file)
        watcher = Watcher()
        with watcher.watching():
            all_at_once(load_clicks)
        assert loaded_clicks_with_keys() == loaded
        assert_only_grew(watcher)


@pytest.mark.long
def test_ten_processes_make_a_new_warehouse_together_in_chunks(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "40")
    watcher = Watcher()
    with watcher.watching():
        all_at_once(load_clicks)
    assert loaded_clicks() == expected_world(WORLD)
    assert_only_grew(watcher)


def assert_only_grew(watcher: Watcher) -> None:
    """A reader never fails, never sees a domain shrink, never more clicks than there are."""
    assert watcher.error is None
    for before, after in zip(watcher.seen, watcher.seen[1:], strict=False):
        assert before <= after
    assert max(watcher.seen[-1].values()) <= 60
