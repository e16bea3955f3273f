"""Other programs may look at the DuckDB file: loads and reads wait until they have closed it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pytest

from link_assets.defs.partitions import register_domains
from link_assets.sandbox import RequestRecord, Sandbox, World
from link_assets.warehouse import lock as lock_module
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.destinations.duckdb_client import open_elsewhere
from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets.warehouse.errors import WarehouseBusy
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.children import child, finish, load_clicks, load_links
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse.helpers import process, read_line, set_lock_timeout, wait_until

WORLD = World(domains=3, links_per_domain=5, clicks_per_domain=40)
LOOKER = """
import sys, time
import duckdb
while True:
    try:
        file = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "True")
        break
    except duckdb.IOException:
        time.sleep(0.001)
print("open", flush=True)
input()
"""
BUSY_LOOKER = """
import sys, time
import duckdb
looks = 0
while True:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as file:
            file.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
            time.sleep(0.05)
            looks += 1
    except duckdb.IOException:
        pass
    if looks == 3:
        print("looked", flush=True)
    time.sleep(0.005)
"""


class Looker:
    """Another program that has the file open until `close` is called."""

    def __init__(self, stack: ExitStack, read_only: bool = True) -> None:
        file = str(duckdb_path())
        self._process = stack.enter_context(process(LOOKER, file, str(read_only)))
        self.pid = self._process.pid
        assert read_line(self._process) == "open"

    def is_waited_for(self) -> bool:
        """Whether somebody has noted that this program holds the file."""
        note = Path(f"{duckdb_path()}.lock.owner")
        return note.exists() and f'"process": "{self.pid}"' in note.read_text()

    def close(self) -> None:
        self._process.communicate("close\n", timeout=30)

    def close_when_waited_for(self) -> None:
        wait_until(self.is_waited_for)
        self.close()


@contextmanager
def looking(read_only: bool = True) -> Iterator[Looker]:
    with ExitStack() as stack:
        yield Looker(stack, read_only)


def pages(sandbox: Sandbox) -> list[tuple[str, int | None]]:
    return [(record.path, record.page) for record in sandbox.requests]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_load_waits_until_another_program_has_closed_the_file(
    read_only: bool, api: str, sandbox: Sandbox
) -> None:
    load_links()
    sandbox.reset_log()
    with looking(read_only) as looker, ThreadPoolExecutor(1) as threads:
        loading = threads.submit(load_clicks, 1)
        looker.close_when_waited_for()
        loading.result(timeout=60)
    assert loaded_clicks() == expected_world(WORLD, 1)
    assert [page for _, page in pages(sandbox)] == [1, 2, 3]


def test_a_program_that_opens_the_file_between_chunks_costs_no_page_again(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    looked: list[int | None] = []
    with ExitStack() as stack, ThreadPoolExecutor(3) as threads:

        def look(record: RequestRecord) -> None:
            looker = Looker(stack)
            looked.append(record.page)
            threads.submit(looker.close_when_waited_for)

        load_links()
        sandbox.reset_log()
        sandbox.on_request = look
        load_clicks(1)
    assert looked == [page for _, page in pages(sandbox)] == [1, 2, 3]
    assert loaded_clicks() == expected_world(WORLD, 1)


@pytest.mark.long
def test_several_processes_load_while_a_program_keeps_opening_the_file(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    load_links()
    with ExitStack() as stack:
        looker = stack.enter_context(process(BUSY_LOOKER, str(duckdb_path())))
        assert read_line(looker) == "looked"
        loads = [stack.enter_context(child(load_clicks, domain)) for domain in WORLD.domain_ids()]
        for load in loads:
            finish(load)
    assert loaded_clicks() == expected_world(WORLD)


def list_links() -> None:
    with open_pipeline("links") as pipeline:
        LinkListing(pipeline)


USES: dict[str, Callable[[Location], object]] = {
    "loading clicks": lambda _: load_clicks(1),
    "loading links": lambda _: load_links(),
    "reading": lambda _: rows("SELECT 1"),
    "looking for deleted links": lambda _: list_links(),
    "registering domains": lambda location: register_domains(location.instance),
}


@pytest.mark.long
@pytest.mark.parametrize("use", USES)
def test_every_use_that_times_out_names_the_program_that_has_the_file(
    use: str, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_links()
    set_lock_timeout(monkeypatch)
    with looking() as looker:
        with pytest.raises(Exception, match=r"not free for 0\.1 seconds") as busy:
            USES[use](location)
        assert f"held by process {looker.pid} on " in str(busy.value)
        assert f"another program ({Path(sys.executable).resolve()})" in str(busy.value)
        looker.close()
    USES[use](location)


def test_a_run_that_times_out_names_the_program_that_has_the_file(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_links()
    set_lock_timeout(monkeypatch)
    with looking() as looker:
        assert f"held by process {looker.pid} on " in failure_text(location.links())
    assert location.links().success


LOCKED = 'IO Error: Could not set lock on file "/data/warehouse.duckdb": Conflicting lock is '


@pytest.mark.parametrize(
    ("held", "process", "program"),
    [
        ("held in /usr/bin/python3.11 (PID 4711). However, you", "4711", "/usr/bin/python3.11"),
        ("held in /usr/bin/a b (PID 4711) by user ada. See", "4711", "/usr/bin/a b"),
        ("held in PID 4711 by user ada. See also", "4711", "of unknown name"),
        ("held in PID 0. However, you would be able", "unknown", "of unknown name"),
        ("held by somebody, in words of a later version", "unknown", "of unknown name"),
    ],
)
def test_a_lock_is_recognized_however_duckdb_names_its_holder(
    held: str, process: str, program: str
) -> None:
    found = open_elsewhere(duckdb.IOException(LOCKED + held))
    assert found is not None
    assert (found.process, found.program) == (process, f"another program ({program})")


def test_an_error_of_the_disk_is_no_lock() -> None:
    for text in (
        "Cannot open file: Permission denied",
        "Could not read from file: held in doubt",
        "Could not set lock on file: No locks available",
    ):
        assert open_elsewhere(duckdb.IOException(f"IO Error: {text}")) is None


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_open_elsewhere_in_this_process_is_waited_for(
    read_only: bool, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_links()
    file = str(duckdb_path())
    set_lock_timeout(monkeypatch)
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{file}' AS seen" + (" (READ_ONLY)" if read_only else ""))
        with pytest.raises(WarehouseBusy, match=f"process {os.getpid()} .* another connection"):
            rows("SELECT 1")


def test_a_load_begins_when_the_file_is_closed_elsewhere_in_this_process(api: str) -> None:
    load_links()
    note = Path(f"{duckdb_path()}.lock.owner")
    with ThreadPoolExecutor(1) as threads:
        with duckdb.connect(str(duckdb_path()), read_only=True):
            loading = threads.submit(load_clicks, 1)
            wait_until(lambda: "another connection" in note.read_text())
        loading.result(timeout=60)
    assert loaded_clicks() == expected_world(WORLD, 1)


def test_waiting_long_for_a_program_is_logged_with_its_name(
    api: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load_links()
    monkeypatch.setattr(lock_module, "LOG_AFTER_SECONDS", 0.1)
    with looking() as looker:
        closing = threading.Thread(
            target=lambda: (wait_until(lambda: bool(caplog.records)), looker.close())
        )
        closing.start()
        rows("SELECT 1")
        closing.join(timeout=30)
    waits, waited = (record.getMessage() for record in caplog.records)
    assert waits.startswith(f"reading waits for the warehouse, held by process {looker.pid} on ")
    assert waited.startswith("reading had waited ")


@pytest.mark.long
def test_a_run_behind_a_waiting_run_names_the_program_too(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_links()
    with looking() as looker, child(load_clicks, 1) as waiting:
        wait_until(looker.is_waited_for)
        set_lock_timeout(monkeypatch)
        with pytest.raises(WarehouseBusy, match=f"held by process {looker.pid} on "):
            rows("SELECT 1")
        looker.close()
        finish(waiting)
    assert loaded_clicks() == expected_world(WORLD, 1)
