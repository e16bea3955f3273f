"""An empty lake for each test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from link_assets_tests.warehouse.destinations.postgres_server import new_database, postgres_server
from link_assets_tests.warehouse.ducklake.lake import lake_settings


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def database(port: int) -> str:
    """The name of the catalog's database."""
    return new_database(port)


@pytest.fixture(autouse=True)
def lake(
    port: int, database: str, api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake_settings(port, database, workdir).items():
        monkeypatch.setenv(name, value)
