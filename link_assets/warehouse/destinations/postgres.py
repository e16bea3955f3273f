"""PostgreSQL as the warehouse: exact values, and machines that do not load the same at once.

`postgres_client.py` says how dlt's own client and destination are changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.destination import Destination

from link_assets.warehouse.destinations.base import Warehouse

if TYPE_CHECKING:
    from link_assets.warehouse.destinations.postgres_client import PostgresLoadClient


class PostgresWarehouse(Warehouse):
    """The PostgreSQL database that dlt's settings name."""

    def destination(self, pipeline: str) -> Destination[Any, Any]:
        """Return dlt's PostgreSQL destination, changed to keep every value as it is."""
        from link_assets.warehouse.destinations.postgres_client import exact_postgres

        layout = self.staging_layout(pipeline)
        return exact_postgres(destination_name=self.type, staging_dataset_name_layout=layout)

    @contextmanager
    def loading_alone(self, pipeline: dlt.Pipeline, seconds: float) -> Iterator[None]:
        """Hold a lock of the database within the block, and start with an empty staging dataset.

        Raises:
            TimeoutError: Another machine held it for longer than `seconds`.
        """
        client = cast("PostgresLoadClient", pipeline.destination_client())
        with client:
            client.load_alone(pipeline.pipeline_name, seconds)
            client.empty_staging()
            yield
