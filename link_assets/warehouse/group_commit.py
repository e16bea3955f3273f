"""Which chunks are written together: group commit.

While one load is written, the chunks that domains have finished wait, and the next load takes all
of them: one dlt load, one merge (`group_load`). Each chunk brings the position of its domain
(`positions`). What a chunk holds is up to the source; this module puts chunks in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import Generic, Self

from dlt.extract import DltSource

from link_assets.warehouse.group_load import C, GroupLoads, Waiting
from link_assets.warehouse.pipeline import WriteSeconds

GATHER_SECONDS = 1.0
"""How long a small chunk waits for others that are being fetched, so that it shares their load."""
LAST_PAGES = 1.1
"""How much more rows than it was to have a load takes: each domain ends with a page."""


class GroupCommit(Generic[C]):
    """Writes the chunks of domains, those that wait at the same time in one load.

    Safe to call from several threads. Used as a context: when it is left, all chunks are written.
    Left by an exception, it writes only what it is writing.

    Args:
        make_source: Makes the dlt source of chunks of different domains.
        rows: About how many rows a load takes, unless a single chunk has more.
    """

    def __init__(self, make_source: Callable[[Sequence[C]], DltSource], rows: int) -> None:
        self._loads = GroupLoads(make_source)
        self._rows = rows
        self._waiting: list[Waiting[C]] = []
        self._fetching = 0
        self._changed = Condition()
        self._writer = ThreadPoolExecutor(1, "write")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind:
            self._fail_waiting(InterruptedError("the run was stopped before this was written"))
        self._writer.shutdown()
        self._loads.close()

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

        The future raises what writing this chunk failed with: ConcurrentWriteError if another run
        has written since the position of this `number`, whatever else as `WarehousePipeline.load`.
        """
        waiting = Waiting(chunk, number)
        with self._changed:
            self._waiting.append(waiting)
            self._changed.notify()
        self._writer.submit(self._write_waiting)
        return waiting.written

    def _write_waiting(self) -> None:
        """Write what waits, if an earlier call has not, as far as it fits into one load."""
        group = self._take()
        try:
            if group and (common := self._loads.write(group)):
                self._fail_waiting(common)
        except BaseException as error:  # noqa: BLE001 - else who waits for a chunk would for ever
            for waiting in group:
                if not waiting.written.done():
                    waiting.fail(error)

    def _take(self) -> list[Waiting[C]]:
        """Take the chunks of the next load, once there is no more to wait for."""
        with self._changed:
            if self._waiting:
                until = self._waiting[0].since + GATHER_SECONDS - time.monotonic()
                self._changed.wait_for(self._is_enough, until)
            group, rows = list[Waiting[C]](), 0
            for waiting in self._waiting:
                rows += waiting.chunk.rows
                domains = {w.chunk.domain_id for w in group}
                # of two chunks of a domain the second cannot go on from where it was to begin
                is_full = rows > self._rows * LAST_PAGES
                if group and (is_full or waiting.chunk.domain_id in domains):
                    break
                group.append(waiting)
            del self._waiting[: len(group)]
            return group

    def _is_enough(self) -> bool:
        nothing_to_wait_for = not self._fetching or not self._waiting
        rows = sum(w.chunk.rows for w in self._waiting)
        return nothing_to_wait_for or rows >= self._rows

    def _fail_waiting(self, error: BaseException) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, []
            self._changed.notify()
        for chunk in waiting:
            chunk.fail(error)


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
                if not self._written or self._written.done():
                    # before the block ends: else a load could leave without the chunk
                    self._write(chunk)
                    return
        except BaseException:
            self.wait()
            raise
        self._write(chunk)

    def _write(self, chunk: C) -> None:
        """Have a chunk written, once the one before it is."""
        try:
            self.wait()
        except BaseException:
            chunk.discard()
            raise
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
