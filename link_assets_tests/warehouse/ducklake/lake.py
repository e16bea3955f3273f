"""A DuckLake of the tests' own: a catalog on their PostgreSQL server, and a folder."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

SECTION = "DESTINATION__DUCKLAKE__CREDENTIALS"
TO_RUN = "uv run --no-group newest-duckdb --extra ducklake pytest"

needs_ducklake = [
    needs_postgres,
    pytest.mark.skipif(
        not find_spec("duckdb_extension_ducklake"),
        reason=f"no DuckLake for this version of DuckDB; to run: {TO_RUN}",
    ),
]


def lake_settings(port: int | str, database: str, folder: Path) -> Mapping[str, str]:
    """The settings of a lake with its catalog in this database."""
    return {
        "DESTINATION_TYPE": "ducklake",
        f"{SECTION}__CATALOG": f"postgresql://loader:unused@127.0.0.1:{port}/{database}",
        f"{SECTION}__STORAGE__BUCKET_URL": str(folder / "lake files"),
    }
