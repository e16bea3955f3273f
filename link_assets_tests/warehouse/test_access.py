"""Exclusive access: who holds the warehouse, who waits, and what a refusal says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from link_assets.warehouse import access
from link_assets.warehouse import lock as lock_module
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable
from link_assets_tests.support import rows
from link_assets_tests.warehouse.helpers import (
    DEFAULT,
    load_clicks,
    process,
    read_line,
    set_lock_timeout,
)

NOBODY = 65534

HOLDER = """
import sys, time
from link_assets.warehouse.access import exclusive_access
with exclusive_access(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
COUNTING = """
from link_assets_tests.warehouse.test_access import count
print("ready", flush=True)
input()
count()
"""


def count() -> None:
    """Counts on in a file, as nobody could who was not alone at it."""
    counter = Path("counter")
    for _ in range(25):
        with exclusive_access("counting"):
            counter.write_text(str(int(counter.read_text()) + 1))


@contextmanager
def holder(purpose: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the warehouse."""
    with process(HOLDER, purpose) as held:
        assert read_line(held) == "held"
        yield held


def test_threads_that_ask_first_at_the_same_time_get_the_same_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2)

    class SlowLock(lock_module.WarehouseLock[Any]):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            with suppress(threading.BrokenBarrierError):
                both.wait(0.5)

    monkeypatch.setattr(access, "WarehouseLock", SlowLock)
    access._lock_at.cache_clear()
    warehouse = configured_warehouse()
    with ThreadPoolExecutor(2) as threads:
        locks = [threads.submit(access.warehouse_lock, warehouse) for _ in range(2)]
    assert locks[0].result() is locks[1].result()


@pytest.mark.long
def test_threads_and_processes_hold_the_warehouse_one_at_a_time(workdir: Path) -> None:
    Path("counter").write_text("0")
    with ExitStack() as stack:
        others = [stack.enter_context(process(COUNTING)) for _ in range(2)]
        assert [read_line(other) for other in others] == ["ready", "ready"]
        for other in others:
            assert other.stdin
            print(file=other.stdin, flush=True)
        threads = stack.enter_context(ThreadPoolExecutor(3))
        counting = [threads.submit(count) for _ in range(3)]
        assert [task.result(timeout=60) for task in counting] == [None] * 3
        assert [other.wait(timeout=60) for other in others] == [0, 0]
    assert Path("counter").read_text() == str(25 * 5)


def test_a_killed_process_releases_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lock_timeout(monkeypatch)
    with holder("loading") as held:
        with pytest.raises(WarehouseBusy), exclusive_access("waiting"):
            pass
        held.send_signal(signal.SIGKILL)
        held.wait(timeout=10)
        with exclusive_access("carrying on"):
            pass


def test_a_timeout_names_the_holder_its_purpose_and_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_lock_timeout(monkeypatch)
    before = datetime.now(UTC) - timedelta(seconds=1)
    with (
        holder("loading clicks_7") as held,
        pytest.raises(WarehouseBusy) as busy,
        exclusive_access("reading"),
    ):
        pass
    message = str(busy.value)
    assert "not free for 0.1 seconds while waiting for reading" in message
    assert f"process {held.pid} on " in message
    assert "loading clicks_7" in message
    assert "LINK_ASSETS__LOCK_TIMEOUT_SECONDS" in message
    since = message.partition("since ")[2].partition(". Wait")[0]
    assert before <= datetime.fromisoformat(since) <= datetime.now(UTC)


@pytest.mark.long
def test_a_long_wait_is_logged_with_the_holder_and_the_seconds(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock_module, "LOG_AFTER_SECONDS", 0.2)
    with holder("loading clicks_7") as held:
        threading.Timer(1.0, held.kill).start()
        with exclusive_access("loading clicks_8"):
            pass
    waits, waited = (record.getMessage() for record in caplog.records)
    expected = f"loading clicks_8 waits for the warehouse, held by process {held.pid} on "
    assert waits.startswith(expected)
    assert "loading clicks_7, since " in waits
    assert re.fullmatch(r"loading clicks_8 had waited \d+ seconds\.", waited)


def test_a_thread_waits_for_another_thread_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lock_timeout(monkeypatch)
    refused: list[str] = []

    def wait() -> None:
        try:
            with exclusive_access("waiting"):
                pass
        except WarehouseBusy as busy:
            refused.append(str(busy))

    with exclusive_access("holding"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(timeout=30)
    assert len(refused) == 1
    assert f"process {os.getpid()} on " in refused[0]
    wait()
    assert len(refused) == 1


def test_a_failure_releases_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lock_timeout(monkeypatch)
    with pytest.raises(ZeroDivisionError), exclusive_access("failing"):
        raise ZeroDivisionError
    with exclusive_access("carrying on"):
        pass


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that belongs to somebody else once `give_up_privileges` is called."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.chdir(folder)
        try:
            yield Path(folder).resolve()
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            Path(folder).chmod(0o700)


def give_up_privileges() -> None:
    """Makes permissions count: root is above them."""
    if os.getuid() == 0:
        os.seteuid(NOBODY)


def test_a_file_without_write_permission_is_named(api: str, unprivileged: Path) -> None:
    load_clicks()
    file = unprivileged / DEFAULT
    file.chmod(0o400)
    unprivileged.chmod(0o777)
    for beside in unprivileged.glob("*.lock*"):
        beside.unlink()
    give_up_privileges()
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(Exception, match="Permission denied") as refused:
            use()
        assert f'"{file}"' in str(refused.value)


def test_a_folder_without_write_permission_is_named(api: str, unprivileged: Path) -> None:
    load_clicks()
    for beside in unprivileged.glob("*.lock*"):
        beside.unlink()
    unprivileged.chmod(0o555)
    give_up_privileges()
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(WarehouseUnusable) as refused:
            use()
        assert f"The warehouse {unprivileged / DEFAULT} cannot be used" in str(refused.value)
