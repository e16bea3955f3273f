"""The commands, as a user types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import requests
from click.testing import CliRunner

from link_assets.cli import SECTION, main
from link_assets.contract import CLICKS
from link_assets.sandbox import Fault, Sandbox, World, serve
from link_assets.translator import CLICKS_KEY
from link_assets_tests.support import rows
from link_assets_tests.test_end_to_end import free_port, until


@pytest.fixture
def environment_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands set in this process's environment is gone after the test."""
    for name in ("DAGSTER_HOME", f"{SECTION}__BASE_URL", f"{SECTION}__API_KEY"):
        monkeypatch.setenv(name, "not set, but put back as it was")
        monkeypatch.delenv(name)


def all_clicks() -> list[tuple[object, ...]]:
    columns = ", ".join(field.column for field in CLICKS.columns)
    return sorted(rows(f"SELECT {columns} FROM {{dataset}}.clicks"), key=repr)


@pytest.mark.usefixtures("environment_restored")
def test_the_demo_loads_everything_says_so_and_changes_no_row_the_second_time(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["demo"])
    assert first.exit_code == 0, first.output
    assert f"The warehouse is {workdir}/warehouse.duckdb" in first.output
    assert first.output.count("│ 400 ") == 3
    loaded = all_clicks()
    monkeypatch.delenv(f"{SECTION}__BASE_URL")
    second = CliRunner().invoke(main, ["demo"])
    assert second.exit_code == 0, second.output
    assert len(loaded) == 1200
    assert all_clicks() == loaded
    with dg.DagsterInstance.from_config(str(workdir / ".dagster_home")) as instance:
        assert instance.get_runs_count() == 6
        assert instance.get_materialized_partitions(CLICKS_KEY) == {"1", "2", "3"}


def test_the_demo_fails_if_a_load_fails(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from link_assets.demo import run_demo

    monkeypatch.setenv("DAGSTER_HOME", str(workdir))
    api = Sandbox(world=World(clicks_per_domain=5), faults=[Fault(path="/v1/domain/2", status=403)])
    with serve(api) as url:
        monkeypatch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", api.api_key)
        assert run_demo() is False
    assert "clicks of domain 2, page 1: the API answered 403" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.usefixtures("environment_restored")
def test_the_demo_keeps_out_of_a_configured_apis_warehouse(workdir: Path) -> None:
    (workdir / ".env").write_text(f"{SECTION}__BASE_URL=https://api.example.com\n")
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "SOURCES__LINK_ASSETS__BASE_URL is set" in result.output
    assert not (workdir / "warehouse.duckdb").exists()


def test_the_sandbox_serves_and_prints_the_settings_to_read_it(workdir: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "link_assets.cli", "sandbox", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url, key = (process.stdout.readline().strip() for _ in range(2))
            assert url == f"SOURCES__LINK_ASSETS__BASE_URL=http://127.0.0.1:{port}"
            headers = {"Authorization": key.partition("=")[2]}
            page = until(
                lambda: requests.get(
                    f"http://127.0.0.1:{port}/v1/links", headers=headers, timeout=5
                )
            )
            assert page.json()["count"] == 36
        finally:
            process.kill()  # what a background job starts may ignore the gentler signal
