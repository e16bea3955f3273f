"""A DuckDB file as the warehouse: one process has it open at a time, with little memory.

`duckdb_file.py` says where the file is, `duckdb_memory.py` how much memory DuckDB may take,
`duckdb_client.py` how dlt's own client and destination are changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltSource

from link_assets.contract import CLICKS, DATASET
from link_assets.settings import location_settings
from link_assets.warehouse.destinations.base import OpenWarehouse, Warehouse
from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets.warehouse.destinations.duckdb_memory import DuckDbMemory

_T = TypeVar("_T")


@dataclass(frozen=True)
class OpenDuckDb(OpenWarehouse):
    """A DuckDB file that this process has open, so that no other process changes it."""

    client: SqlClientBase[Any]
    memory: DuckDbMemory
    schemas: set[str] = field(default_factory=set)
    """Version hashes of the schemas whose tables are known to be there."""

    def run(self, purpose: str, action: Callable[[], _T]) -> _T:
        """Return what `action` returns; repeat it while it lacks memory and may have more."""
        return self.memory.enough_for(purpose, self.client, action)

    def complete_file(self) -> None:
        """Have the file hold what is still beside it."""
        self.client.execute_sql("CHECKPOINT")

    def drop_staging(self) -> None:
        """Drop what was staged in memory, and in the file, where earlier versions left it."""
        in_memory = self.client.fully_qualified_dataset_name(staging=True)
        # DuckDB takes the name of the file's database for that of the schema, but needs none
        in_file = self.client.escape_column_name(self.client.staging_dataset_name)
        for dataset in (in_memory, in_file):
            self.client.execute_sql(f"DROP SCHEMA IF EXISTS {dataset} CASCADE")

    def has_tables_of(self, schema_hash: str) -> bool:
        """Return whether they were there since the file was opened, so nobody can drop them."""
        return schema_hash in self.schemas

    def remember_tables_of(self, schema_hash: str) -> None:
        """Note that the tables of this version of a schema are there."""
        self.schemas.add(schema_hash)


@dataclass(frozen=True)
class DuckDbWarehouse(Warehouse):
    """The DuckDB file that the settings name.

    Raises:
        SettingsError: The settings give no file that can be a warehouse.
    """

    file: Path = field(default_factory=duckdb_path)

    # with INSERT statements, which are dlt's default, loading takes many times as long
    loader_file_format = "parquet"
    # DuckDB locks a file for a process that writes or reads it
    readers_need_lock = True

    @property
    def address(self) -> str:
        """Return the file's absolute path."""
        return str(self.file)

    @property
    def uri(self) -> str:
        """Return the file's absolute path as DuckDB's URI, such as SQLAlchemy takes."""
        return f"duckdb:///{self.file}"

    def require_settings(self) -> None:
        """Do nothing: the file's path is all that there is to set."""

    def exists(self) -> bool:
        """Return whether the file is there; DuckDB would make it to read it."""
        return self.file.exists()

    @property
    def file_to_copy(self) -> Path:
        """Return the file."""
        return self.file

    def is_copy(self, file: Path) -> bool:
        """Return whether a file is a DuckDB database with the dataset."""
        import duckdb

        query = "SELECT 1 FROM duckdb_schemas() WHERE schema_name = ? AND NOT internal"
        try:
            with duckdb.connect(file, read_only=True) as database:
                return bool(database.execute(query, [DATASET]).fetchall())
        except duckdb.Error:
            return False

    def add_in_copy(self, file: Path, table: str, column: str, number: int) -> None:
        """Add the number within the file, which is complete in itself afterwards."""
        import duckdb

        from link_assets.warehouse.destinations.duckdb_client import database_name

        query = "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
        with duckdb.connect(file) as database:
            if database.execute(query, [DATASET, table]).fetchall():
                name = f'"{database_name(str(file))}".{DATASET}.{table}'
                database.execute(f"UPDATE {name} SET {column} = {column} + {number}")
            database.execute("CHECKPOINT")

    def destination(self, staging: str) -> Destination[Any, Any]:
        """Return dlt's DuckDB destination; loads write in turn and so share its staging."""
        from link_assets.warehouse.destinations.duckdb_client import catalog_duckdb

        return catalog_duckdb(credentials=str(self.file), destination_name=self.type)

    def lock_file(self) -> Path:
        """Return the lock file beside the database, where every process that uses it looks."""
        with suppress(FileExistsError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        return self.file.with_name(self.file.name + ".lock")

    def message_without_values(self, error: BaseException) -> str | None:
        """Return the message of an error about names, files or transactions."""
        return message_about_names(error)

    @contextmanager
    def open(self) -> Iterator[OpenDuckDb]:
        """Open the file for all of dlt's clients in this process; else each would open it anew.

        Raises:
            OpenElsewhere: Another program has the file open.
        """
        from link_assets.warehouse.destinations.duckdb_client import ATTACH_STAGING, open_elsewhere

        client = self._dataset.sql_client
        try:
            client.open_connection()
        except DestinationException as error:
            if elsewhere := open_elsewhere(error):
                raise elsewhere from None
            raise
        with ExitStack() as stack:
            stack.callback(client.close_connection)
            # DuckDB would fill most of the machine's memory before it writes to disk
            self._memory.limit(client, location_settings().duckdb_memory)
            # dividing a chunk among threads takes longer than it saves, and each wants memory
            client.execute_sql("SET threads = 1")
            client.execute_sql(ATTACH_STAGING)
            yield OpenDuckDb(client, self._memory)

    def adapt_source(self, source: DltSource) -> None:
        """Have a merge not look for clicks that came twice, which takes most of its memory.

        The source yields none twice, and in this process dlt does not give DuckDB a file twice.
        """
        if clicks := source.resources.get(CLICKS.name):
            clicks.apply_hints(
                write_disposition={
                    "disposition": "merge",
                    "strategy": "delete-insert",
                    "deduplicated": True,
                }
            )

    @cached_property
    def _dataset(self) -> dlt.Dataset:
        return self.dataset()

    @cached_property
    def _memory(self) -> DuckDbMemory:
        """Keeps the limit from one opening to the next: what one load needs others need, too."""
        return DuckDbMemory()


def message_about_names(error: BaseException) -> str | None:
    """Return what DuckDB says if its error is about names, files or transactions, else None."""
    import duckdb

    kinds = (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.IOException,
        duckdb.TransactionException,
    )
    return str(error) if isinstance(error, kinds) else None
