"""The choice of the warehouse, and what another kind of warehouse takes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.destination import Destination

from link_assets.settings import SettingsError
from link_assets.warehouse.access import warehouse_lock
from link_assets.warehouse.destinations import configured
from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.destinations.configured import configured_warehouse, destination_type
from link_assets.warehouse.destinations.duckdb import DuckDbWarehouse
from link_assets.warehouse.destinations.layouts import LaidOutWarehouse
from link_assets.warehouse.destinations.postgres import PostgresWarehouse
from link_assets.warehouse.destinations.refused import REASONS
from link_assets_tests.support import rows
from link_assets_tests.warehouse.helpers import load_clicks, load_links

SETTING = "DESTINATION_TYPE"


@pytest.mark.parametrize(
    ("given", "name", "kind"),
    [
        ("", "duckdb", DuckDbWarehouse),
        ("duckdb", "duckdb", DuckDbWarehouse),
        ("dlt.destinations.postgres", "postgres", PostgresWarehouse),
        ("snowflake", "snowflake", LaidOutWarehouse),
        ("redshift", "redshift", Warehouse),
    ],
)
def test_the_setting_chooses_the_warehouse(
    given: str, name: str, kind: type[Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, given)
    assert destination_type() == name
    assert type(configured_warehouse()) is kind


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sqlalchemy", "SQLite and MySQL"),
        ("dlt.destinations.filesystem", "plain files"),
        ("weaviate", "vector store"),
        ("postgress", "no such type is known here"),
    ],
)
def test_what_cannot_be_a_warehouse_is_refused_with_the_reason(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, name)
    with pytest.raises(SettingsError, match=reason) as refused:
        configured_warehouse()
    given = name.rpartition(".")[2]
    assert str(refused.value).startswith(f"{SETTING} must be one of duckdb, postgres, ")
    assert f"and not '{given}': " in str(refused.value)


def test_a_missing_package_is_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snowflake", None)
    monkeypatch.setenv(SETTING, "snowflake")
    address = "snowflake://loader:secret@account/warehouse?warehouse=w&role=r"
    monkeypatch.setenv("DESTINATION__SNOWFLAKE__CREDENTIALS", address)
    with pytest.raises(SettingsError) as refused:
        configured_warehouse().require_settings()
    assert "(snowflake) cannot be used: install dlt[snowflake]." in str(refused.value)


def test_each_destination_of_dlt_is_a_warehouse_or_refused_for_a_reason() -> None:
    assert {*configured.WAREHOUSES} | {*REASONS} >= {*dlt.destinations.__all__}
    assert not {*configured.WAREHOUSES} & {*REASONS}


class PlainDuckDb(Warehouse):
    """dlt's own DuckDB destination, with what `Warehouse` says of any destination."""

    def destination(self, staging: str) -> Destination[Any, Any]:
        layout = self.staging_layout(staging)
        return dlt.destinations.duckdb("plain.duckdb", staging_dataset_name_layout=layout)


def test_another_kind_of_warehouse_is_one_class_and_one_line(
    api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(workdir))
    monkeypatch.setitem(configured.WAREHOUSES, "plain", PlainDuckDb)
    monkeypatch.setenv(SETTING, "plain")
    load_links()
    for _ in range(2):
        load_clicks(1)
        load_clicks(2)
    found = rows("SELECT count(*), count(DISTINCT click_id) FROM {dataset}.clicks")
    assert found == [(80, 80)]
    assert rows("SELECT count(*) FROM {dataset}.links") == [(15,)]
    staging = "SELECT schema_name FROM duckdb_schemas() WHERE schema_name LIKE '%staging%'"
    own = [("link_assets_staging_clicks_1",), ("link_assets_staging_clicks_2",)]
    assert rows(f"{staging} ORDER BY 1") == [*own, ("link_assets_staging_links",)]
    assert warehouse_lock(configured_warehouse()).path.parent == workdir
    assert [file.name for file in workdir.glob("*.duckdb")] == ["plain.duckdb"]
