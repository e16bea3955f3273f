"""How warehouses that were never run store clicks: by domain and time, as merges and checks ask."""

from __future__ import annotations

from collections.abc import Mapping

from dlt.extract import DltSource

from link_assets.contract import CLICKS
from link_assets.warehouse.destinations.base import Warehouse

LAYOUTS: Mapping[str, Mapping[str, str]] = {
    "bigquery": {"dt": "partition", "domain_id": "cluster"},
    "databricks": {"domain_id": "cluster", "dt": "cluster"},
    "snowflake": {"domain_id": "cluster", "dt": "cluster"},
}
"""By type of dlt's destination, dlt's hint for columns of clicks. It holds for new tables alone."""


class LaidOutWarehouse(Warehouse):
    """A warehouse of one of the types of LAYOUTS, which else is a plain one."""

    def adapt_source(self, source: DltSource) -> None:
        """Add the hints of the layout."""
        hints = LAYOUTS[self.type]
        if clicks := source.resources.get(CLICKS.name):
            clicks.apply_hints(columns=[{"name": n, hint: True} for n, hint in hints.items()])  # type: ignore[misc]
