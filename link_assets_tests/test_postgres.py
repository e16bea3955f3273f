"""Another destination, by configuration: a PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from link_assets import steps
from link_assets.chunks import Chunks
from link_assets.contract import CLICKS
from link_assets.progress import Progress
from link_assets.sandbox import Sandbox
from link_assets.settings import api_settings
from link_assets.source import clicks_source
from link_assets_tests.support import Location, rows
from link_assets_tests.test_end_to_end import free_port
from link_assets_tests.test_versions import (
    load,
    load_links,
    serve,
    serve_spelled,
    spelled,
    versions,
)
from link_assets_tests.truth import expected_tags, loaded_tags

ENABLE = "apt-get update && apt-get install -y postgresql"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = SERVERS[-1] if SERVERS else Path(shutil.which("initdb") or "")

pytestmark = pytest.mark.skipif(
    not INITDB.name, reason=f"no PostgreSQL server here; to enable: {ENABLE}"
)


def as_server_user(*command: str | Path) -> None:
    """Runs a command of the server, which refuses to be root."""
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run(command, user=user, check=True, capture_output=True, cwd="/", timeout=60)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory(prefix="link_assets_postgres_") as name:
        if os.geteuid() == 0:
            shutil.chown(name, pwd.getpwnam("postgres").pw_uid)
        yield Path(name)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The address of a database on a free loopback port; stopped afterwards."""
    data, port = folder / "data", free_port()
    as_server_user(INITDB, "-D", data, "-U", "loader", "-A", "trust", "--no-sync")
    options = f"-p {port} -c unix_socket_directories= -c listen_addresses=127.0.0.1 -c fsync=off"
    control = INITDB.with_name("pg_ctl")
    as_server_user(control, "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield f"postgresql://loader:unused@127.0.0.1:{port}/postgres"
    finally:
        as_server_user(control, "-D", data, "-m", "immediate", "stop")


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


def test_the_last_version_of_a_row_is_kept(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "BATCH_ROWS", 2)
    pages, kept = "a0 b0 | c0 d0 | e0 b1 | a2 | a1 c1", "a1 b1 c1 d0 e0"
    for _ in range(2):
        serve_spelled(sandbox, "links", pages)
        load_links()
        assert loaded_tags() == expected_tags(spelled("links", kept))
        serve_spelled(sandbox, "clicks", pages)
        load()
        assert versions("links") == versions("clicks") == kept


def test_text_with_nul_is_set_aside(api: str, sandbox: Sandbox) -> None:
    bad = [{"dt": "2026-02-01T12:00:00Z", "n\x00w": "x\x00"}, {"id": "a", "tags": ["x\x00"]}]
    for table, row in zip(("clicks", "links"), bad, strict=True):
        serve(sandbox, table, [[row, spelled(table, "n0")[0]]])
        (load if table == "clicks" else load_links)()
        assert "n0" in versions(table)
    reasons = rows(
        "SELECT reason, payload LIKE '%%u0000%%' FROM {dataset}.rejected_rows ORDER BY 1"
    )
    nul = "is text with a NUL character, which not every warehouse can hold"
    assert reasons[-2:] == [(f"n\\u0000w: {nul}", True), (f"tags: {nul}", True)]
