"""DuckDB as dlt's destination, with what is being loaded beside the file, in memory.

dlt merges from a staging dataset, which would be written to the file like any other, and a copy of
the last load would stay there. Here it is in another database, so that every name says in which.
dlt leaves the database out of names; DuckDB would even refuse `link_assets.clicks` in the file
`link_assets.duckdb`, where it may mean a table of the database or of the schema.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import duckdb as duckdb_library
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from link_assets.warehouse.errors import OpenElsewhere, OutOfMemory, find_cause

STAGING = "link_assets_in_memory"
"""The database of the staging dataset."""
ATTACH_STAGING = f"ATTACH IF NOT EXISTS ':memory:' AS {STAGING}"
"""Makes that database, which is there for as long as the process has the file open."""
RESERVED = ("main", "system", "temp")
"""Names that DuckDB keeps for itself."""


def database_name(file: str) -> str:
    """What DuckDB calls the database in a file."""
    (name, *_) = Path(file).name.lstrip(".").split(".")
    return f"{name}_db" if name in RESERVED else name


def open_elsewhere(error: BaseException) -> OpenElsewhere | None:
    """Who else has the file open, if that is what `error` was caused by."""
    refused = find_cause(error, duckdb_library.Error)
    told = re.search(r"(?:held|open) in (.+) \(PID (\d+)\)", str(refused))
    if isinstance(refused, duckdb_library.IOException) and told:
        return OpenElsewhere(told[2], f"another program ({told[1]})")
    if re.search(
        "already held in current process|different configuration|already attached", str(refused)
    ):
        return OpenElsewhere(str(os.getpid()), "another connection of that process")
    return None


class CatalogSqlClient(DuckDbSqlClient):
    """Qualifies every name with its database."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # dlt would have each connection ask for what DuckDB does anyway
        self._pragmas = []

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """The file's database, or the one in memory while the staging dataset is used."""
        staging = self.is_staging_dataset_active
        name = STAGING if staging else database_name(str(self.credentials.database))
        return self.capabilities.escape_identifier(name) if quote else name

    @classmethod
    def _make_database_exception(cls, ex: Exception) -> Exception:
        """dlt's own, but for a lack of memory: dlt would try five times more with as little."""
        lacks_memory = isinstance(ex, duckdb_library.OutOfMemoryException)
        return OutOfMemory(ex) if lacks_memory else super()._make_database_exception(ex)

    def warn_if_catalog_equals_dataset_name(self) -> None:
        """Says nothing: qualified names are not confused."""


class CatalogDuckDbClient(DuckDbClient):
    """dlt's DuckDB client on CatalogSqlClient."""

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        plain = self.sql_client
        self.sql_client = CatalogSqlClient(
            plain.dataset_name, plain.staging_dataset_name, config.credentials, capabilities
        )


class catalog_duckdb(duckdb):
    """The destination `duckdb`, under that name in the configuration."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._resolved: dict[tuple[Any, ...], Any] = {}

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """dlt's own, resolved once: dlt asks for every client it makes, some ten a load."""
        given = (initial_config.dataset_name, initial_config.default_schema_name, accept_partial)
        if given not in self._resolved:
            self._resolved[given] = super().configuration(initial_config, accept_partial)
        return self._resolved[given]

    def capabilities(
        self, config: Any = None, naming: Any = None
    ) -> DestinationCapabilitiesContext:
        """dlt's own, which are the same for DuckDB whatever the configuration."""
        return super().capabilities(config or self.spec(), naming)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """dlt's own, and that DuckDB has transactions: a merge must not stop half-way."""
        capabilities = super()._raw_capabilities()
        capabilities.supports_transactions = True
        return capabilities

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that loads and reads."""
        return CatalogDuckDbClient
