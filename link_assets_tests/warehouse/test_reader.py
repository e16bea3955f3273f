"""Reading: how tables are named, and which errors are raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from link_assets.warehouse.reader import Reader, reading
from link_assets_tests.support import rows
from link_assets_tests.warehouse.helpers import load_clicks


def test_a_missing_table_raises_an_error_of_its_own(api: str) -> None:
    with pytest.raises(DatabaseUndefinedRelation):
        rows("SELECT * FROM {dataset}.links")
    load_clicks()
    with pytest.raises(DatabaseUndefinedRelation, match="links"):
        rows("SELECT * FROM {dataset}.links")
    with reading() as reader:
        assert reader.columns("clicks")[:2] == ["domain_id", "click_id"]


class DatasetInNames(DuckDbSqlClient):
    """dlt's client of a database without schemas: the table's name begins with the dataset's."""

    def make_qualified_table_name(self, table_name: str, *_: Any, **options: Any) -> str:
        return f'"{self.dataset_name}___{table_name}"'


def test_tables_have_the_names_that_dlt_gives_them(workdir: Path) -> None:
    credentials = DuckDbCredentials("named.duckdb")
    credentials.resolve()
    capabilities = dlt.destinations.duckdb().capabilities()
    with DatasetInNames("data", "staging", credentials, capabilities) as client:
        reader = Reader(client)
        reader.run("CREATE TABLE {dataset}.clicks AS SELECT 7 AS id, '{dataset}' AS path")
        reader.run("CREATE TABLE {dataset}._dlt_loads AS SELECT 1 AS one")
        joined = "SELECT c.id, l.one, c.path FROM {dataset}.clicks c, {dataset}._dlt_loads l"
        assert reader.rows(joined) == [(7, 1, "{dataset}")]
        assert reader.columns("clicks") == ["id", "path"]
        names = reader.rows("SELECT table_name FROM duckdb_tables() ORDER BY 1")
        assert names == [("data____dlt_loads",), ("data___clicks",)]
