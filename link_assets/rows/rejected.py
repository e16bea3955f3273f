"""Rows that cannot be loaded: kept whole as JSON text, with the reason.

`links` and `clicks` reject rows; `rejected_arrow` makes the table of them that `source` loads.
A reason says which field is at fault and how, and quotes no value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow

NOT_AN_OBJECT = "is not an object"


@dataclass(frozen=True)
class Rejection:
    """A row that is not loaded, as JSON text, and the reason, which quotes no value of it."""

    reason: str
    payload: str


def reject(row: Any, reasons: Iterable[str]) -> Rejection:
    """Return the rejection of a row, in texts that every warehouse can hold."""
    # a field's name may hold half a surrogate pair, and NUL
    reason = "; ".join(reasons).encode(errors="backslashreplace").decode()
    content = row.value if isinstance(row, DamagedRow) else row
    return Rejection(reason.replace("\0", "\\u0000"), json_text(content))


def unusable(row: Any) -> str:
    """Return why a row that is not a JSON object is rejected."""
    return row.reason if isinstance(row, DamagedRow) else NOT_AN_OBJECT
