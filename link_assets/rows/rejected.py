"""Rows that cannot be loaded: kept whole as JSON text, with the reason.

`links` and `clicks` reject rows; `source` loads the rejections into the table `rejected_rows`.
A reason says which field is at fault and how, and quotes no value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
import pyarrow as pa

from link_assets.contract import REJECTED_ROWS
from link_assets.rows.column_names import arrow_schema
from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow

NOT_AN_OBJECT = "is not an object"

(REJECTED_ROW_ID,) = REJECTED_ROWS.primary_key

_SCHEMA = arrow_schema(REJECTED_ROWS)


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


def rejected_batch(
    resource: str, domain_id: int | None, rejections: Sequence[Rejection]
) -> pa.Table:
    """Return the rows of the table `rejected_rows` for the rejections of one page.

    A row gets the same id when its page comes again. Identical rows of the page are
    numbered, so that they stay apart.

    Args:
        resource: The table that the rows were meant for.
        domain_id: The domain they were fetched for; None for links.
        rejections: The rejected rows in their order.
    """
    seen: Counter[str] = Counter()
    rows = [
        {
            REJECTED_ROW_ID: _row_id(resource, domain_id, rejection.payload, seen),
            "resource": resource,
            "domain_id": domain_id,
            "reason": rejection.reason,
            "payload": rejection.payload,
        }
        for rejection in rejections
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def row_ids(rejected: pa.Table) -> list[str]:
    """Return the ids of the rows of a `rejected_batch`."""
    return rejected.column(REJECTED_ROW_ID).to_pylist()


def _row_id(resource: str, domain_id: int | None, payload: str, seen: Counter[str]) -> str:
    identity = msgspec.json.encode((resource, domain_id, payload, seen[payload]))
    seen[payload] += 1
    return blake2b(identity, digest_size=16).hexdigest()
