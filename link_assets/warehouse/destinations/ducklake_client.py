"""dlt's DuckLake destination with extensions from packages, and locks in its PostgreSQL catalog.

The catalog's password goes to DuckDB as a secret, so that no error quotes it. Many machines may
find an empty database at once and make a catalog in it: those that are too late attach again.
Loading the extensions takes DuckDB a third of a second, so a process keeps one that has them.

`ducklake.py` imports this module when a warehouse is used, since it imports DuckDB and psycopg2.
"""

from __future__ import annotations

import atexit
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from threading import Lock
from typing import Any, ClassVar

import duckdb
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import AwsCredentials
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.storages.configuration import WithLocalFiles
from dlt.destinations import ducklake
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.destinations.impl.ducklake.configuration import (
    DuckLakeClientConfiguration,
    DuckLakeCredentials,
)
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient
from dlt.destinations.sql_client import raise_open_connection_error

from link_assets.settings import SettingsError
from link_assets.warehouse.destinations.ducklake_storage import NOT_SHARED, SETTINGS, LakeStorage
from link_assets.warehouse.destinations.postgres_client import (
    LONGEST_TIMEOUT,
    LibpqCredentials,
    PostgresSqlClient,
    wait_for_lock,
)

CATALOG_DRIVERS = ("postgres", "postgresql")
"""How the address of a catalog begins that machines can share, and lock."""
EXTENSIONS = ("ducklake", "postgres_scanner")
"""Those of DuckDB that a lake with a catalog in PostgreSQL needs."""
OF_OBJECT_STORES = "httpfs"
"""The one by which DuckDB reads and writes an object store."""
OF_AWS_ROLES = "aws"
"""The one that finds the keys of a machine for S3, where the settings give none."""
SECRET = "link_assets_catalog"
"""The name of DuckDB's secret with the catalog's address."""
_MAKING = Lock()
COMMIT_TRIES = 100
"""How often DuckLake tries to commit while others do, of which it gives up ten by default."""


@configspec(init=False)
class LakeCredentials(DuckLakeCredentials):
    """dlt's credentials, without its defaults for what machines share."""

    __config_gen_annotations__: ClassVar[list[str]] = []
    storage: LakeStorage = None  # type: ignore[assignment]

    def on_resolved(self) -> None:
        """Refuse a catalog or a storage that machines cannot share.

        Raises:
            SettingsError: The message says which setting to give.
        """
        self._require_shared()

    @property
    def extensions_needed(self) -> tuple[str, ...]:
        """Return the names of DuckDB's extensions that this lake needs."""
        if self.storage.is_local_filesystem:
            return EXTENSIONS
        keys = self.storage.credentials
        if isinstance(keys, AwsCredentials) and keys.has_default_credentials():
            return (*EXTENSIONS, OF_OBJECT_STORES, OF_AWS_ROLES)
        return (*EXTENSIONS, OF_OBJECT_STORES)

    def _require_shared(self) -> None:
        # where one is not given, dlt takes a file or a folder of the working folder
        if self.catalog.drivername not in CATALOG_DRIVERS:
            raise SettingsError(
                f"{SETTINGS}__CATALOG must be the address of a PostgreSQL database, such as "
                "postgresql://loader:secret@localhost:5432/lake: loads take turns by its locks."
            )
        if isinstance(self.storage, WithLocalFiles):
            raise SettingsError(NOT_SHARED)

    def _conn_str(self) -> str:
        # private to dlt: the name of the database in memory. DuckDB shares it within the process
        place = (self.catalog_location(), self.storage_url, self.catalog.username)
        return f":memory:lake_{hashlib.blake2b(repr(place).encode(), digest_size=8).hexdigest()}"

    @property
    def libpq(self) -> LibpqCredentials:
        """Return the catalog's address as that of a PostgreSQL database."""
        found = LibpqCredentials()
        # both spellings of the scheme are PostgreSQL's, and dlt's class takes one of them
        url = self.catalog.to_url().set(drivername="postgresql")
        found.parse_native_representation(url.render_as_string(hide_password=False))
        found.resolve()
        return found


@configspec
class LakeConfiguration(DuckLakeClientConfiguration):
    """dlt's configuration, with LakeCredentials."""

    credentials: LakeCredentials = None  # type: ignore[assignment]


class LakeSqlClient(DuckLakeSqlClient):
    """dlt's SQL client, which can lock the catalog."""

    credentials: LakeCredentials  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held = ExitStack()
        self._used: SharedDuckDb | None = None

    def open_connection(self) -> duckdb.DuckDBPyConnection:
        """Attach the lake to the DuckDB of this process, and open a connection of it.

        Raises:
            DestinationConnectionError: The catalog or the files were not reached.
        """
        shared = self._shared_duckdb()
        with shared.opening():
            try:
                connection = super().open_connection()
            except DestinationConnectionError:
                # another machine may be making the catalog; where it is not reached, this says why
                with self.catalog_lock("catalog"):
                    connection = super().open_connection()
            self._used = shared
        return connection

    @raise_open_connection_error
    def _shared_duckdb(self) -> SharedDuckDb:
        with _MAKING:
            return _shared(self.credentials._conn_str(), self.credentials.extensions_needed)

    def close_connection(self) -> None:
        """Close the connection; the last one of the process lets go of the catalog."""
        pool, connection = self.credentials.conn_pool, self._conn
        if pool and connection:
            self._conn = None  # type: ignore[assignment]
            pool.return_conn(connection)
        if self._used:  # dlt also closes what it failed to open
            self._used.closed(self.credentials.ducklake_name)
            self._used = None

    @property
    def attach_statement(self) -> str:
        """Return the statements that attach the lake, with the password in a secret alone."""
        libpq, literal = self.credentials.libpq, self.capabilities.escape_literal
        name = self.credentials.ducklake_name
        parts = [("HOST", libpq.host), ("PORT", libpq.port), ("DATABASE", libpq.database)]
        parts += [("USER", libpq.username), ("PASSWORD", libpq.password)]
        secret = "".join(f", {part} {literal(str(value))}" for part, value in parts if value)
        options = {
            "DATA_PATH": self.credentials.storage_url,
            "METADATA_SCHEMA": self.credentials.metadata_schema or name,
            "META_SECRET": SECRET,
        }
        listed = ", ".join(f"{option} {literal(value)}" for option, value in options.items())
        if self.override_data_path:
            listed += ", OVERRIDE_DATA_PATH true"
        if self.automatic_migration:
            listed += ", AUTOMATIC_MIGRATION true"
        path = literal(f"ducklake:postgres:{_libpq_options(libpq)}")
        return (
            f"CREATE OR REPLACE SECRET {SECRET} (TYPE postgres{secret});"
            f"ATTACH IF NOT EXISTS {path} AS {name} ({listed})"
        )

    @contextmanager
    def catalog_lock(self, purpose: str, seconds: float = LONGEST_TIMEOUT / 1000) -> Iterator[None]:
        """Hold a lock of the catalog's database within the block.

        Args:
            purpose: What it is for, the same on every machine.
            seconds: How long to wait at most.

        Raises:
            TimeoutError: Another machine held it for longer.
            DestinationConnectionError: The database was not reached.
        """
        lake = self.credentials.metadata_schema or self.credentials.ducklake_name
        names = (self.dataset_name, self.staging_dataset_name)
        with PostgresSqlClient(*names, self.credentials.libpq, self.capabilities) as client:
            wait_for_lock(client, "pg_advisory_lock", f"{purpose} of {lake}", seconds)
            yield

    def hold(self, lock: AbstractContextManager[None]) -> None:
        """Hold a lock until the transaction ends."""
        self._held.enter_context(lock)

    def commit_transaction(self) -> None:
        """Commit, and let go of what is held."""
        super().commit_transaction()
        self._held.close()

    def rollback_transaction(self) -> None:
        """Roll back, and let go of what is held."""
        with self._held:
            super().rollback_transaction()


class SharedDuckDb:
    """A DuckDB in memory with extensions, for a process; the lake is attached while it is used."""

    def __init__(self, name: str, extensions: Sequence[str]) -> None:
        self._kept = duckdb.connect(name)
        for extension in extensions:
            self._kept.execute(f"LOAD {_loadable(extension)}")
        self._kept.execute(f"SET GLOBAL ducklake_max_retry_count = {COMMIT_TRIES}")
        self._lock, self._users = Lock(), 0

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Count who opens a connection in the block, unless it raises."""
        with self._lock:
            yield
            self._users += 1

    def closed(self, lake: str) -> None:
        """Note that a connection was closed."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._kept.execute(f"DETACH DATABASE IF EXISTS {lake}")


@cache
def _shared(name: str, extensions: Sequence[str]) -> SharedDuckDb:
    """Return the one DuckDB of this name in the process."""
    return SharedDuckDb(name, extensions)


atexit.register(_shared.cache_clear)


class LockedLakeClient(DuckLakeClient):
    """dlt's client, which keeps other machines out while it creates tables."""

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        plain = self.sql_client
        # dlt has no hook for the class of the SQL client
        self._lake = self.sql_client = LakeSqlClient(
            plain.dataset_name,
            plain.staging_dataset_name,
            config.credentials,
            capabilities,
            override_data_path=config.override_data_path,
            automatic_migration=config.automatic_migration,
        )

    @contextmanager
    def maybe_ddl_transaction(self) -> Iterator[None]:
        """Hold a transaction in which no other machine creates tables of the lake."""
        with self._lake.catalog_lock("tables"), super().maybe_ddl_transaction():
            yield

    def initialize_storage(self, *arguments: Any, **options: Any) -> None:
        """Create the dataset while no other machine does; the arguments are dlt's."""
        with self._lake.catalog_lock("tables"):
            super().initialize_storage(*arguments, **options)


class locked_ducklake(ducklake):
    """dlt's destination `ducklake`, configured under that name, using LockedLakeClient."""

    @property
    def spec(self) -> type[LakeConfiguration]:
        """Return the class of the configuration."""
        return LakeConfiguration

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """Return dlt's capabilities, with transactions: a merge must not stop halfway."""
        # private to dlt: `capabilities` starts from these, and dlt leaves transactions unset
        capabilities = super()._raw_capabilities()
        capabilities.supports_transactions = True
        return capabilities

    @property
    def client_class(self) -> type[LockedLakeClient]:
        """Return the class of the clients that load and read."""
        return LockedLakeClient


def _loadable(name: str) -> str:
    """Return what LOAD takes for an extension: the file of a package, or its name.

    By its name DuckDB finds what it has downloaded before.
    """
    suffix = f"v{duckdb.__version__}/{name}.duckdb_extension"
    try:
        packaged = files(f"duckdb-extension-{name.replace('_', '-')}") or []
    except PackageNotFoundError:
        packaged = []
    found = [file.locate() for file in packaged if str(file).endswith(suffix)]
    return f"'{found[0]}'" if found else name


def _libpq_options(libpq: LibpqCredentials) -> str:
    """Return the query of the catalog's address, such as sslmode, in the notation of libpq."""
    from psycopg2.extensions import make_dsn

    return make_dsn(**{name: str(value) for name, value in libpq.get_query().items()})
