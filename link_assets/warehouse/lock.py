"""A lock that one process holds at a time, and within that process one thread.

`access.py` holds it for as long as it uses the warehouse. What the lock protects is opened when a
process acquires the lock and closed when it releases it; threads that wait for each other hand the
lock on without closing. This module knows neither dlt nor what it is that is opened.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock, Timeout

from link_assets.warehouse.errors import OpenElsewhere

LOG_AFTER_SECONDS = 30.0
"""How long to wait for the lock before that is logged."""
SHARED_SECONDS = 5.0
"""How long the threads of a process hand the lock on before other processes have a chance."""
POLL_SECONDS = 0.02
"""How often to look whether another process has released the lock or closed the file."""

Opened = TypeVar("Opened")
"""What is open while a process holds the lock."""

logger = logging.getLogger(__name__)


class WarehouseLock(Generic[Opened]):
    """An exclusive lock across processes and threads; the system releases it if a process dies.

    Threads that wait for each other hand on the lock and what is open. It is closed and the lock
    released when no thread waits, after SHARED_SECONDS, or after a failure, which may have left it
    in a bad state.

    Args:
        path: The lock file. Beside it, `<name>.owner` says who holds the lock.
        open_protected: Opens what the lock protects. It is called again for as long as it raises
            OpenElsewhere.
    """

    def __init__(
        self, path: Path, open_protected: Callable[[], AbstractContextManager[Opened]]
    ) -> None:
        self.path = path
        self.waiting = 0
        """How many threads of this process wait for the lock."""
        self._owner_file = path.with_name(path.name + ".owner")
        self._open_protected = open_protected
        self._held: tuple[ExitStack, Opened] | None = None
        """What this process holds: how to close and release it, and what is open."""
        self._hand_on_until = 0.0
        self._changed = threading.Condition()
        self._in_use = False
        """Whether a thread of this process holds the lock or is about to acquire it."""

    @contextmanager
    def acquire(self, purpose: str, seconds: float) -> Iterator[Opened]:
        """Hold the lock within the block, which is given what is open.

        A wait of more than LOG_AFTER_SECONDS is logged, with who holds the lock and since when.

        Args:
            purpose: What it is for, as messages say it.
            seconds: How long to wait at most, for the lock and for other programs together.

        Raises:
            filelock.Timeout: It was not to be had in time.
            OSError: The lock file cannot be made.

        What opening raises is raised as well, except OpenElsewhere.
        """
        opened = self._acquire_and_log(purpose, seconds)
        succeeded = False
        try:
            self._write_owner(purpose)
            yield opened
            succeeded = True
        finally:
            self._release(succeeded)

    def holder(self) -> str:
        """Return who holds the lock, for what and since when (UTC), as a message says it."""
        try:
            owner = json.loads(self._owner_file.read_text())
        except (OSError, ValueError):
            return "a process that did not leave its name"
        return "process {process} on {host}, {for}, since {since}".format(**owner)

    def _acquire_and_log(self, purpose: str, seconds: float) -> Opened:
        if seconds <= LOG_AFTER_SECONDS:
            return self._acquire(seconds)
        started = time.monotonic()
        try:
            return self._acquire(LOG_AFTER_SECONDS)
        except Timeout:
            logger.warning("%s waits for the warehouse, held by %s.", purpose, self.holder())
        opened = self._acquire(seconds - LOG_AFTER_SECONDS)
        logger.warning("%s had waited %.0f seconds.", purpose, time.monotonic() - started)
        return opened

    def _acquire(self, seconds: float) -> Opened:
        """Wait for other threads first, then, unless one hands it on, for other processes."""
        deadline, acquired = time.monotonic() + seconds, False
        try:
            with self._changed:
                self.waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._in_use, seconds)
                finally:  # it may have been handed on to a thread that is interrupted right now
                    self.waiting -= 1
                    acquired, self._in_use = not self._in_use, True
            if not acquired:
                raise Timeout(str(self.path))
            if self._held is None:
                self._held = self._lock_and_open(deadline)
            return self._held[1]
        except BaseException:
            if acquired:
                self._release(succeeded=self._held is not None)
            raise

    def _lock_and_open(self, deadline: float) -> tuple[ExitStack, Opened]:
        with ExitStack() as stack:
            # another thread may be the one that releases it
            lock = FileLock(self.path, thread_local=False)
            lock.acquire(max(0.0, deadline - time.monotonic()), poll_interval=POLL_SECONDS)
            stack.callback(lock.release)
            opened = self._open(stack, deadline)
            self._hand_on_until = time.monotonic() + SHARED_SECONDS
            return stack.pop_all(), opened

    def _open(self, stack: ExitStack, deadline: float) -> Opened:
        """Open as soon as no other program has it open, holding the lock meanwhile.

        So whoever waits for the lock waits behind this process, and reads the program's name.
        """
        noted = None
        while True:
            try:
                return stack.enter_context(self._open_protected())
            except OpenElsewhere as other:
                if other.process != noted:
                    noted = other.process
                    self._write_owner(other.program, other.process)
                if time.monotonic() >= deadline:
                    raise Timeout(str(self.path)) from None
            time.sleep(POLL_SECONDS)

    def _release(self, succeeded: bool) -> None:
        """Hand the lock on to a thread that waits, or close what is open and release the lock."""
        with self._changed:
            others = self.waiting > 0
            if succeeded and others and time.monotonic() < self._hand_on_until:
                self._let_next_thread_in()
                return
        held, self._held = self._held, None
        try:
            if held:
                held[0].close()
                if others:  # else they would acquire it before another process looks again
                    time.sleep(2 * POLL_SECONDS)
        finally:
            with self._changed:
                self._let_next_thread_in()

    def _let_next_thread_in(self) -> None:
        self._in_use = False
        self._changed.notify()

    def _write_owner(self, purpose: str, process: int | str | None = None) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        owner = {"process": process or os.getpid(), "host": socket.gethostname()}
        owner |= {"for": purpose, "since": now}
        with suppress(OSError):  # it only helps those who wait: no reason to fail on a full disk
            self._owner_file.write_text(json.dumps(owner))
