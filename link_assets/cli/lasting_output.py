"""Standard output for a command whose work matters more than what it prints.

Whoever reads it may close it, as `head` does, or its disk may be full: what is printed after that
goes nowhere, and the command goes on and says so in the end.
"""

from __future__ import annotations

import os
import signal
from typing import IO, Any

from rich.console import Console

from link_assets.cli.progress import console_of_this_process

CLOSED = 128 + signal.SIGPIPE
"""What a command exits with that a closed pipe ends, as a shell says it."""


class LastingOutput:
    """A file that takes everything, and what the real one failed with, if it did."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text, if that is still possible."""
        try:
            self._file.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what is kept back, if that is still possible."""
        try:
            self._file.flush()
        except OSError as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        """Answer all else as the real file does."""
        return getattr(self._file, name)

    def _lose(self, error: OSError) -> None:
        self.error = error
        # what the file keeps back would fail again, at the latest as the process ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)


def lasting_console() -> tuple[Console, LastingOutput]:
    """Return a console on what is standard output now, and that output."""
    console = console_of_this_process()
    output = LastingOutput(console.file)
    console.file = output  # type: ignore[assignment]
    return console, output
