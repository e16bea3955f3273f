"""Which API the rows of the warehouse come from, as the last load recorded it.

Links, and the clicks of each domain, refuse another API than they were loaded from before; this is
for those that are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DATASET, LINKS
from link_assets.warehouse.positions import api_of_positions
from link_assets.warehouse.reader import Reader, reading

FIRST_API = "guide"
"""The only API that there was when states did not say it."""


def warehouse_api() -> str | None:
    """Return the name of the API that the links and clicks come from; None if there are none."""
    with reading() as reader:
        if not (_has_rows(reader, LINKS.name) or _has_rows(reader, CLICKS.name)):
            return None
        # all loads record the same one, so any of them is as good
        if api := api_of_positions(reader):
            return api
        states = _rows_if_any(
            reader,
            "SELECT state FROM {dataset}._dlt_pipeline_state"
            f" WHERE pipeline_name <> '{DATASET}_{CLICKS.name}' ORDER BY created_at DESC LIMIT 1",
        )
    return _api_of(decompress_state(states[0][0])) if states else None


def _has_rows(reader: Reader, table: str) -> bool:
    return bool(_rows_if_any(reader, f"SELECT 1 FROM {{dataset}}.{table} LIMIT 1"))


def _rows_if_any(reader: Reader, query: str) -> Sequence[Sequence[Any]]:
    with suppress(DatabaseUndefinedRelation):
        return reader.rows(query)
    return ()


def _api_of(state: Any) -> str:
    source = state.get("sources", {}).get(DATASET, {})
    clicks = source.get("resources", {}).get(CLICKS.name, {})
    return source.get("api") or clicks.get("api") or FIRST_API
