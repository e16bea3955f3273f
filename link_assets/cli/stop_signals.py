"""Noting SIGINT and SIGTERM for the whole of a command, whoever handles them meanwhile.

While Dagster runs a step it handles both signals itself, and forgets one that comes as the run
ends. What comes is noted here as well, so that a command can stop after that run. Whatever it waits
for then, another signal ends it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread

STOPPING = (signal.SIGINT, signal.SIGTERM)
ANOTHER_AFTER_SECONDS = 1.0
"""How long after the first signal another one counts: `timeout` and others send it twice."""
LAST_WORDS_SECONDS = 1.0


class Stopped(BaseException):
    """A signal came in a block that it was to end."""


class StopSignals:
    """The first SIGINT or SIGTERM that came, if one has come; another one ends the process.

    Args:
        received: Where the numbers of signals arrive.
        last_words: Called before the process is ended.
    """

    def __init__(self, received: socket.socket, last_words: Callable[[], object]) -> None:
        self._received = received
        self._last_words = last_words
        self._lock = Lock()
        self._first: int | None = None
        self._first_at: float | None = None
        """When it was received; it may have been handled before."""
        self._own = 0
        """How many signals this process has sent itself, and not received yet."""
        self._ends_block = False

    @property
    def first(self) -> int | None:
        """Return the number of the first signal; None if none has come."""
        self._receive()
        return self._first

    def raise_again(self) -> None:
        """Signal whoever handles signals now once more; this one does not count."""
        self._own += 1
        signal.raise_signal(signal.SIGINT)

    @contextmanager
    def ending_the_block(self) -> Iterator[None]:
        """Raise Stopped in the block once a signal comes, or at once if one has come."""
        self._ends_block = True
        try:
            if self.first:
                raise Stopped
            yield
        finally:
            self._ends_block = False

    def handle(self, number: int, frame: object) -> None:
        """Handle a signal while Dagster does not."""
        self._first = self._first or number
        if self._ends_block:
            self._ends_block = False  # not while it ends
            raise Stopped

    def watch(self) -> None:
        """End the process at another signal; return when anything else than a signal arrives."""
        while True:
            select.select([self._received], [], [])
            if self._receive():
                return

    def _receive(self) -> bool:
        """Note the signals that have come; return whether anything else has."""
        with self._lock:
            try:
                numbers = self._received.recv(64)
            except BlockingIOError:
                return False
            for number in numbers:
                if number == signal.SIGINT and self._own:
                    self._own -= 1
                elif number in STOPPING:
                    self._count(number)
            return 0 in numbers

    def _count(self, number: int) -> None:
        """Note the first signal, and end the process at another."""
        now = time.monotonic()
        if self._first_at is None:
            self._first_at, self._first = now, self._first or number
        elif now > self._first_at + ANOTHER_AFTER_SECONDS:
            self._end(number)

    def _end(self, number: int) -> None:
        words = Thread(target=self._last_words, daemon=True)
        words.start()
        words.join(LAST_WORDS_SECONDS)  # a terminal may take nothing
        os._exit(128 + number)


@contextmanager
def stop_signals(last_words: Callable[[], object] = lambda: None) -> Iterator[StopSignals]:
    """Note signals within the block, which ends by itself; another one ends the process.

    If one has come, the next one after the block ends the process as well.

    Args:
        last_words: Called before the process is ended.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        signals = StopSignals(ours, last_words)
        # Python writes each signal's number there, also one that another handler is called for
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        # a shell's background job ignores SIGINT, and Dagster would then ignore SIGTERM as well
        handlers = {number: signal.signal(number, signals.handle) for number in STOPPING}
        watching = Thread(target=signals.watch, daemon=True)
        watching.start()
        try:
            yield signals
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if signals.first else handler)
            theirs.send(b"\0")
            watching.join()
