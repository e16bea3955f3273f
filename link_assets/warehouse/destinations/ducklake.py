"""DuckLake as the warehouse: a catalog in PostgreSQL, and Parquet files that all machines see.

Machines fetch side by side and write one after the other: a load holds a lock of the catalog's
database. `ducklake_client.py` says how dlt's own client and destination are changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.destination import Destination
from dlt.destinations.sql_client import SqlClientBase

from link_assets.settings import environment_name
from link_assets.warehouse.destinations.base import OpenWarehouse, Warehouse
from link_assets.warehouse.destinations.duckdb import message_about_names
from link_assets.warehouse.destinations.postgres import message_of_postgres
from link_assets.warehouse.errors import root_cause

if TYPE_CHECKING:
    from link_assets.warehouse.destinations.ducklake_client import (
        LakeCredentials,
        LakeSqlClient,
    )

LOADS = "loads"
"""The lock that every load holds."""
FILES = environment_name("destination.ducklake.credentials.storage.bucket_url")
OTHER_FILES = re.compile('does not match existing data path in the catalog "([^"]*)"')
"""What DuckDB says if a catalog knows another place for files than the settings: the known one."""


class DuckLakeWarehouse(Warehouse):
    """The lake whose catalog and storage dlt's settings name."""

    loader_file_format = "parquet"

    @property
    def uri(self) -> str:
        """Return the catalog's host, port and database."""
        at = self._credentials().catalog
        return f"ducklake:postgresql://{at.host}:{at.port or 5432}/{at.database}"

    def destination(self, staging: str) -> Destination[Any, Any]:
        """Return dlt's DuckLake destination; loads write in turn and so share its staging."""
        from link_assets.warehouse.destinations.ducklake_client import locked_ducklake

        return locked_ducklake(destination_name=self.type)

    @contextmanager
    def open(self) -> Iterator[OpenWarehouse]:
        """Keep the lake attached for all of dlt's clients in this process."""
        with self.dataset().sql_client:
            yield OpenWarehouse()

    @contextmanager
    def loading_alone(
        self, pipeline: dlt.Pipeline, parts: Sequence[str], seconds: float
    ) -> Iterator[None]:
        """Keep all other machines from loading within the block.

        Raises:
            TimeoutError: Another machine was still at it after `seconds`.
        """
        client = cast("LakeSqlClient", pipeline.sql_client())
        with client.catalog_lock(LOADS, seconds):
            yield

    @contextmanager
    def loads_kept_out(self, seconds: float) -> Iterator[None]:
        """Hold the lock of all loads: no two transactions can change a file of a lake.

        Raises:
            TimeoutError: Another machine held it for longer than `seconds`.
        """
        client = cast("LakeSqlClient", self.dataset().sql_client)
        with client.catalog_lock(LOADS, seconds):
            yield

    def writing_alone(self, client: SqlClientBase[Any], table: str, seconds: float) -> None:
        """Keep other machines from replacing rows of a table until the client's transaction ends.

        Raises:
            TimeoutError: Another machine was still at it after `seconds`.
        """
        lake = cast("LakeSqlClient", client)
        lake.hold(lake.catalog_lock(f"rows of {table}", seconds))

    def message_without_values(self, error: BaseException) -> str | None:
        """Return the message of an error about names, files or transactions, or of the catalog."""
        return message_about_names(error) or message_of_postgres(error)

    def advice(self, error: BaseException) -> str | None:
        """Return how to get DuckDB's extensions, or which place for files the catalog knows."""
        text = str(root_cause(error))
        if known := OTHER_FILES.search(text):
            return f"The catalog's files are in {known[1]}: set {FILES} to that."
        if "xtension" not in text:
            return None
        extensions = self._credentials().extensions_needed
        if not any(f"'{name}'" in text or f"{name}.duckdb_ext" in text for name in extensions):
            return None
        import duckdb

        return (
            f"DuckDB {duckdb.__version__} needs its extensions {', '.join(extensions)}, made for "
            "this version: install link-assets[ducklake], and link-assets[s3] for files in S3, "
            "which bring a DuckDB with them, or have DuckDB download them (docs/warehouses.md)."
        )

    def _credentials(self) -> LakeCredentials:
        return cast("LakeCredentials", self.dataset().destination_client.config.credentials)
