"""Rows that could not be loaded: kept whole, with the reason."""

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

_SCHEMA = arrow_schema(REJECTED_ROWS)


@dataclass(frozen=True)
class Rejection:
    """One row as JSON text, and why it was not loaded. The reason quotes none of its values."""

    reason: str
    payload: str


def reject(row: Any, reasons: Iterable[str]) -> Rejection:
    """Make the rejection of `row`, with texts that every warehouse can hold, whatever the row's."""
    # names of fields may hold half a surrogate pair, and NUL
    reason = "; ".join(reasons).encode(errors="backslashreplace").decode()
    content = row.value if isinstance(row, DamagedRow) else row
    return Rejection(reason.replace("\0", "\\u0000"), json_text(content))


def unusable(row: Any) -> str:
    """Why a row that is no JSON object is rejected."""
    return row.reason if isinstance(row, DamagedRow) else NOT_AN_OBJECT


def rejected_batch(
    resource: str, domain_id: int | None, rejections: Sequence[Rejection]
) -> pa.Table:
    """One `rejected_rows` row for each rejection.

    A row gets the same `row_id` when its page comes again; identical rows of a page are told apart
    by their number.
    """
    seen: Counter[str] = Counter()
    rows = [
        {
            "row_id": _row_id(resource, domain_id, rejection.payload, seen),
            "resource": resource,
            "domain_id": domain_id,
            "reason": rejection.reason,
            "payload": rejection.payload,
        }
        for rejection in rejections
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def row_ids(rejected: pa.Table) -> list[str]:
    """Return the ids of a batch's rows."""
    return rejected.column("row_id").to_pylist()


def _row_id(resource: str, domain_id: int | None, payload: str, seen: Counter[str]) -> str:
    identity = msgspec.json.encode((resource, domain_id, payload, seen[payload]))
    seen[payload] += 1
    return blake2b(identity, digest_size=16).hexdigest()
