"""DuckDB with a file named like the dataset.

DuckDB calls a database by its file's name, so in `link_assets.duckdb` the name
`link_assets.clicks` may mean a table of the database or of the schema, and DuckDB refuses it.
dlt leaves the database out of names; here it puts it in.
"""

from __future__ import annotations

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
