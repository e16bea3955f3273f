"""Shows runs and the listings that they read: alive in a terminal, as lines anywhere else.

What is read, loads tell through `defs.progress`; the rows are looked at whenever the terminal is
drawn anew, so that showing them slows no load.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import Any

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from link_assets.defs.progress import Reading

SHOWN = 10
"""How many listings are shown at once."""
GRID_COLUMNS = 80
"""How wide they are at most: numbers far from the names are hard to read."""
STANDARD = (1, 2)
"""The numbers of standard output and standard error."""
LINE_SECONDS = 60
"""How often a run that takes long says what it reads, where there is no terminal."""


class Progress:
    """What runs now. It is a Watcher of loads; used as a context, it draws.

    Each run leaves one line when it has ended. Warnings of the project's own, such as whom a load
    waits for, are shown as they come. `is_stopping` says whether the run is to end early: what it
    has fetched is written first.
    """

    def __init__(self, console: Console, is_stopping: Callable[[], bool] = lambda: False) -> None:
        self.console = console
        self._is_stopping = is_stopping
        self._alive = console.is_terminal and not console.is_dumb_terminal
        self._lock = Lock()
        self._readings: dict[Reading, float] = {}
        """The listings that are being read, with the time at which each began."""
        self._rows = self._pages = 0
        """Of the listings of this run that have ended."""
        self._what, self._step, self._started = "", "", 0.0
        self._stack = ExitStack()
        ascii_only = console.options.ascii_only
        self._spinner = Spinner("line" if ascii_only else "dots")
        self._done, self._failed = ("+", "x") if ascii_only else ("✓", "✗")

    def __enter__(self) -> Progress:
        self._stack.enter_context(_warnings_shown(self.console))
        if self._alive:
            self._stack.enter_context(_nothing_else_written(self.console))
            live = Live(
                console=self.console,
                get_renderable=self._drawn,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._stack.enter_context(live)
        else:
            self._stack.enter_context(_every(LINE_SECONDS, self._say_what_is_read))
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def begun(self, reading: Reading) -> None:
        """Show a listing from now on."""
        with self._lock:
            self._readings[reading] = time.monotonic()

    def ended(self, reading: Reading) -> None:
        """Show it no longer, and count its rows."""
        with self._lock:
            self._readings.pop(reading, None)
            self._rows += reading.stats.received
            self._pages += reading.stats.pages

    def run_begins(self, what: str) -> None:
        """Show what runs from now on."""
        with self._lock:
            self._what, self._step, self._started = what, "", time.monotonic()
            self._rows = self._pages = 0

    def step_begins(self, step: str) -> None:
        """Show a step of the run while no listing is read, such as one that computes."""
        with self._lock:
            self._step = step

    def run_ends(self, wrong: str = "", days_computed: int = 0) -> None:
        """Leave a line about the run, with what went wrong in a word, if anything did."""
        mark = f"[red]{self._failed}[/]" if wrong else f"[green]{self._done}[/]"
        read = f"{self._rows:,} rows, {_counted(self._pages, 'page')}" if self._pages else ""
        computed = f"{_counted(days_computed, 'day')} computed" if days_computed else ""
        numbers = ", ".join(filter(None, (wrong, read, computed, str(self._elapsed()))))
        what = f"{mark} {escape(self._what)}:"
        with self._lock:
            self._what = self._step = ""
        line = Text.from_markup(f"{what} {numbers}")
        if self._alive and line.cell_len > self.console.width:
            line = Text.from_markup(f"{what}\n  {numbers}")
        self.console.print(line, soft_wrap=not self._alive)

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=int(time.monotonic() - self._started))

    def _drawn(self) -> RenderableType:
        """Return what the terminal shows now."""
        with self._lock:
            readings, what, step = [*self._readings.items()], self._what, self._step
        if not what:
            return Text()
        stopping = ", stopping" if self._is_stopping() else ""
        head = Table.grid(padding=(0, 1))
        head.add_row(self._spinner, Text(f"{what} {self._elapsed()}{stopping}"))
        if not readings:
            return Group(head, Text(f"  step {step}" if step else ""))
        listings = [self._row(*item) for item in readings[:SHOWN]]
        more = len(readings) - SHOWN
        return Group(head, _grid(listings), Text(f"  and {more} more" if more > 0 else ""))

    def _row(self, reading: Reading, began: float) -> tuple[str, ...]:
        rows, seconds = reading.stats.received, time.monotonic() - began
        rate = rows / seconds if seconds else 0
        return (
            reading.name,
            _counted(reading.stats.pages, "page"),
            f"{rows:,} rows",
            f"{rate:,.0f}/s",
            _time_left(reading, rate),
        )

    def _say_what_is_read(self) -> None:
        with self._lock:
            readings, step = [*self._readings.items()], self._step
        if step and not readings:
            self.console.print(f"  step {step}", highlight=False, soft_wrap=True)
        for item in readings[:SHOWN]:
            name, *numbers = self._row(*item)
            line = f"  {escape(name)}: {', '.join(filter(None, numbers))}"
            self.console.print(line, highlight=False, soft_wrap=True)


def console_of_this_process() -> Console:
    """Return a console on what is standard output now.

    While a run runs, Dagster has standard output go to the run's log.
    """
    if (standard := _number_of(sys.stdout)) is None:
        return Console()
    number = os.dup(standard)
    file = open(number, "w", encoding=sys.stdout.encoding, errors="replace")  # noqa: PTH123, SIM115
    return (_Terminal if file.isatty() else Console)(file=file)


class _Terminal(Console):
    """A console that is as large as its terminal is now; a person may resize it meanwhile."""

    @property
    def size(self) -> ConsoleDimensions:  # type: ignore[override]
        """Return the size; Rich asks standard output, which is elsewhere while a run runs."""
        columns, lines = os.get_terminal_size(self.file.fileno())
        if "COLUMNS" in os.environ or not (columns and lines):
            return super().size
        return ConsoleDimensions(columns, lines)


def _number_of(stream: Any) -> int | None:
    """Return the number of an open file; None if it is none, as in tests."""
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, AttributeError):
        return None


def _grid(rows: Sequence[tuple[str, ...]]) -> RenderableType:
    """Return rows of listings, of which only the names are cut where the terminal is narrow.

    The columns stay where they are while the numbers grow.
    """
    # Rich gives a column without any text a width all the same, and then takes it from the others
    rows = rows if any(left for *_, left in rows) else [row[:-1] for row in rows]
    grid = Table.grid(padding=(0, 1), expand=True)
    for number, _ in enumerate(rows[0]):
        grid.add_column(
            ratio=None if number else 1,
            justify="right" if number else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for name, *numbers in rows:
        grid.add_row(Text(f"  {name}"), *numbers)
    return Constrain(grid, GRID_COLUMNS)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _time_left(reading: Reading, rate: float) -> str:
    """Return how long it will take; nothing where that is not known."""
    expected, rows = reading.expected, reading.stats.received
    if not expected or not rate or rows >= expected:
        return ""
    return f"{timedelta(seconds=int((expected - rows) / rate))} left"


@contextmanager
def _nothing_else_written(console: Console) -> Iterator[None]:
    """Keep what is not the console's out of its terminal within the block.

    What runs print is in Dagster's logs of the run, but processes that Dagster starts to copy it
    would write there as well, and a traceback each at Ctrl-C, which the terminal sends to all.
    """
    if _number_of(console.file) in (None, *STANDARD):
        yield
        return
    with ExitStack() as restored, open(os.devnull, "w") as nowhere:  # noqa: PTH123
        for number, stream in zip(STANDARD, (sys.stdout, sys.stderr), strict=True):
            stream.flush()
            kept = os.dup(number)
            restored.callback(os.close, kept)
            restored.callback(os.dup2, kept, number)
            os.dup2(nowhere.fileno(), number)
            restored.callback(stream.flush)
        yield


@contextmanager
def _every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Call `action` again and again within the block, from a thread of its own."""
    enough = Event()

    def repeat() -> None:
        while not enough.wait(seconds):
            action()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


class _Lines(logging.Handler):
    """Prints what is logged, one line each."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        message = Text(record.getMessage(), "yellow")
        if self._console.is_terminal:
            self._console.print(Padding(message, (0, 0, 0, 2), expand=False))
        else:
            self._console.print(Text("  ").append_text(message), soft_wrap=True)


@contextmanager
def _warnings_shown(console: Console) -> Iterator[None]:
    """Show the project's own warnings within the block."""
    handler, logger = _Lines(console), logging.getLogger("link_assets")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
