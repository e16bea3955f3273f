"""DuckDB as the destination: what it writes when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
from dlt.destinations.sql_client import SqlClientBase

from link_assets.duckdb_catalog import LARGE_COMMIT, catalog_duckdb

FILE, LOG = Path("link_assets.duckdb"), Path("link_assets.duckdb.wal")


def connected() -> SqlClientBase[Any]:
    """A client as each step of a load has its own."""
    destination = catalog_duckdb(credentials=str(FILE))
    return dlt.dataset(destination, "link_assets", dlt.Schema("link_assets")).sql_client


def commit(table: str, size: int) -> None:
    """Commits a table of so many bytes, in fewer rows than DuckDB writes before any commit."""
    columns = ", ".join(f"random() AS c{number}" for number in range(40))
    with connected() as client:
        client.execute_sql(f"CREATE TABLE {table} AS SELECT {columns} FROM range({size // 320})")


def test_a_large_commit_is_not_written_to_the_log_first() -> None:
    with connected():
        commit("large", 2 * LARGE_COMMIT)
        assert not LOG.exists()
    assert FILE.stat().st_size > LARGE_COMMIT


def test_small_commits_stay_in_the_log_however_many_there_are() -> None:
    with connected():
        for number in range(5):
            commit(f"small_{number}", LARGE_COMMIT // 3)
        assert LOG.stat().st_size > LARGE_COMMIT
    assert not LOG.exists()
