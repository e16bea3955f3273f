"""Another destination, by configuration: a PostgreSQL server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from link_assets.chunks import Chunks
from link_assets.contract import CLICKS
from link_assets.progress import Progress
from link_assets.settings import api_settings
from link_assets.source import clicks_source
from link_assets_tests.postgres_server import needs_postgres, new_database, postgres_server
from link_assets_tests.support import Location, rows

pytestmark = needs_postgres


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def server(port: int) -> str:
    """The address of an empty database."""
    return f"postgresql://loader:unused@127.0.0.1:{port}/{new_database(port)}"


@pytest.fixture(autouse=True)
def destination(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", server)


def test_everything_loads_and_every_check_runs(location: Location, workdir: Path) -> None:
    location.everything()
    location.everything()
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(counts) == [(1, 40), (2, 40), (3, 40)]
    columns = rows(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'link_assets' AND table_name = 'clicks'"
    )
    assert {field.column for field in CLICKS.columns} <= {name for (name,) in columns}
    checks = location.run("checks_job").get_asset_check_evaluations()
    assert {c.check_name for c in checks if not c.passed} == {"no_unknown_columns"}
    assert not list(workdir.glob("*.duckdb"))


def test_domains_loaded_at_once_in_chunks_lose_nothing(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")

    def load(domain: int) -> int:
        settings, progress = api_settings(), Progress()
        with Chunks(f"clicks_{domain}") as chunks:
            while not progress.finished:
                chunks.load(lambda p: p.run(clicks_source(settings, domain, progress)))
        return progress.accepted

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(load, (1, 2, 3))) == [40, 40, 40]
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(counts) == [(1, 40), (2, 40), (3, 40)]
