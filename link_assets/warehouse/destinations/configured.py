"""The choice of the warehouse, by dlt's setting `destination_type`.

This is the only place that knows which warehouses there are. Everything else asks the object that
`configured_warehouse` returns.
"""

from __future__ import annotations

import dlt

from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.destinations.duckdb import DuckDbWarehouse
from link_assets.warehouse.destinations.ducklake import DuckLakeWarehouse
from link_assets.warehouse.destinations.layouts import LAYOUTS, LaidOutWarehouse
from link_assets.warehouse.destinations.postgres import PostgresWarehouse
from link_assets.warehouse.destinations.refused import SETTING, refusal

DEFAULT_TYPE = "duckdb"
NOT_RUN = ("motherduck", "snowflake", "bigquery", "databricks", "redshift", "clickhouse")
"""Types that dlt merges into and that were never run: docs/warehouses.md says what was checked."""
WAREHOUSES: dict[str, type[Warehouse]] = {
    "duckdb": DuckDbWarehouse,
    "postgres": PostgresWarehouse,
    "ducklake": DuckLakeWarehouse,
    **dict.fromkeys(NOT_RUN, Warehouse),
    **dict.fromkeys(LAYOUTS, LaidOutWarehouse),
}
"""By type of dlt's destination, what is particular to it; all others are refused."""


def destination_type() -> str:
    """Return the configured destination's type as dlt names it; DuckDB if none is configured.

    Raises:
        SettingsError: It cannot be a warehouse; the message says why.
    """
    name = (dlt.config.get(SETTING, str) or DEFAULT_TYPE).rpartition(".")[2]
    if name not in WAREHOUSES:
        raise refusal(name, WAREHOUSES)
    return name


def configured_warehouse() -> Warehouse:
    """Return the warehouse that is configured now.

    Raises:
        SettingsError: The settings cannot be those of a warehouse.
    """
    name = destination_type()
    return WAREHOUSES[name](name)
