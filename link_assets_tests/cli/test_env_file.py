"""What `.env` gives wins over the environment, whichever command reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from link_assets_tests.support import mostly_long, rows

PROJECT = Path(__file__).parents[2]
DAGSTER = [sys.executable, "-m", "dagster"]
DG = [str(Path(sys.executable).with_name("dg"))]
LINK_ASSETS = [sys.executable, "-m", "link_assets.cli"]
MATERIALIZE = [*DAGSTER, "asset", "materialize", "-m", "link_assets.definitions", "--select"]
LOADING = [
    [*MATERIALIZE, "key:link_assets/links"],
    [*DAGSTER, "job", "execute", "-m", "link_assets.definitions", "-j", "links_job"],
]
if Path(DG[0]).exists():
    LOADING.append([*DG, "launch", "--assets", "link_assets/links"])
READING = [
    [*DAGSTER, "definitions", "validate"],
    [*LINK_ASSETS, "demo"],
    [*LINK_ASSETS, "dev"],
]


@pytest.fixture
def clone(workdir: Path) -> Path:
    """A folder with the files that Dagster's commands look for at the top of the project."""
    for name in ("dagster.yaml", "dg.toml", "workspace.yaml"):
        shutil.copy(PROJECT / name, workdir)
    shutil.copytree(PROJECT / "link_assets", workdir / "link_assets")
    return workdir


def ran(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that was run to its end."""
    given = {**os.environ, **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=300)


@pytest.mark.long
@pytest.mark.parametrize("command", mostly_long(LOADING, 1))
def test_a_command_that_loads_reads_the_api_of_the_env_file(
    command: list[str], clone: Path, api: str
) -> None:
    (clone / ".env").write_text(f"SOURCES__LINK_ASSETS__BASE_URL={api}\n")
    done = ran(command, SOURCES__LINK_ASSETS__BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert rows("SELECT count(*) FROM {dataset}.links") == [(15,)]
    assert (clone / ".dagster_home" / "history" / "runs.db").is_file()
    if command[0] == DG[0]:
        assert "superseded" not in done.stdout + done.stderr
    (clone / ".env").write_text("SOURCES__LINK_ASSETS__API_KEY=of-the-file\n")
    refused = ran(command)
    assert refused.returncode != 0
    assert "the API answered 401" in refused.stdout + refused.stderr


@pytest.mark.long
@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_settings_reads_the_env_file(command: list[str], clone: Path) -> None:
    (clone / ".env").write_text("LINK_ASSETS__TIMEZONE=of/the-file\n")
    done = ran(command, LINK_ASSETS__TIMEZONE="of/the-environment")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "LINK_ASSETS__TIMEZONE must be" in said
    assert "'of/the-file'" in said


@pytest.mark.long
@pytest.mark.parametrize("command", READING)
def test_a_setting_that_the_env_file_lacks_is_taken_from_the_environment(
    command: list[str], clone: Path
) -> None:
    (clone / ".env").write_text("LINK_ASSETS__OWNER=team:data\n")
    done = ran(command, LINK_ASSETS__TIMEZONE="of/the-environment")
    assert done.returncode != 0
    assert "'of/the-environment'" in done.stdout + done.stderr
