"""A DuckLake of the tests' own: a catalog on their PostgreSQL server, and a place for files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import pytest

from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

SECTION = "DESTINATION__DUCKLAKE__CREDENTIALS"
TO_RUN = "uv run --no-group newest-duckdb --extra ducklake pytest"


def _is_for_this_duckdb() -> bool:
    """Whether the extension is installed and made for the DuckDB that is.

    `uv run` leaves what an earlier one installed.
    """
    try:
        return version("duckdb-extension-ducklake") == version("duckdb")
    except PackageNotFoundError:
        return False


needs_ducklake = [
    needs_postgres,
    pytest.mark.skipif(
        not _is_for_this_duckdb(),
        reason=f"no DuckLake for this version of DuckDB; to run: {TO_RUN}",
    ),
]


def lake_settings(port: int | str, database: str, storage: str) -> Mapping[str, str]:
    """The settings of a lake with its catalog in this database and its files at this place."""
    return {
        "DESTINATION_TYPE": "ducklake",
        f"{SECTION}__CATALOG": f"postgresql://loader:unused@127.0.0.1:{port}/{database}",
        f"{SECTION}__STORAGE__BUCKET_URL": storage,
    }
