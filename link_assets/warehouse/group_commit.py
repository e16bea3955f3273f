"""Loads in which the chunks of many domains are written together: group commit.

While one load is written, the chunks that domains have finished wait, and the next load takes all
of them: one dlt load, one merge. Each chunk brings the position of its domain (`positions`). What a
chunk holds is up to the source; this module puts chunks in order, and keeps the trouble of one from
the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from threading import Condition
from typing import Any, Generic, Protocol, Self, TypeVar

from dlt.extract import DltSource

from link_assets.contract import CLICKS
from link_assets.settings import SettingsError
from link_assets.warehouse.errors import (
    ConcurrentWriteError,
    OutOfMemory,
    WarehouseBusy,
    WarehouseUnusable,
    find_cause,
)
from link_assets.warehouse.pipeline import WarehousePipeline, WriteSeconds, open_pipeline
from link_assets.warehouse.positions import Position, positions_resource, require_positions

GATHER_SECONDS = 1.0
"""How long a small chunk waits for others that are being fetched, so that it shares their load."""
GATHER_ROWS = 10_000
"""How many rows are worth a load of their own, with nothing to wait for."""
UNDIVIDED = (WarehouseBusy, WarehouseUnusable, SettingsError)
"""Errors that any part of a group would meet again, after as long a wait."""


class Chunk(Protocol):
    """What a domain has fetched: `rows` of it, and the `state` to go on from, None for a part."""

    @property
    def domain_id(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def state(self) -> Mapping[str, Any] | None: ...
    def halves(self) -> tuple[Self, Self] | None: ...
    def discard(self) -> None: ...


C = TypeVar("C", bound=Chunk)


@dataclass(frozen=True)
class _Waiting(Generic[C]):
    """A chunk that waits to be written after the position of this number."""

    chunk: C
    number: int
    since: float = field(default_factory=time.monotonic)
    written: Future[WriteSeconds] = field(default_factory=Future)


class GroupCommit(Generic[C]):
    """Writes the chunks of domains, those that wait at the same time in one load.

    Safe to call from several threads. Used as a context: when it is left, all chunks are written.

    Args:
        make_source: Makes the dlt source of chunks of different domains.
        rows: How many rows a load takes, unless a single chunk has more.
    """

    def __init__(self, make_source: Callable[[Sequence[C]], DltSource], rows: int) -> None:
        self._make_source = make_source
        self._rows = rows
        self._waiting: list[_Waiting[C]] = []
        self._fetching = 0
        self._changed = Condition()
        self._writer = ThreadPoolExecutor(1, "write")
        self._opened = ExitStack()
        self._pipeline: WarehousePipeline | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.shutdown()
        self._close()

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Note that a chunk is fetched within the block, for which small ones may wait."""
        with self._changed:
            self._fetching += 1
        try:
            yield
        finally:
            with self._changed:
                self._fetching -= 1
                self._changed.notify()

    def write(self, chunk: C, number: int) -> Future[WriteSeconds]:
        """Have a chunk written with those that wait; return how long it waited and was written.

        Give a domain's next chunk only when this one is written. The future raises what writing
        this chunk failed with: ConcurrentWriteError if another run has written since the position
        of this `number`, whatever else as `WarehousePipeline.load`.
        """
        waiting = _Waiting(chunk, number)
        with self._changed:
            self._waiting.append(waiting)
            self._changed.notify()
        self._writer.submit(self._write_waiting)
        return waiting.written

    def _write_waiting(self) -> None:
        """Write what waits, if an earlier call has not, as far as it fits into one load."""
        group = self._take()
        try:
            if group:
                self._write(group)
        finally:  # a thread that waits for a chunk must not wait for ever
            self._fail([w for w in group if not w.written.done()], RuntimeError("writing stopped"))

    def _take(self) -> list[_Waiting[C]]:
        """Take the chunks of the next load, once there is no more to wait for."""
        with self._changed:
            for first in self._waiting[:1]:
                until = first.since + GATHER_SECONDS - time.monotonic()
                self._changed.wait_for(self._is_enough, until)
            rows = [*accumulate(w.chunk.rows for w in self._waiting)]
            count = max(1, sum(total <= self._rows for total in rows))
            group, self._waiting = self._waiting[:count], self._waiting[count:]
            return group

    def _is_enough(self) -> bool:
        return not self._fetching or sum(w.chunk.rows for w in self._waiting) >= GATHER_ROWS

    def _write(self, group: Sequence[_Waiting[C]]) -> None:
        """Write a group and settle the future of each of its chunks."""
        try:
            seconds = self._load(group)
        except ConcurrentWriteError as error:
            self._close()
            overtaken = [w for w in group if w.chunk.domain_id in error.domains]
            self._fail(overtaken, error)
            if others := [w for w in group if w not in overtaken]:
                self._write(others)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the chunk raises it
            self._close()  # dlt keeps what it could not load
            self._divide(group, error)
        else:
            for waiting in group:
                waiting.chunk.discard()
                waited = time.monotonic() - waiting.since - seconds
                waiting.written.set_result(WriteSeconds(waited, seconds))

    def _load(self, group: Sequence[_Waiting[C]]) -> float:
        """Write a group in one load; return how many seconds it was written."""
        pipeline = self._pipeline or self._open()
        source = self._make_source([w.chunk for w in group])
        next_ones = {
            w.chunk.domain_id: Position(w.number + 1, w.chunk.state)
            for w in group
            if w.chunk.state is not None
        }
        source.resources.add(positions_resource(next_ones))
        expected = {w.chunk.domain_id: w.number for w in group}
        alone = [f"{CLICKS.name}_{domain}" for domain in expected]
        before = pipeline.seconds.writing
        pipeline.load(source, alone, partial(require_positions, expected=expected))
        return pipeline.seconds.writing - before

    def _divide(self, group: Sequence[_Waiting[C]], error: BaseException) -> None:
        """Write a group that failed in two parts, so that a chunk's trouble stays its own.

        A single chunk is divided if the warehouse lacks memory for it.
        """
        is_known = any(find_cause(error, kind) for kind in UNDIVIDED)
        if len(group) > 1 and not is_known:
            middle = len(group) // 2
            self._write(group[:middle])
            self._write(group[middle:])
        elif len(group) == 1 and find_cause(error, OutOfMemory):
            self._halve(group[0], error)
        else:
            self._fail(group, error)

    def _halve(self, waiting: _Waiting[C], error: BaseException) -> None:
        halves = waiting.chunk.halves()
        if halves is None:
            self._fail([waiting], error)
            return
        first = _Waiting(halves[0], waiting.number)
        self._write([first])
        if failure := first.written.exception():
            self._fail([waiting], failure)
        else:
            self._write([replace(waiting, chunk=halves[1])])

    def _fail(self, group: Sequence[_Waiting[C]], error: BaseException) -> None:
        for waiting in group:
            waiting.chunk.discard()
            waiting.written.set_exception(error)

    def _open(self) -> WarehousePipeline:
        # its own for each machine: loads of different domains do not wait for each other
        self._pipeline = self._opened.enter_context(open_pipeline(CLICKS.name, by_machine=True))
        self._pipeline.restore()
        return self._pipeline

    def _close(self) -> None:
        self._pipeline = None
        self._opened.close()


class DomainChunks(Generic[C]):
    """The chunks of one domain, in order, of which one is written while the next is fetched.

    Used as a context: it is left when all are written, and raises what that failed with.

    Args:
        commits: What writes them.
        number: That of the position from which the first chunk goes on.
        fetch: Fetches the next chunk.
    """

    def __init__(self, commits: GroupCommit[C], number: int, fetch: Callable[[], C]) -> None:
        self.count = 0
        """How many chunks were fetched."""
        self.seconds = WriteSeconds()
        """How long chunks waited and were written, complete when the context is left."""
        self._commits = commits
        self._number = number
        self._fetch = fetch
        self._written: Future[WriteSeconds] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.wait()

    def load(self) -> None:
        """Fetch a chunk; return when the one before it is written and this one waits.

        Raises what writing the chunk before failed with, or else what fetching did.
        """
        try:
            with self._commits.fetching():
                chunk = self._fetch()
        finally:
            self.wait()
        self._written = self._commits.write(chunk, self._number)
        self._number += 1
        self.count += 1

    def wait(self) -> None:
        """Wait until the chunks that were fetched are written; raise what that failed with."""
        written, self._written = self._written, None
        if written:
            seconds = written.result()
            self.seconds.waiting += seconds.waiting
            self.seconds.writing += seconds.writing
