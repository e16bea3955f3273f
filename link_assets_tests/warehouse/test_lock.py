"""The lock: one process holds it at a time, and its threads hand on what is open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from link_assets.warehouse import lock as lock_module
from link_assets.warehouse.errors import OpenElsewhere
from link_assets.warehouse.lock import WarehouseLock
from link_assets_tests.warehouse.helpers import wait_until


class Door:
    """Something that is open while a process holds the lock; it counts how often it was opened."""

    def __init__(self, path: Path) -> None:
        self.lock = WarehouseLock(path, self.opened)
        self.is_open = False
        self.times = 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        self.is_open, self.times = True, self.times + 1
        try:
            yield self.times
        finally:
            self.is_open = False

    def is_free(self) -> bool:
        """Whether another process could acquire the lock."""
        lock = FileLock(self.lock.path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        return True

    def wait_for_waiting(self, threads: int) -> None:
        """Returns when so many threads wait for each other."""
        wait_until(lambda: self.lock.waiting >= threads)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "lock")


def acquire_with_others_waiting(door: Door, others: int) -> list[bool]:
    """Acquires a lock that others wait for; whether each of them found it open and locked."""
    seen: list[bool] = []

    def acquire() -> None:
        with door.lock.acquire("waiting", 30) as opened:
            seen.append(door.is_open and not door.is_free() and opened == door.times)

    with ThreadPoolExecutor(others) as threads:
        with door.lock.acquire("first", 1):
            tasks = [threads.submit(acquire) for _ in range(others)]
            door.wait_for_waiting(others)
        for task in tasks:
            task.result(timeout=30)
    return seen


def test_the_last_thread_closes_and_releases(door: Door) -> None:
    with door.lock.acquire("loading", 1):
        assert door.is_open
        assert not door.is_free()
    assert not door.is_open
    assert door.is_free()


def test_the_block_is_given_what_is_open(door: Door) -> None:
    for times in (1, 2):
        with door.lock.acquire("loading", 1) as opened:
            assert opened == times


def test_waiting_threads_hand_on_what_is_open(door: Door) -> None:
    assert acquire_with_others_waiting(door, 4) == [True] * 4
    assert door.times == 1
    assert not door.is_open
    assert door.is_free()


def test_after_the_shared_time_it_is_closed_although_threads_wait(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "SHARED_SECONDS", 0)
    assert acquire_with_others_waiting(door, 4) == [True] * 4
    assert door.times == 5


def test_after_the_shared_time_another_process_comes_before_waiting_threads(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "filelock")
    monkeypatch.setattr(lock_module, "SHARED_SECONDS", 0)
    monkeypatch.setattr(lock_module, "POLL_SECONDS", 0.2)
    process, order = Door(door.lock.path), []

    def acquire(where: Door, who: str) -> None:
        with where.lock.acquire(who, 30):
            order.append(who)

    with ThreadPoolExecutor(2) as threads:
        with door.lock.acquire("first", 1):
            tasks = [threads.submit(acquire, door, "thread")]
            door.wait_for_waiting(1)
            tasks.append(threads.submit(acquire, process, "process"))
            wait_until(lambda: "waiting 0.2 seconds" in caplog.text)
        for task in tasks:
            task.result(timeout=30)
    assert order == ["process", "thread"]


def test_after_a_failure_it_is_opened_again(door: Door) -> None:
    opened: list[int] = []

    def acquire() -> None:
        with door.lock.acquire("waiting", 30):
            opened.append(door.times)

    def fail() -> None:
        with door.lock.acquire("failing", 1):
            waiting.start()
            door.wait_for_waiting(1)
            raise ZeroDivisionError

    waiting = threading.Thread(target=acquire)
    with pytest.raises(ZeroDivisionError):
        fail()
    waiting.join(timeout=30)
    assert opened == [2]


def test_a_timeout_leaves_nothing_open(door: Door) -> None:
    def give_up() -> None:
        with pytest.raises(Timeout), door.lock.acquire("waiting", 0.05):
            pass

    with ThreadPoolExecutor(1) as threads, door.lock.acquire("first", 1):
        threads.submit(give_up).result(timeout=30)
    assert door.is_free()
    assert not door.is_open


@pytest.mark.parametrize("others", [0, 1])
def test_a_thread_interrupted_while_acquiring_lets_the_next_one_in(
    others: int, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for = door.lock._changed.wait_for

    def interrupted(*arguments: Any) -> None:
        assert wait_for(*arguments)
        raise KeyboardInterrupt

    def be_interrupted() -> None:
        with pytest.raises(KeyboardInterrupt), door.lock.acquire("waiting", 30):
            pass

    def acquire() -> None:
        with door.lock.acquire("waiting", 30):
            pass

    with ThreadPoolExecutor(2) as threads:
        with door.lock.acquire("first", 1):
            monkeypatch.setattr(door.lock._changed, "wait_for", interrupted)
            tasks = [threads.submit(be_interrupted)]
            door.wait_for_waiting(1)
            monkeypatch.undo()
            tasks += [threads.submit(acquire) for _ in range(others)]
            door.wait_for_waiting(1 + others)
        for task in tasks:
            task.result(timeout=30)
    assert door.times == 1
    assert not door.is_open
    assert door.is_free()


def test_failing_to_open_releases_the_lock(tmp_path: Path) -> None:
    @contextmanager
    def broken() -> Iterator[int]:
        raise ZeroDivisionError
        yield 1

    door = Door(tmp_path / "lock")
    door.lock = WarehouseLock(tmp_path / "lock", broken)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), door.lock.acquire("opening", 0.05):
            pass
    assert door.is_free()


def in_use(door: Door, times: int) -> list[int]:
    """Makes the first `times` openings fail as in use elsewhere; the list counts all tries."""
    tries: list[int] = []

    @contextmanager
    def opened() -> Iterator[int]:
        tries.append(len(tries))
        if len(tries) <= times:
            raise OpenElsewhere("1234", "another program (editor)")
        with door.opened() as number:
            yield number

    door.lock = WarehouseLock(door.lock.path, opened)
    return tries


def test_a_file_open_elsewhere_is_waited_for_with_the_lock_held(door: Door) -> None:
    tries = in_use(door, times=3)
    with door.lock.acquire("loading", 30) as opened:
        assert (opened, len(tries)) == (1, 4)
        assert f"process {os.getpid()} on" in door.lock.holder()
    assert door.is_free()


def test_waiting_for_a_file_open_elsewhere_times_out_and_names_the_program(door: Door) -> None:
    in_use(door, times=1_000_000)
    with pytest.raises(Timeout), door.lock.acquire("loading", 0.05):
        pass
    assert door.lock.holder().startswith("process 1234 on ")
    assert "another program (editor), since " in door.lock.holder()
    assert door.is_free()


def test_an_error_of_opening_after_a_wait_is_raised(door: Door) -> None:
    @contextmanager
    def broken() -> Iterator[int]:
        raise ZeroDivisionError if tries.append(1) or len(tries) > 1 else OpenElsewhere("1", "x")
        yield 1

    tries: list[int] = []
    door.lock = WarehouseLock(door.lock.path, broken)
    with pytest.raises(ZeroDivisionError), door.lock.acquire("loading", 30):
        pass
    assert door.is_free()
