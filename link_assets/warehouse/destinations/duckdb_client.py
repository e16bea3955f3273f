"""dlt's DuckDB destination with the staging dataset in memory, and every name spelled in full.

dlt merges from a staging dataset. In the file it would be written like any other, and a copy of the
last load would stay there; here it is in a database of its own, in memory. So names have to say in
which database they are, which dlt leaves out. DuckDB even refuses `link_assets.clicks` in a file
`link_assets.duckdb`, where it may mean a table of the database or of the schema.

`duckdb.py` imports this module when a warehouse is used, since it imports DuckDB itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb as duckdb_library
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob
from dlt.common.storages import FileStorage
from dlt.destinations import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from link_assets.warehouse.errors import OpenElsewhere, OutOfMemory, find_cause

STAGING = "link_assets_in_memory"
"""The name of the database that holds the staging dataset."""
ATTACH_STAGING = f"ATTACH IF NOT EXISTS ':memory:' AS {STAGING}"
"""Creates that database, which is there for as long as the process has the file open."""
DEDUPLICATED = "x-stage-data-deduplicated"
"""dlt's hint for a table whose staged rows are all different."""
_STAGING = Lock()
RESERVED = ("main", "system", "temp")
"""Names of files to which DuckDB adds `_db`, because it uses these names itself."""
OPEN_IN_OTHER_PROCESS = "Conflicting lock is held|already open in"
"""Matches what DuckDB says of a file that another process has open."""
HOLDER = re.compile(r"(?:held|open) in(?: (?P<program>.+?))? \(?PID (?P<process>[1-9]\d*)")
"""Finds in that who it is: DuckDB does not always know the program, and rarely not the process."""
OPEN_IN_THIS_PROCESS = "already held in current process|different configuration|already attached"
"""Matches what DuckDB says of a file that another connection of the same process has open."""


def database_name(file: str) -> str:
    """Return the name that DuckDB gives to the database in a file."""
    (name, *_) = Path(file).name.lstrip(".").split(".")
    return f"{name}_db" if name in RESERVED else name


def open_elsewhere(error: BaseException) -> OpenElsewhere | None:
    """Return who else has the file open; None if `error` has another cause.

    Which process it is only stands in the text of DuckDB's error. That lacks the program's name if
    it is another user's, and name and number (it says PID 0) if it has closed the file meanwhile.
    """
    refused = find_cause(error, duckdb_library.Error)
    is_io = isinstance(refused, duckdb_library.IOException)
    if is_io and re.search(OPEN_IN_OTHER_PROCESS, str(refused), re.IGNORECASE):
        holder = HOLDER.search(str(refused))
        process = holder["process"] if holder else "unknown"
        program = (holder and holder["program"]) or "of unknown name"
        return OpenElsewhere(process, f"another program ({program})")
    if re.search(OPEN_IN_THIS_PROCESS, str(refused)):
        return OpenElsewhere(str(os.getpid()), "another connection of that process")
    return None


class CatalogSqlClient(DuckDbSqlClient):
    """dlt's SQL client, with the database in every qualified name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # private to dlt: it would have each connection ask for what DuckDB does by default
        self._pragmas = []

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """Return the file's database, or the one in memory while the staging dataset is used."""
        staging = self.is_staging_dataset_active
        name = STAGING if staging else database_name(str(self.credentials.database))
        return self.capabilities.escape_identifier(name) if quote else name

    @classmethod
    def _make_database_exception(cls, ex: Exception) -> Exception:
        """Return dlt's exception for DuckDB's, or OutOfMemory."""
        # private to dlt: it takes a lack of memory for transient and would retry five times with
        # as little; here DuckDbMemory repeats the statement with more
        lacks_memory = isinstance(ex, duckdb_library.OutOfMemoryException)
        return OutOfMemory(ex) if lacks_memory else super()._make_database_exception(ex)

    def warn_if_catalog_equals_dataset_name(self) -> None:
        """Do not warn: names that say their database are not ambiguous."""


class StagedViewJob(DuckDbCopyJob):
    """dlt's job for a Parquet file that a merge reads only once: it is read where it is."""

    def run(self) -> None:
        """Have a view of the table's name read the file, and what the table had before."""
        # private to dlt: `_job_client` and `_file_path`, which its own `run` uses
        client = self._job_client.sql_client
        before = f"{self.load_table_name}__{self.job_file_info().file_id}"
        table, had = map(client.make_qualified_table_name, (self.load_table_name, before))
        file = f"FROM read_parquet('{_kept(self._file_path)}', union_by_name = true)"
        with _STAGING, client.begin_transaction():  # each takes the place of the one before
            client.execute_sql(f"ALTER TABLE {table} RENAME TO {client.escape_column_name(before)}")
            # first of all it is dlt's own table, which is empty and has the types
            client.execute_sql(f"CREATE VIEW {table} AS FROM {had} UNION ALL BY NAME {file}")


def _kept(file: str) -> str:
    """Return another name of a job's file, which dlt moves away before the merge reads it."""
    name = Path(file)
    kept = name.parents[1] / name.name  # in the folder of the load, which is deleted with it
    kept.unlink(missing_ok=True)
    FileStorage.link_hard_with_fallback(file, str(kept))
    return str(kept)


class CatalogDuckDbClient(DuckDbClient):
    """dlt's client, using CatalogSqlClient and StagedViewJob."""

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        plain = self.sql_client
        # dlt has no hook for the class of the SQL client
        self.sql_client = CatalogSqlClient(
            plain.dataset_name, plain.staging_dataset_name, config.credentials, capabilities
        )

    def create_load_job(self, table: Any, file_path: str, *options: Any, **named: Any) -> LoadJob:
        """Return dlt's job for the file, or a StagedViewJob if the merge reads it only once.

        So it does where rows are known to come only once (`DuckDbWarehouse.adapt_source`).
        """
        job = super().create_load_job(table, file_path, *options, **named)
        is_staged = self.should_load_data_to_staging_dataset(table["name"])
        staged_once = is_staged and table.get(DEDUPLICATED)
        return StagedViewJob(file_path) if staged_once and type(job) is DuckDbCopyJob else job


class catalog_duckdb(duckdb):
    """dlt's destination `duckdb`, configured under that name, using CatalogDuckDbClient."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._resolved: dict[tuple[Any, ...], Any] = {}

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """Return dlt's configuration, resolved once: dlt asks for each of some ten clients a load.

        The result depends on nothing else of `initial_config` than what is compared here.
        """
        given = (initial_config.dataset_name, initial_config.default_schema_name, accept_partial)
        if given not in self._resolved:
            self._resolved[given] = super().configuration(initial_config, accept_partial)
        return self._resolved[given]

    def capabilities(
        self, config: Any = None, naming: Any = None
    ) -> DestinationCapabilitiesContext:
        """Return dlt's capabilities, which for DuckDB are the same for any configuration.

        Without one, dlt would resolve it first.
        """
        return super().capabilities(config or self.spec(), naming)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """Return dlt's capabilities, with transactions: a merge must not stop halfway."""
        # private to dlt: `capabilities` starts from these, and dlt leaves transactions unset
        capabilities = super()._raw_capabilities()
        capabilities.supports_transactions = True
        return capabilities

    @property
    def client_class(self) -> type[DuckDbClient]:
        """Return the class of the clients that load and read."""
        return CatalogDuckDbClient
