"""A lake holds what other warehouses hold, and its errors give no secret away."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

import link_assets as link_assets_package
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.destinations.ducklake_client import (
    EXTENSIONS,
    OF_OBJECT_STORES,
    _loadable,
)
from link_assets.warehouse.errors import WarehouseBusy
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.children import load_clicks
from link_assets_tests.cli.conftest import Command
from link_assets_tests.cli.conftest import home as home
from link_assets_tests.cli.conftest import link_assets as link_assets
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.warehouse.destinations.postgres_server import run_sql
from link_assets_tests.warehouse.ducklake.lake import SECTION, needs_ducklake
from link_assets_tests.warehouse.helpers import wait_until

pytestmark = needs_ducklake
DOCUMENT = Path(link_assets_package.__file__).parents[1] / "docs" / "warehouses.md"
SECRET = "nobody-may-see-this"


def test_everything_loads_and_every_check_runs(
    location: Location, workdir: Path, port: int, database: str
) -> None:
    location.everything()
    uri = f"ducklake:postgresql://127.0.0.1:{port}/{database}"
    assert location.click_metadata("1")["dagster/uri"] == uri
    location.everything()
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(counts) == [(1, 40), (2, 40), (3, 40)]
    checks = location.run("checks_job").get_asset_check_evaluations()
    assert {c.check_name for c in checks if not c.passed} == {"no_unknown_columns"}
    assert not list(workdir.glob("*.duckdb"))


@pytest.mark.parametrize("storage", ["a folder"], indirect=True)
def test_rows_are_in_parquet_files_of_the_folder(workdir: Path) -> None:
    load_clicks(1)
    assert list(workdir.glob("lake files/link_assets/clicks/*.parquet"))


def test_a_refused_connection_is_explained_without_the_password(
    location: Location, port: int, database: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for user, place, text in (
        ("guarded", f"{port}/{database}", 'user "guarded"'),
        ("nobody", f"{port}/{database}", 'role "nobody" does not exist'),
        ("loader", f"{port}/{database}_gone", "does not exist"),
        ("loader", "1/x", "Connection refused"),
    ):
        address = f"postgresql://{user}:{SECRET}@127.0.0.1:{place}"
        monkeypatch.setenv(f"{SECTION}__CATALOG", address)
        message = failure_text(location.links())
        assert text in message
        assert "client_type" not in message
        assert SECRET not in message + caplog.text


def test_a_load_waits_only_so_long_for_another_machine(
    port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.2")
    with open_pipeline("clicks_elsewhere") as elsewhere:
        elsewhere.restore()
        with configured_warehouse().loading_alone(elsewhere.dlt, ["link_assets_clicks_2"], 1):
            with pytest.raises(WarehouseBusy, match=r"not free for 0\.2 seconds .*loading"):
                load_clicks(1)
            assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
    load_clicks(1)
    locks = "SELECT * FROM pg_locks WHERE locktype = 'advisory'"
    assert run_sql(port, database, locks) == []


def test_the_catalog_is_let_go_of_when_nothing_uses_the_lake(port: int, database: str) -> None:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
    with exclusive_access("looking"):
        assert run_sql(port, "postgres", query) != [(0,)]
    wait_until(lambda: run_sql(port, "postgres", query) == [(0,)])


def test_the_report_is_made_from_a_lake(link_assets: Command, workdir: Path) -> None:
    for domain in (1, 2, 3):
        load_clicks(domain)
    done = link_assets("report")
    assert done.exit_code == 0, done.output
    assert "120" in (workdir / "report.html").read_text()


@pytest.mark.parametrize("storage", ["a folder"], indirect=True)
def test_files_elsewhere_than_the_catalog_knows_are_refused_with_the_setting(
    location: Location, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    monkeypatch.setenv(f"{SECTION}__STORAGE__BUCKET_URL", str(workdir / "elsewhere"))
    message = failure_text(location.links())
    known = workdir / "lake files"
    assert f"files are in {known}/: set {SECTION}__STORAGE__BUCKET_URL to that." in message


@pytest.mark.parametrize("storage", ["a folder"], indirect=True)
def test_a_lake_is_read_where_its_files_were_moved_to(
    storage: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    moved = shutil.move(storage, workdir / "elsewhere")
    monkeypatch.setenv(f"{SECTION}__STORAGE__BUCKET_URL", str(moved))
    monkeypatch.setenv("DESTINATION__DUCKLAKE__OVERRIDE_DATA_PATH", "true")
    load_clicks(2)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(80,)]
    assert not Path(storage).exists()


def test_a_catalog_of_an_older_ducklake_is_changed_only_where_that_is_set(
    location: Location, port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    older = "UPDATE ducklake.ducklake_metadata SET value = '0.4' WHERE key = 'version'"
    run_sql(port, database, older)
    assert "set AUTOMATIC_MIGRATION to TRUE" in failure_text(location.links())
    monkeypatch.setenv("DESTINATION__DUCKLAKE__AUTOMATIC_MIGRATION", "true")
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


def test_the_statements_that_the_document_shows_run(
    port: int, database: str, storage: str, request: pytest.FixtureRequest
) -> None:
    load_clicks(1)
    load_clicks(1)
    cleaning, reading, keys = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    address = f"host=127.0.0.1 port={port} dbname={database} user=loader"
    reading = re.sub("host=localhost .*?(?=')", address, reading)
    extensions = EXTENSIONS
    with duckdb.connect() as connection:
        if storage.startswith("s3:"):
            extensions += (OF_OBJECT_STORES,)
            server = request.getfixturevalue("store").removeprefix("http://")
            keys = keys.replace(")", f", ENDPOINT '{server}', USE_SSL false, URL_STYLE path)")
        for extension in extensions:
            connection.execute(f"LOAD {_loadable(extension)}")
        if storage.startswith("s3:"):
            connection.execute(keys)
        assert connection.execute(reading).fetchall() == [(40,)]
        connection.execute("DETACH lake")
        connection.execute(reading.replace(", READ_ONLY", ""))
        connection.execute(cleaning.replace("INTERVAL 7 DAY", "INTERVAL 0 DAY"))
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
