"""Knows which rejected rows have come before, so that a row on two pages counts once.

`resume` and `transforms` ask it for each batch. It remembers ids only, and no more than REMEMBERED.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

REMEMBERED = 20_000
"""How many rejected rows, the latest, are known when they come again."""


class RejectedIds:
    """The ids of the latest rejected rows of a listing."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, row_ids: Iterable[str]) -> int:
        """Remember rows, and return how many of them are new."""
        before = len(self._ids)
        self._ids.update(dict.fromkeys(row_ids))
        new = len(self._ids) - before
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return new

    def latest(self, count: int) -> list[str]:
        """Return the ids of the rows that were rejected last."""
        return list(self._ids)[-count:]
