"""dlt's PostgreSQL destination with exact values, safe beside other machines, no copy left behind.

dlt would load Arrow tables as CSV, in which empty text and null are the same. Here they are loaded
as Parquet through ADBC, or with INSERT statements where ADBC is not installed.

`postgres.py` imports this module when a warehouse is used, since it imports psycopg2.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, cast

import dlt
from dlt.common.configuration import configspec
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob
from dlt.common.schema.typing import TSchemaTables
from dlt.destinations import postgres
from dlt.destinations.exceptions import DatabaseException, DatabaseTransientException
from dlt.destinations.impl.postgres.configuration import (
    PostgresClientConfiguration,
    PostgresCredentials,
)
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.destinations.sql_client import SqlClientBase, raise_open_connection_error
from psycopg2.errorcodes import LOCK_NOT_AVAILABLE, TOO_MANY_COLUMNS
from psycopg2.extensions import make_dsn

from link_assets.contract import CLICKS, DATASET
from link_assets.warehouse.errors import HeldElsewhere, TooManyColumns

LONGEST_TIMEOUT = 2**31 - 1
"""The longest `lock_timeout` that PostgreSQL accepts, in milliseconds."""
INDEXES = {
    "link_assets_loads_by_id": ("_dlt_loads", "load_id"),
    # by which a merge finds the clicks that come again; few of a domain share a time
    "link_assets_clicks_by_time": (CLICKS.name, "domain_id, dt"),
}
"""By name, the table and the columns of indexes; without one a load reads all of its table."""
INDEX_TIMEOUT = 2_000
"""How many milliseconds a load waits for other transactions before it makes an index."""
NOTICE_DEAD_CLIENTS = (
    "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6"
)
"""Has the server release what a machine held that broke down, after two minutes.

With the usual settings of an operating system it would be after two hours.
"""

logger = logging.getLogger(__name__)


@configspec(init=False)
class LibpqCredentials(PostgresCredentials):
    """dlt's credentials, in the notation of libpq, which both psycopg2 and ADBC connect with.

    dlt would make them into a URL again, with `+` for the spaces in its query, which libpq takes
    for plus signs.
    """

    session_timezone: str | None = "UTC"
    """The time zone of what is read. In others, Python cannot hold the first or the last year."""

    def get_query(self) -> dict[str, Any]:
        """Return dlt's parameters, with text as UTF-8: ADBC writes nothing else."""
        return {**super().get_query(), "client_encoding": "UTF8"}

    def to_native_representation(self) -> str:
        """Return the connection string, which contains the password."""
        query = {key: str(value) for key, value in self.get_query().items()}
        address = {
            "host": self.host,
            "port": self.port,
            "user": self.username,
            "password": self.password,
            "dbname": self.database,
        }
        return make_dsn(**(query | address))


@configspec
class PostgresConfiguration(PostgresClientConfiguration):
    """dlt's configuration, with LibpqCredentials."""

    credentials: LibpqCredentials = None  # type: ignore[assignment]


class PostgresSqlClient(Psycopg2SqlClient):
    """dlt's SQL client, whose sessions have the credentials' time zone whatever else names one.

    It raises dlt's error for a refused connection, as others do.
    """

    @raise_open_connection_error
    def open_connection(self) -> Any:
        """Open the connection.

        Raises:
            DestinationConnectionError: The server refused it, or was not reached.
        """
        return super().open_connection()

    def _reset_connection(self) -> None:
        # private to dlt: called for each new connection, and after errors, with all settings lost.
        # The variable PGTZ of libpq overrules the connection string, so a statement has to say it
        super()._reset_connection()
        if zone := self.credentials.session_timezone:
            with self._conn.cursor() as cursor:
                cursor.execute("SET TIME ZONE %s", (zone,))


class StreamedParquetJob(PostgresParquetCopyJob):
    """dlt's job for a Parquet file; this one streams the file, and takes one without rows."""

    def run(self) -> None:
        """Append the file to its table, all of it or nothing."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        # private to dlt: `_set_catalog_and_schema`, `_file_path` and `_connect`, which its own
        # `run` uses. That one reads a file whole, of any size, and fails if it has no rows
        _, schema = self._set_catalog_and_schema()
        with (
            ParquetFile(self._file_path) as file,
            self._connect() as connection,
            connection.cursor() as cursor,
        ):
            rows = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
            cursor.adbc_ingest(self.load_table_name, rows, mode="append", db_schema_name=schema)
            connection.commit()


class PostgresLoadClient(PostgresClient):
    """dlt's client, which keeps other machines out while it creates tables or loads a pipeline."""

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        plain = self.sql_client
        # dlt has no hook for the class of the SQL client
        self.sql_client = PostgresSqlClient(
            plain.dataset_name, plain.staging_dataset_name, config.credentials, capabilities
        )

    def create_load_job(self, table: Any, file_path: str, *options: Any, **named: Any) -> LoadJob:
        """Return dlt's job for the file, or a StreamedParquetJob in place of its Parquet job."""
        job = super().create_load_job(table, file_path, *options, **named)
        return StreamedParquetJob(file_path) if isinstance(job, PostgresParquetCopyJob) else job

    @contextmanager
    def maybe_ddl_transaction(self) -> Iterator[None]:
        """Hold a transaction in which no other machine creates tables of this dataset."""
        with super().maybe_ddl_transaction():
            key = lock_key(f"tables of {self.config.dataset_name}")
            self.sql_client.execute_sql("SELECT pg_advisory_xact_lock(%s)", key)
            yield

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Create the dataset, in such a transaction."""
        with self.maybe_ddl_transaction():
            super().initialize_storage(truncate_tables)  # type: ignore[arg-type]

    def update_stored_schema(self, *arguments: Any, **options: Any) -> TSchemaTables | None:
        """Create missing tables and columns; the arguments are dlt's.

        Raises:
            TooManyColumns: A table would have more than 1,600 columns, PostgreSQL's limit.
        """
        try:
            updated = super().update_stored_schema(*arguments, **options)
            if not self.sql_client.is_staging_dataset_active:
                self._create_indexes()
            return updated
        except DatabaseTransientException as error:
            if getattr(error.dbapi_exception, "pgcode", None) == TOO_MANY_COLUMNS:
                widest = max(self.schema.tables, key=self._width)
                raise TooManyColumns(_too_wide(widest)) from error
            raise

    def _create_indexes(self) -> None:
        """Have a load take as long however much was loaded before it."""
        # only the owner may, and a table in use is left for the next load
        query = (
            "SELECT 1 FROM pg_tables t WHERE schemaname = %s AND tablename = %s"
            " AND pg_has_role(tableowner, 'USAGE') AND NOT EXISTS"
            " (SELECT 1 FROM pg_indexes i WHERE i.schemaname = t.schemaname AND indexname = %s)"
        )
        for index, (table, columns) in INDEXES.items():
            if self.sql_client.execute_sql(query, self.sql_client.dataset_name, table, index):
                name = self.sql_client.make_qualified_table_name(table)
                made = f"CREATE INDEX IF NOT EXISTS {index} ON {name} ({columns})"
                self._keep_house(f"SET LOCAL lock_timeout = {INDEX_TIMEOUT}; {made}")

    def _width(self, table: str) -> int:
        return len(self.schema.get_table_columns(table))

    def load_alone(self, parts: Sequence[str], seconds: float) -> None:
        """Wait until no other machine stages here; keep others from that, and from the parts.

        Until disconnecting: two merges of the same rows at once would each add them. A single part
        is waited for, too.

        Args:
            parts: What is loaded, of all that is staged here or elsewhere.
            seconds: How long to wait at most for each.

        Raises:
            TimeoutError: Another machine was still at it then.
            HeldElsewhere: Other machines are loading some of several parts.
        """
        client = self.sql_client
        staging = client.staging_dataset_name
        wait_for_lock(client, "pg_advisory_lock", f"load of {staging}", seconds)
        if len(parts) == 1:
            wait_for_lock(client, "pg_advisory_lock", f"load of {parts[0]}", seconds)
            return
        keys = {lock_key(f"load of {part}"): part for part in parts}
        query = "SELECT k FROM unnest(%s) AS t(k) WHERE NOT pg_try_advisory_lock(k)"
        if held := client.execute_sql(query, [*keys]):
            raise HeldElsewhere([keys[key] for (key,) in held])

    def complete_load(self, load_id: str) -> None:
        """Mark the load as complete and delete the copy of it that was staged."""
        super().complete_load(load_id)
        self.empty_staging()

    def drop_former_staging(self, parts: Sequence[str]) -> None:
        """Drop the staging datasets, one for each of these parts, of earlier versions."""
        staged = f"{self.sql_client.dataset_name}_staging_"
        former = {part.replace(f"{DATASET}_", staged, 1) for part in parts}
        query = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ANY(%s)"
        names = [*former - {self.sql_client.staging_dataset_name}]
        for (name,) in self.sql_client.execute_sql(query, names) or ():
            self._keep_house(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')

    def _keep_house(self, statement: str) -> None:
        """Run a statement that a load can do without, if the role may."""
        try:
            self.sql_client.execute_sql(statement)
        except DatabaseException as refused:
            reason = str(refused).partition("\n")[0]
            logger.warning("Not done, and loads go on without: %s (%s)", statement, reason)

    def empty_staging(self) -> None:
        """Delete what this load staged, and what failed loads and earlier versions left staged."""
        query = (
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = %s AND table_name NOT LIKE '\\_dlt%%'"
        )
        with self.with_staging_dataset():
            found = self.sql_client.execute_sql(query, self.sql_client.dataset_name) or ()
            self.sql_client.truncate_tables(*(name for (name,) in found))


def wait_for_lock(client: SqlClientBase[Any], function: str, purpose: str, seconds: float) -> None:
    """Acquire an advisory lock; for as long as what it is acquired with says.

    Args:
        client: An open client.
        function: PostgreSQL's function that waits for it.
        purpose: What the lock is for, the same on every machine.
        seconds: How long to wait at most.

    Raises:
        TimeoutError: Another machine held it for longer.
    """
    _wait(client, seconds, f"SELECT {function}(%s)", lock_key(purpose))


def lock_table(client: SqlClientBase[Any], table: str, seconds: float) -> None:
    """Keep all others from changing rows of a table until the client's transaction ends.

    Raises:
        TimeoutError: One of them was at it for longer than `seconds`.
    """
    name = client.make_qualified_table_name(table)
    _wait(client, seconds, f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _wait(client: SqlClientBase[Any], seconds: float, statement: str, *values: Any) -> None:
    """Run a statement that waits for a lock; raise TimeoutError after so many seconds."""
    milliseconds = min(max(1, round(seconds * 1000)), LONGEST_TIMEOUT)
    client.execute_sql(f"SET lock_timeout = {milliseconds}; {NOTICE_DEAD_CLIENTS}")
    try:
        client.execute_sql(statement, *values)
    except DatabaseTransientException as error:
        if getattr(error.dbapi_exception, "pgcode", None) == LOCK_NOT_AVAILABLE:
            raise TimeoutError from None
        raise


class exact_postgres(postgres):
    """dlt's destination `postgres`, configured under that name, using PostgresLoadClient."""

    spec = PostgresConfiguration

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """Return dlt's capabilities without CSV, which spells empty text and null the same."""
        # private to dlt: `capabilities` starts from these
        capabilities = super()._raw_capabilities()
        formats = capabilities.supported_loader_file_formats or ()
        capabilities.supported_loader_file_formats = [name for name in formats if name != "csv"]
        capabilities.loader_file_format_selector = cast(Any, _parquet_if_possible)
        return capabilities

    @property
    def client_class(self) -> type[PostgresLoadClient]:
        """Return the class of the clients that load and read."""
        return PostgresLoadClient


def _parquet_if_possible(
    preferred: Any, supported: Sequence[Any], **table: Any
) -> tuple[Any, Sequence[Any]]:
    """Return the format of a table's files and those it can have: Parquet needs ADBC."""
    if _has_adbc():
        return "parquet", supported
    _warn_of_inserts()
    return preferred, [name for name in supported if name != "parquet"]


def _has_adbc() -> bool:
    """Return whether ADBC is installed, and not switched off by dlt's `disable_adbc_detection`.

    To answer that, dlt would have the driver open a database for each table of each load, and the
    driver never frees what it takes for one.
    """
    installed = all(map(find_spec, ("adbc_driver_manager", "adbc_driver_postgresql")))
    return installed and not dlt.config.get("disable_adbc_detection", bool)


@cache
def _warn_of_inserts() -> None:
    """Log once in a process why loading is slow."""
    logger.warning(
        "PostgreSQL is loaded with INSERT statements, which takes several times as long as with "
        "ADBC. Install adbc-driver-manager and adbc-driver-postgresql; the extra "
        "link-assets[postgres] has both."
    )


def _too_wide(table: str) -> str:
    return (
        f"PostgreSQL gives a table 1,600 columns at most, and {DATASET}.{table} would need more: "
        "the API sends so many undocumented fields, each of which becomes a column. Nothing of "
        "this load was written. Ask the API's provider what the fields are for, or load into "
        "DuckDB, which has no such limit. Columns that were dropped count until the table is "
        "copied into a new one."
    )


def lock_key(purpose: str) -> int:
    """Return the key of an advisory lock: a signed 64-bit number, the same on every machine.

    PostgreSQL keeps the keys of different databases apart.
    """
    digest = blake2b(f"link_assets: {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
