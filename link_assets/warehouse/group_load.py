"""Writing a group of chunks in one dlt load, so that the trouble of one chunk stays its own.

`group_commit.py` says which chunks share a load. What fails here is divided: a domain that another
run has loaded is left out, one that another machine is loading comes last, any other failing group
is halved until the chunk that fails is alone, and a chunk that is too large for the memory is
written in parts. What every chunk would meet again, such as a server that is gone, is met once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

from dlt.destinations.exceptions import DestinationConnectionError
from dlt.extract import DltSource

from link_assets.contract import CLICKS
from link_assets.settings import SettingsError
from link_assets.warehouse.errors import (
    ConcurrentWriteError,
    HeldElsewhere,
    OutOfMemory,
    WarehouseBusy,
    WarehouseUnusable,
    disk_full,
    find_cause,
)
from link_assets.warehouse.pipeline import WarehousePipeline, WriteSeconds, open_pipeline
from link_assets.warehouse.positions import (
    FORMER_PIPELINE,
    Position,
    positions_resource,
    require_positions,
)

COMMON = (WarehouseBusy, WarehouseUnusable, SettingsError, DestinationConnectionError)
"""Errors that any chunk would meet, after as long a wait."""


class Chunk(Protocol):
    """What a domain has fetched: `rows` of it, and the `state` to go on from, None for a part."""

    @property
    def domain_id(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def state(self) -> Mapping[str, Any] | None: ...
    def halves(self) -> tuple[Self, Self] | None:
        """Return two chunks that take its place; None if there is nothing to divide."""
        ...

    def discard(self) -> None:
        """Give back the room that it takes; may be repeated."""
        ...


C = TypeVar("C", bound=Chunk)


@dataclass(frozen=True)
class Waiting(Generic[C]):
    """A chunk that waits, `since` a monotonic time, to be written after the position `number`."""

    chunk: C
    number: int
    since: float = field(default_factory=time.monotonic)
    written: Future[WriteSeconds] = field(default_factory=Future)

    def succeed(self, seconds: float) -> None:
        """Note that the chunk was written, which took so many seconds."""
        waited = time.monotonic() - self.since - seconds
        self.written.set_result(WriteSeconds(waited, seconds))
        self.chunk.discard()

    def fail(self, error: BaseException) -> None:
        """Note why the chunk was not written."""
        # first of all: whoever waits for it would wait for ever
        self.written.set_exception(error)
        self.chunk.discard()


class GroupLoads(Generic[C]):
    """Loads of groups, one after the other, by one thread.

    Args:
        make_source: Makes the dlt source of chunks of different domains.
    """

    def __init__(self, make_source: Callable[[Sequence[C]], DltSource]) -> None:
        self._make_source = make_source
        self._opened = ExitStack()
        self._pipeline: WarehousePipeline | None = None

    def write(self, group: Sequence[Waiting[C]]) -> BaseException | None:
        """Write chunks of different domains, and note in each what became of it.

        Returns:
            The error that any other chunk would meet as well, if there is one.
        """
        try:
            seconds = self._load(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits for a chunk raises it
            self.close()  # dlt keeps what it could not load
            return self._divide(group, error)
        for waiting in group:
            waiting.succeed(seconds)
        return None

    def close(self) -> None:
        """Close what is open; the next load opens it again."""
        self._pipeline = None
        self._opened.close()

    def _load(self, group: Sequence[Waiting[C]]) -> float:
        """Write a group in one load; return how many seconds it was written."""
        pipeline = self._pipeline or self._open()
        source = self._make_source([w.chunk for w in group])
        following = {
            w.chunk.domain_id: Position(w.number + 1, w.chunk.state)
            for w in group
            if w.chunk.state is not None
        }
        source.resources.add(positions_resource(following))
        expected = {w.chunk.domain_id: w.number for w in group}
        before = pipeline.seconds.writing
        pipeline.load(source, _parts(group), partial(require_positions, expected=expected))
        return pipeline.seconds.writing - before

    def _open(self) -> WarehousePipeline:
        # each machine stages by itself: loads of different domains do not wait for each other
        pipeline = self._opened.enter_context(open_pipeline(CLICKS.name, by_machine=True))
        pipeline.restore()
        self._pipeline = pipeline
        return pipeline

    def _divide(self, group: Sequence[Waiting[C]], error: BaseException) -> BaseException | None:
        """Deal with the error of a group; return what `write` does."""
        if isinstance(error, ConcurrentWriteError):
            overtaken, others = _divided(group, error.domains)
            _fail(overtaken, error)
            return self._write_each([others])
        if isinstance(error, HeldElsewhere):
            held = [w.chunk.domain_id for w in group if _part(w) in error.parts]
            waiting, others = _divided(group, held)
            return self._write_each([others, *([w] for w in waiting)])
        if any(find_cause(error, kind) for kind in COMMON) or disk_full(error):
            _fail(group, error)
            return error
        if len(group) > 1:
            middle = len(group) // 2
            return self._write_each([group[:middle], group[middle:]])
        return self._halve(group[0], error)

    def _write_each(self, groups: Iterable[Sequence[Waiting[C]]]) -> BaseException | None:
        common: BaseException | None = None
        for group in filter(None, groups):
            if common:
                _fail(group, common)
            else:
                common = self.write(group)
        return common

    def _halve(self, waiting: Waiting[C], error: BaseException) -> BaseException | None:
        """Write a chunk in two parts if it is too large for the memory; else it has failed."""
        halves = waiting.chunk.halves() if find_cause(error, OutOfMemory) else None
        if halves is None:
            waiting.fail(error)
            return None
        first = Waiting(halves[0], waiting.number)
        common = self.write([first])
        if failure := first.written.exception():
            halves[1].discard()
            waiting.fail(failure)
            return common
        return self.write([replace(waiting, chunk=halves[1])])


def _parts(group: Sequence[Waiting[C]]) -> list[str]:
    return [_part(waiting) for waiting in group]


def _part(waiting: Waiting[C]) -> str:
    """Return the name by which machines keep others from loading a domain, in all versions."""
    return f"{FORMER_PIPELINE}{waiting.chunk.domain_id}"


def _divided(
    group: Sequence[Waiting[C]], domains: Collection[int]
) -> tuple[list[Waiting[C]], list[Waiting[C]]]:
    """Return the chunks of these domains, and the others."""
    return (
        [w for w in group if w.chunk.domain_id in domains],
        [w for w in group if w.chunk.domain_id not in domains],
    )


def _fail(group: Sequence[Waiting[C]], error: BaseException) -> None:
    for waiting in group:
        waiting.fail(error)
