"""The choice of the warehouse, by dlt's setting `destination_type`.

This is the only place that knows which warehouses there are. Everything else asks the object that
`configured_warehouse` returns.
"""

from __future__ import annotations

import dlt

from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.destinations.duckdb import DuckDbWarehouse
from link_assets.warehouse.destinations.postgres import PostgresWarehouse

DEFAULT_TYPE = "duckdb"
WAREHOUSES: dict[str, type[Warehouse]] = {
    "duckdb": DuckDbWarehouse,
    "postgres": PostgresWarehouse,
}
"""By type of dlt's destination, what is particular to it; any other is a plain `Warehouse`."""


def destination_type() -> str:
    """Return the configured destination's type as dlt names it; DuckDB if none is configured."""
    return (dlt.config.get("destination_type", str) or DEFAULT_TYPE).rpartition(".")[2]


def configured_warehouse() -> Warehouse:
    """Return the warehouse that is configured now.

    Raises:
        SettingsError: The settings cannot be those of such a warehouse.
    """
    name = destination_type()
    return WAREHOUSES.get(name, Warehouse)(name)
