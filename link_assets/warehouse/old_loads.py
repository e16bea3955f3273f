"""dlt's records of loads, `_dlt_loads`, which get a row with every load and are never deleted."""

from __future__ import annotations

from datetime import UTC, datetime

from link_assets.warehouse.access import without_loads
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.link_join import missing_tables
from link_assets.warehouse.positions import TABLE as POSITIONS
from link_assets.warehouse.process import prepare_process
from link_assets.warehouse.reader import Reader

LOADS = "_dlt_loads"
BELIEVED_BY = (POSITIONS, "_dlt_pipeline_state")
"""Tables whose rows count only while their load is recorded."""
PURPOSE = "deleting records of old loads"


def delete_old_loads(before: datetime) -> int:
    """Delete the records of loads that ended before a time; return how many there were.

    The records of loads stay that where a domain stands, or a pipeline's state, is known by.

    Raises:
        WarehouseBusy: The warehouse was not free in time.
    """
    prepare_process()
    warehouse = configured_warehouse()
    if not warehouse.exists():
        return 0
    with without_loads(PURPOSE) as opened, warehouse.dataset().sql_client as client:
        missing = missing_tables(Reader(client, opened), LOADS, *BELIEVED_BY)
        if LOADS in missing:
            return 0
        needed = [table for table in BELIEVED_BY if table not in missing]
        with client.begin_transaction():
            return _delete(Reader(client), before, needed)


def _delete(reader: Reader, before: datetime, needed: list[str]) -> int:
    old = f"inserted_at < '{before.astimezone(UTC).isoformat()}'"
    for table in needed:
        old += f" AND load_id NOT IN (SELECT _dlt_load_id FROM {{dataset}}.{table})"
    ((loads,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{LOADS} WHERE {old}")
    reader.run(f"DELETE FROM {{dataset}}.{LOADS} WHERE {old}")
    return loads
