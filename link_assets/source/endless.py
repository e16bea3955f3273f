"""Notices listings that go on and on without a row that none of their pages had before.

`paging` looks at each page with it. Nothing of a row is kept but hashes: a few bytes a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_rows


class NewRows:
    """Counts pages in a row that bring no new row.

    A page is new if its first row was not the first row of an earlier page, or else if this set of
    rows has not come before. Rows are the same if they agree in the fields of their identity, so
    that a row that is revised again and again is not new.
    """

    def __init__(self) -> None:
        self.pages_without = 0
        self._first_rows: set[int] = set()
        self._pages: set[int] = set()

    def look_at(self, rows: Sequence[RawRow | DamagedRow], identity: Sequence[str]) -> None:
        """Count the next page."""
        self.pages_without = 0 if self._has_new(rows, identity) else self.pages_without + 1

    def _has_new(self, rows: Sequence[RawRow | DamagedRow], identity: Sequence[str]) -> bool:
        if not rows:
            return False
        first = _digest(parse_rows(rows[:1])[0], identity)
        if _add(self._first_rows, first):
            return True
        digests = frozenset(_digest(row, identity) for row in parse_rows(rows))
        return _add(self._pages, hash(digests))


def _add(known: set[int], digest: int) -> bool:
    """Add a digest; return whether it was not known."""
    if digest in known:
        return False
    known.add(digest)
    return True


def _digest(row: Any, identity: Sequence[str]) -> int:
    value = row.value if isinstance(row, DamagedRow) else row
    facts = [value.get(name) for name in identity] if isinstance(value, dict) else []
    return hash(json_text(value if not any(facts) else facts))
