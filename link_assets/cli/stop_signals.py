"""Noting SIGINT and SIGTERM for the whole of a command, whoever handles them meanwhile.

While Dagster runs a step it handles both signals itself, and forgets one that comes as the run
ends. What comes is noted here as well, so that a command can stop after that run.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """The first SIGINT or SIGTERM that came, if one has come."""

    def __init__(self, received: socket.socket) -> None:
        self._received = received
        self._first: int | None = None

    @property
    def first(self) -> int | None:
        """Return the number of the first signal; None if none has come."""
        while self._first is None:
            try:
                numbers = self._received.recv(64)
            except BlockingIOError:
                break
            self._first = next((number for number in numbers if number in STOPPING), None)
        return self._first


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Note signals within the block, which ends by itself; they do not end the process there."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        # Python writes each signal's number there, also one that another handler is called for
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        # a shell's background job ignores SIGINT, and Dagster would then ignore SIGTERM as well
        handlers = {number: signal.signal(number, _note) for number in STOPPING}
        try:
            yield StopSignals(ours)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _note(number: int, frame: object) -> None:
    """Do nothing: what came is read from the socket."""
