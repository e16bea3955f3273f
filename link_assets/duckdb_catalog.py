"""DuckDB with a file named like the dataset.

DuckDB calls a database by its file's name, so in `link_assets.duckdb` the name
`link_assets.clicks` may mean a table of the database or of the schema, and DuckDB refuses it.
dlt leaves the database out of names; here it puts it in.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from link_assets.contract import DATASET


class CatalogSqlClient(DuckDbSqlClient):
    """Qualifies names with the database where they would be ambiguous without."""

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """The database's name if the dataset has the same; None otherwise."""
        name = Path(str(self.credentials.database)).name.split(".")[0]
        if name.casefold() != DATASET:
            return None
        return self.capabilities.escape_identifier(name) if quote else name

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

    def capabilities(
        self, config: Any = None, naming: Any = None
    ) -> DestinationCapabilitiesContext:
        """dlt's own; it asks some twenty times a load, so the configuration is read only once."""
        return super().capabilities(config or self._configuration, naming)

    @cached_property
    def _configuration(self) -> Any:
        return self.configuration(self.spec(), accept_partial=True)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """dlt's own, and that DuckDB has transactions: a merge must not stop half-way."""
        capabilities = super()._raw_capabilities()
        capabilities.supports_transactions = True
        return capabilities

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that loads and reads."""
        return CatalogDuckDbClient
