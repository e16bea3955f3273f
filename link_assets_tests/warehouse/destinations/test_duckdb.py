"""The DuckDB file: where it is, how much memory it gets, and what stays in it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.destinations.duckdb_client import database_name
from link_assets_tests.support import mostly_long, rows
from link_assets_tests.warehouse.helpers import DEFAULT, SETTING, load_clicks, load_links


def test_the_warehouse_is_a_file_in_the_working_folder_by_default(workdir: Path) -> None:
    assert configured_warehouse().address == str(workdir / DEFAULT)


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("{folder}/elsewhere/w.duckdb", "{folder}/elsewhere/w.duckdb"),
        ("duckdb:///{folder}/elsewhere/w.duckdb", "{folder}/elsewhere/w.duckdb"),
        ("beside.duckdb", "{folder}/beside.duckdb"),
        ("duckdb:///beside.duckdb", "{folder}/beside.duckdb"),
    ],
    ids=["path", "URL", "relative path", "relative URL"],
)
def test_a_setting_moves_the_warehouse(
    given: str, file: str, api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, given.format(folder=workdir))
    expected = Path(file.format(folder=workdir))
    assert configured_warehouse().address == str(expected)
    load_clicks()
    assert expected.is_file()
    assert not (workdir / DEFAULT).exists()
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


@pytest.mark.parametrize(
    "name",
    mostly_long(
        [DEFAULT, "o-ther.2.duckdb", "LINK_ASSETS.db", "link_assets", ".hidden", "temp.db"], 2
    ),
)
def test_any_file_name_holds_tables_that_one_query_can_join(
    name: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, name)
    load_links()
    load_clicks()
    load_clicks()
    found = rows(
        "SELECT count(DISTINCT l.id), count(DISTINCT c.click_id)"
        " FROM {dataset}.links AS l JOIN {dataset}.clicks AS c ON c.domain_id = l.domain_id"
    )
    assert found == [(5, 40)]


def test_duckdb_takes_no_more_memory_than_allowed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DUCKDB_MEMORY", "256MiB")
    assert rows("SELECT current_setting('memory_limit')") == [("256.0 MiB",)]


@pytest.mark.parametrize(
    "name", [DEFAULT, "o-ther.2.duckdb", "UPPER.DB", ".hidden.db", "temp.db", "system", "main.x"]
)
def test_database_name_is_what_duckdb_derives_from_the_file(name: str, workdir: Path) -> None:
    with duckdb.connect(name) as database:
        assert database.execute("SELECT current_database()").fetchone() == (database_name(name),)


def test_no_staged_copy_stays_in_the_file(api: str) -> None:
    with duckdb.connect(DEFAULT) as database:
        database.execute("CREATE SCHEMA link_assets_staging")  # as earlier versions did
        database.execute("CREATE TABLE link_assets_staging.clicks AS SELECT 1 AS ip")
    load_links()
    load_clicks()
    load_clicks()
    found = rows("SELECT DISTINCT schema_name FROM duckdb_tables() WHERE NOT internal")
    assert found == [("link_assets",)]


def test_after_a_load_everything_is_in_the_file(api: str, workdir: Path) -> None:
    load_clicks()
    assert (workdir / DEFAULT).exists()
    assert not (workdir / f"{DEFAULT}.wal").exists()


def test_a_file_that_is_no_database_is_named_and_left_alone(api: str, workdir: Path) -> None:
    (workdir / DEFAULT).write_bytes(b"not a database " * 1000)
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(Exception, match="not a valid DuckDB database") as refused:
            use()
        assert str(workdir / DEFAULT) in str(refused.value)
    assert (workdir / DEFAULT).read_bytes() == b"not a database " * 1000
