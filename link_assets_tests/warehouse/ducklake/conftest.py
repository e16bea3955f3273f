"""An empty lake for each test of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from link_assets_tests.warehouse.destinations.postgres_server import new_database, postgres_server
from link_assets_tests.warehouse.ducklake.lake import lake_settings
from link_assets_tests.warehouse.ducklake.object_store import (
    BUCKET,
    needs_object_store,
    object_store,
    store_settings,
)


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def database(port: int) -> str:
    """The name of the catalog's database."""
    return new_database(port)


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The URL of an object store."""
    with object_store() as url:
        yield url


@pytest.fixture(params=["a folder", pytest.param("S3", marks=needs_object_store)])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the lake's files are."""
    if request.param == "a folder":
        return str(request.getfixturevalue("workdir") / "lake files")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in store_settings(request.getfixturevalue("store")).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{request.getfixturevalue('database')}"


@pytest.fixture(autouse=True)
def lake(port: int, database: str, storage: str, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lake_settings(port, database, storage).items():
        monkeypatch.setenv(name, value)
