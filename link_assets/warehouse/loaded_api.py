"""Which API the rows of the warehouse come from, as the last load recorded it.

Each pipeline refuses to load another API than it did before; this is for those that are new.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DATASET, LINKS
from link_assets.warehouse.reader import Reader, reading

FIRST_API = "guide"
"""The only API that there was when states did not say it."""


def warehouse_api() -> str | None:
    """Return the name of the API that the links and clicks come from; None if there are none."""
    with reading() as reader:
        if not (_has_rows(reader, LINKS.name) or _has_rows(reader, CLICKS.name)):
            return None
        # all pipelines record the same one, so the last state is as good as any
        states = reader.rows(
            "SELECT state FROM {dataset}._dlt_pipeline_state ORDER BY created_at DESC LIMIT 1"
        )
    return _api_of(decompress_state(states[0][0])) if states else None


def _has_rows(reader: Reader, table: str) -> bool:
    with suppress(DatabaseUndefinedRelation):
        return bool(reader.rows(f"SELECT 1 FROM {{dataset}}.{table} LIMIT 1"))
    return False


def _api_of(state: Any) -> str:
    source = state.get("sources", {}).get(DATASET, {})
    clicks = source.get("resources", {}).get(CLICKS.name, {})
    return source.get("api") or clicks.get("api") or FIRST_API
