"""What is being read right now, for whoever runs loads in this process and shows them.

A load says with `shown` what it reads, and who runs it may watch with `watched_by`; the rows and
pages are those that the load counts anyway. Nobody has to watch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from link_assets.source.load_stats import LoadStats
from link_assets.warehouse.row_counts import ClickCount


@dataclass(frozen=True, eq=False)
class Reading:
    """One listing that is being read; `stats` change meanwhile.

    `domain` is None for a listing of all domains. `name` is what people call it, and `before` the
    clicks of the domain that the warehouse had, None where that does not tell how many will come.
    """

    name: str
    stats: LoadStats
    domain: str | None = None
    before: ClickCount | None = None

    @property
    def expected(self) -> int | None:
        """Return about how many rows will come; None if that is not known.

        They are those that the warehouse has of the time that is read; new ones come on top.
        """
        if not self.before or self.stats.resumed_from:
            return None
        known = self.before.total - (self.before.old if self.stats.since else 0)
        return known or None


class Watcher(Protocol):
    """Is told which listings are read; called from several threads."""

    def begun(self, reading: Reading) -> None:
        """Take note of a listing that begins to be read."""

    def ended(self, reading: Reading) -> None:
        """Take note that it is no longer read, to its end or not."""


class Nobody:
    """The watcher of a run that nobody watches, such as one that Dagster's daemon started."""

    def begun(self, reading: Reading) -> None:
        """Do nothing."""

    def ended(self, reading: Reading) -> None:
        """Do nothing."""


_WATCHER: ContextVar[Watcher | None] = ContextVar("link_assets_watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Have loads that this thread runs within the block tell this watcher what they read."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def current_watcher() -> Watcher:
    """Return who watches the loads of this thread; threads that a load starts are given it."""
    return _WATCHER.get() or Nobody()


@contextmanager
def shown(reading: Reading, watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of a listing that is read within the block."""
    watcher.begun(reading)
    try:
        yield
    finally:
        watcher.ended(reading)
