"""Turns at something that one process may use at a time, and of that process one thread."""

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

PATIENCE = 30.0
"""Seconds after which waiting is told."""
SHARED_SECONDS = 5.0
"""How long the threads of a process pass on what they hold before others have a chance."""
POLL_SECONDS = 0.02

Open = TypeVar("Open")
"""What is open while a process has its turns."""

logger = logging.getLogger(__name__)


class WarehouseLock(Generic[Open]):
    """Turns at what a lock file stands for, free again if the process dies.

    `opened` is entered when the process has the lock, and again and again while it raises
    OpenElsewhere. Threads that wait for each other pass on lock and what is open, which is closed
    and freed when no thread waits, after SHARED_SECONDS, or after a failure, which may have spoilt
    it.
    """

    def __init__(self, path: Path, opened: Callable[[], AbstractContextManager[Open]]) -> None:
        self.path = path
        self.waiting = 0
        """How many threads of this process wait for a turn."""
        self._owner = path.with_name(path.name + ".owner")
        self._opened = opened
        self._held: tuple[ExitStack, Open] | None = None
        self._held_until = 0.0
        self._free = threading.Condition()
        self._taken = False

    @contextmanager
    def take(self, purpose: str, seconds: float) -> Iterator[Open]:
        """A turn at what is open.

        Waiting for longer than PATIENCE is logged, with who holds it and since when.
        Raises filelock.Timeout after `seconds`, whatever the waiting was for, OSError if the lock
        file cannot be made, and whatever else opening raises.
        """
        opened = self._enter_patiently(purpose, seconds)
        kept = False
        try:
            self._write_holder(purpose)
            yield opened
            kept = True
        finally:
            self._leave(kept)

    def holder(self) -> str:
        """Who has the turn, for what and since when, as a message says it."""
        try:
            holder = json.loads(self._owner.read_text())
        except (OSError, ValueError):
            return "a process that did not leave its name"
        return "process {process} on {host}, {for}, since {since}".format(**holder)

    def _enter_patiently(self, purpose: str, seconds: float) -> Open:
        started, patience = time.monotonic(), min(PATIENCE, seconds)
        try:
            return self._enter(patience)
        except Timeout:
            logger.warning("%s waits for the warehouse, held by %s.", purpose, self.holder())
        opened = self._enter(seconds - patience)
        logger.warning("%s had waited %.0f seconds.", purpose, time.monotonic() - started)
        return opened

    def _enter(self, seconds: float) -> Open:
        deadline, mine = time.monotonic() + seconds, False
        try:
            with self._free:
                self.waiting += 1
                try:
                    self._free.wait_for(lambda: not self._taken, seconds)
                finally:  # it may have been handed over to a thread that is interrupted
                    self.waiting -= 1
                    mine, self._taken = not self._taken, True
            if not mine:
                raise Timeout(str(self.path))
            if self._held is None:
                self._held = self._hold(deadline)
            return self._held[1]
        except BaseException:
            if mine:
                self._leave(kept=self._held is not None)
            raise

    def _hold(self, deadline: float) -> tuple[ExitStack, Open]:
        with ExitStack() as stack:
            # the thread that frees it may be another one
            lock = FileLock(self.path, thread_local=False)
            lock.acquire(max(0.0, deadline - time.monotonic()), poll_interval=POLL_SECONDS)
            stack.callback(lock.release)
            opened = self._open(stack, deadline)
            self._held_until = time.monotonic() + SHARED_SECONDS
            return stack.pop_all(), opened

    def _open(self, stack: ExitStack, deadline: float) -> Open:
        """Opens it as soon as no other program has it open; the lock keeps the place in the row."""
        noted = None
        while True:
            try:
                return stack.enter_context(self._opened())
            except OpenElsewhere as other:
                if other.process != noted:
                    noted = other.process
                    self._write_holder(other.program, other.process)
                if time.monotonic() >= deadline:
                    raise Timeout(str(self.path)) from None
            time.sleep(POLL_SECONDS)

    def _leave(self, kept: bool) -> None:
        with self._free:
            others = self.waiting > 0
            if kept and others and time.monotonic() < self._held_until:
                self._hand_over()
                return
        held, self._held = self._held, None
        try:
            if held:
                held[0].close()
                if others:  # else they would have it before another process looks again
                    time.sleep(2 * POLL_SECONDS)
        finally:
            with self._free:
                self._hand_over()

    def _hand_over(self) -> None:
        self._taken = False
        self._free.notify()

    def _write_holder(self, purpose: str, process: int | str | None = None) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"process": process or os.getpid(), "host": socket.gethostname()}
        holder |= {"for": purpose, "since": now}
        with suppress(OSError):  # a note for those who wait; not worth failing for on a full disk
            self._owner.write_text(json.dumps(holder))
