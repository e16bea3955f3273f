"""Whether pages go on bringing rows that none before them brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_rows


class News:
    """Counts pages in a row without a new row, for a few bytes a page.

    Of a page only the first row is looked at, unless that came first on a page before: then the
    page counts as new once for all of its rows together. Rows are the same if they agree in what
    they are `known_by`, so that a row that is revised again and again is no news.
    """

    def __init__(self) -> None:
        self.pages_without = 0
        self._first_rows: set[int] = set()
        self._pages: set[int] = set()

    def look_at(self, rows: Sequence[RawRow | DamagedRow], known_by: Sequence[str]) -> None:
        """Notes the next page."""
        self.pages_without = 0 if self._has_news(rows, known_by) else self.pages_without + 1

    def _has_news(self, rows: Sequence[RawRow | DamagedRow], known_by: Sequence[str]) -> bool:
        if not rows:
            return False
        first = _digest(parse_rows(rows[:1])[0], known_by)
        if _add(self._first_rows, first):
            return True
        digests = frozenset(_digest(row, known_by) for row in parse_rows(rows))
        return _add(self._pages, hash(digests))


def _add(known: set[int], digest: int) -> bool:
    """Whether the digest was not known."""
    if digest in known:
        return False
    known.add(digest)
    return True


def _digest(row: Any, known_by: Sequence[str]) -> int:
    value = row.value if isinstance(row, DamagedRow) else row
    facts = [value.get(name) for name in known_by] if isinstance(value, dict) else []
    return hash(json_text(value if not any(facts) else facts))
