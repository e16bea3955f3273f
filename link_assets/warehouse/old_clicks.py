"""Clicks that are old enough to be deleted; the rows of their days in `daily_clicks` stay.

Such a day is marked in the same transaction, and never computed again: not when its clicks are
gone, and not when some of them come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase

from link_assets.contract import CLICKS, DAILY_CLICKS
from link_assets.settings import location_settings
from link_assets.warehouse.access import busy
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import midnight

DELETING = "deleting old clicks"
DAYS = f"{{dataset}}.{DAILY_CLICKS.name}"
DELETED_DAYS = f"SELECT domain_id, day FROM {DAYS} WHERE clicks_deleted"
"""The SQL of the days whose clicks were deleted."""


def delete_clicks(client: SqlJobClientBase, among: str, first_kept: date) -> Mapping[int, int]:
    """Delete the clicks of days (UTC) before one; return by domain how many there were.

    Args:
        client: An open client, with the warehouse held.
        among: The SQL condition of the domains. Their days have been computed.
        first_kept: The first day whose clicks stay.

    Raises:
        WarehouseBusy: Other machines wrote for too long.
    """
    old = f"{among} AND dt < {midnight(first_kept)}"
    with client.sql_client.begin_transaction():
        hold(client.sql_client, CLICKS.name, DELETING)
        reader = Reader(client.sql_client)
        count = f"SELECT domain_id, count(*) FROM {{dataset}}.{CLICKS.name} WHERE {old}"
        deleted = dict(map(tuple, reader.rows(f"{count} GROUP BY domain_id")))
        if deleted:
            days = f"{among} AND day < '{first_kept.isoformat()}' AND clicks_deleted IS NOT TRUE"
            reader.run(f"UPDATE {DAYS} SET clicks_deleted = TRUE WHERE {days}")
            reader.run(f"DELETE FROM {{dataset}}.{CLICKS.name} WHERE {old}")
    return deleted


def has_deleted_days(reader: Reader) -> bool:
    """Return whether there are days whose clicks were deleted; the table may be an older one."""
    if "clicks_deleted" not in reader.columns(DAILY_CLICKS.name):
        return False
    return bool(reader.rows(f"{DELETED_DAYS} LIMIT 1"))


def hold(client: SqlClientBase[Any], table: str, purpose: str) -> None:
    """Keep other machines from replacing rows of a table until the client's transaction ends.

    Raises:
        WarehouseBusy: They wrote for too long.
    """
    seconds = location_settings().lock_timeout_seconds
    try:
        configured_warehouse().writing_alone(client, table, seconds)
    except TimeoutError:
        raise busy(seconds, purpose, "another run or machine") from None
