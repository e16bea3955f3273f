"""Warehouses that were never run: settings are understood, and dlt makes SQL for the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
import sqlglot
from dlt.common.schema.utils import get_nested_tables
from dlt.destinations.job_client_impl import SqlJobClientBase

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS, Table
from link_assets.settings import SettingsError, api_settings
from link_assets.source.rest import clicks_source, links_source
from link_assets.warehouse.destinations.configured import NOT_RUN, configured_warehouse
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import Reader

TO_RUN = "uv run --group drivers pytest"
SECRET = "nobody-may-see-this"
DRIVERS = {
    "motherduck": "duckdb",
    "snowflake": "snowflake.connector",
    "bigquery": "google.cloud.bigquery",
    "databricks": "databricks.sql",
    "redshift": "psycopg2",
    "clickhouse": "clickhouse_driver",
}
CREDENTIALS = {
    "motherduck": {"": f"md:///warehouse?token={SECRET}"},
    "snowflake": {"": f"snowflake://loader:{SECRET}@account/warehouse?warehouse=small&role=r"},
    "bigquery": {"PROJECT_ID": "project", "CLIENT_EMAIL": "loader@project.example.com"},
    "databricks": {
        "SERVER_HOSTNAME": "host.example.com",
        "HTTP_PATH": "/sql/1.0/warehouses/1",
        "ACCESS_TOKEN": SECRET,
        "CATALOG": "main",
    },
    "redshift": {"": f"redshift://loader:{SECRET}@host.example.com:5439/warehouse"},
    "clickhouse": {"": f"clickhouse://loader:{SECRET}@host.example.com:9000/warehouse"},
}
NAMES = {
    "motherduck": '"warehouse"."link_assets"."clicks"',
    "snowflake": '"LINK_ASSETS"."CLICKS"',
    "bigquery": "`project`.`link_assets`.`clicks`",
    "databricks": "`main`.`link_assets`.`clicks`",
    "redshift": '"link_assets"."clicks"',
    "clickhouse": "`warehouse`.`link_assets___clicks`",
}
"""What dlt calls the table of clicks."""
LAYOUTS = {
    "motherduck": "",
    "snowflake": 'CLUSTER BY ("DOMAIN_ID","DT")',
    "bigquery": "PARTITION BY DATE(`dt`)\nCLUSTER BY `domain_id`",
    "databricks": "CLUSTER BY (`domain_id`,`dt`)",
    "redshift": "",
    "clickhouse": "",
}
"""What the creation of that table says of how it is stored."""


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_each_of_them_is_looked_at() -> None:
    assert {*NOT_RUN} == {*DRIVERS} == {*CREDENTIALS} == {*NAMES} == {*LAYOUTS}


@pytest.fixture(params=NOT_RUN)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, api: str) -> str:
    """The type of the warehouse, which is configured but for its credentials."""
    if not _is_there(DRIVERS[request.param]):
        pytest.skip(f"no driver of {request.param} here; to run: {TO_RUN}")
    monkeypatch.setenv("DESTINATION_TYPE", request.param)
    return request.param


@pytest.fixture
def configured(kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The type of the warehouse, with credentials that open nothing."""
    given: Mapping[str, str] = CREDENTIALS[kind]
    for name, value in (given | ({"PRIVATE_KEY": _key()} if kind == "bigquery" else {})).items():
        suffix = f"__{name}" if name else ""
        monkeypatch.setenv(f"DESTINATION__{kind.upper()}__CREDENTIALS{suffix}", value)
    return kind


def _key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()


def test_missing_settings_are_named(kind: str) -> None:
    with pytest.raises(SettingsError, match=f"set DESTINATION__{kind.upper()}__CREDENTIALS"):
        configured_warehouse().require_settings()


def test_settings_are_understood(configured: str) -> None:
    configured_warehouse().require_settings()


def test_tables_have_the_names_that_dlt_gives_them(configured: str) -> None:
    reader = Reader(cast(Any, configured_warehouse().dataset().sql_client))
    assert reader._qualified("FROM {dataset}.clicks") == f"FROM {NAMES[configured]}"


@pytest.mark.parametrize(
    ("name", "tables"),
    [("links", (LINKS, REJECTED_ROWS)), ("clicks", (CLICKS, REJECTED_ROWS))],
)
def test_dlt_makes_the_sql_of_tables_and_merges(
    name: str, tables: tuple[Table, ...], configured: str
) -> None:
    settings = api_settings()
    source = links_source(settings) if name == "links" else clicks_source(settings, 1)
    with open_pipeline(name) as pipeline:
        configured_warehouse().adapt_source(source)
        pipeline.dlt.extract(source, loader_file_format=configured_warehouse().loader_file_format)
        pipeline.dlt.normalize()
        client = cast(SqlJobClientBase, pipeline.dlt.destination_client())
        made, _ = client._build_schema_update_sql([(t, {}) for t in client.schema.tables])
        names = {t.name: client.sql_client.make_qualified_table_name(t.name) for t in tables}
        merges = {table.name: [*_merge(client, table.name)] for table in tables}
    dialect = client.capabilities.sqlglot_dialect
    for statement in (*made, *(s for merge in merges.values() for s in merge)):
        assert sqlglot.parse_one(statement, dialect=dialect)
    for table in tables:
        (creation,) = (sql for sql in made if names[table.name] in sql)
        assert all(f.column in creation.lower() for f in table.columns)
        assert table != CLICKS or LAYOUTS[configured] in creation, creation
        kinds = {statement.split()[0].upper() for statement in merges[table.name]}
        assert {"DELETE", "INSERT"} <= kinds or "MERGE" in kinds


def _merge(client: SqlJobClientBase, table: str) -> Iterator[str]:
    """The statements by which dlt merges a table with its child tables."""
    chain = [
        client.prepare_load_table(str(nested.get("name")))
        for nested in get_nested_tables(client.schema.tables, table)
    ]
    for job in client.create_table_chain_completed_followup_jobs(chain):
        text = Path(job.new_file_path()).read_text()
        yield from (line for line in text.splitlines() if line.strip())
