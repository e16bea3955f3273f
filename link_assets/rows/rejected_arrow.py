"""Rejected rows as an Arrow table, as `source` loads them into the table `rejected_rows`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import pyarrow as pa

from link_assets.contract import REJECTED_ROWS
from link_assets.rows.arrow_types import arrow_schema
from link_assets.rows.rejected import Rejection

(REJECTED_ROW_ID,) = REJECTED_ROWS.primary_key

_SCHEMA = arrow_schema(REJECTED_ROWS)


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
