"""Dagster's home: kept between commands, and the same settings wherever it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from click.testing import CliRunner
from dagster import DagsterInstance

from link_assets.cli.dagster_home import FOLDER, HomeError, in_use, use_dagster_home
from link_assets.cli.main import main
from link_assets_tests.children import child
from link_assets_tests.dagster_dev import until

STORAGE = {"storage", "local_artifact_storage", "compute_logs"}


def test_the_home_that_commands_make_has_the_settings_of_the_projects_dagster_yaml(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    home = use_dagster_home()
    assert home == workdir / FOLDER
    project = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())
    settings = {name: value for name, value in project.items() if name not in STORAGE}
    assert yaml.safe_load((home / "dagster.yaml").read_text()) == settings
    with DagsterInstance.get() as instance:
        assert instance.managed_python_loggers == ["link_assets"]
        assert instance.run_retries_max_retries == 2
        queue = cast(Any, instance.run_coordinator)
        assert queue.dequeue_interval_seconds == 1
        assert queue.get_run_queue_config().max_concurrent_runs == 10


def test_a_given_home_is_left_as_it_is(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(workdir / "elsewhere"))
    assert use_dagster_home() == workdir / "elsewhere"
    assert not (workdir / "elsewhere").exists()


def relative(workdir: Path) -> tuple[str, str]:
    (workdir / "home").mkdir()
    return "home", "DAGSTER_HOME is home, which is not the absolute path of a folder"


def missing(workdir: Path) -> tuple[str, str]:
    return f"{workdir}/home", f"DAGSTER_HOME is {workdir}/home, which is not the absolute path"


def a_file(workdir: Path) -> tuple[str, str]:
    (workdir / FOLDER).touch()
    return "", f"{workdir}/{FOLDER}, in which Dagster is to keep its runs, cannot be made: File ex"


def broken(workdir: Path) -> tuple[str, str]:
    (workdir / "history").mkdir()
    (workdir / "history" / "runs.db").write_bytes(b"garbage" * 1000)
    return str(workdir), f"Dagster's records in its home {workdir} cannot be used (file is not a"


@pytest.mark.usefixtures("api", "nothing_starts")
@pytest.mark.parametrize("prepared", [relative, missing, a_file, broken])
def test_a_home_that_cannot_be_used_is_refused_in_one_sentence(
    prepared: Callable[[Path], tuple[str, str]], workdir: Path
) -> None:
    home, says = prepared(workdir)
    runner = CliRunner(env={"DAGSTER_HOME": home})
    commands = ["load", "dev"] if prepared is not broken else ["load"]  # dev leaves it to Dagster
    for command in commands:
        done = runner.invoke(main, [command])
        assert done.exit_code == 1
        assert done.output.startswith(f"Error: {says}")
        assert isinstance(done.exception, SystemExit)


def use_home(home: str) -> None:
    """Has the home in use until it is killed."""
    with in_use(Path(home), "at http://127.0.0.1:3999"):
        Path(home, "ready").touch()
        time.sleep(600)


@pytest.mark.usefixtures("nothing_starts")
def test_a_home_in_use_names_its_owner_and_is_free_once_that_is_killed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = workdir / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with child(use_home, str(home)) as process:
        until((home / "ready").exists)
        refused = CliRunner().invoke(main, ["dev"])
        assert refused.exit_code == 1
        said = f"Dagster already runs on {home}: process {process.pid}, at http://127.0.0.1:3999."
        assert said in refused.output
    with (
        in_use(home, "here"),
        pytest.raises(HomeError, match=f"process {os.getpid()}, here"),
        in_use(home, "there"),
    ):
        pass
    with in_use(home, "again"):
        assert (home / "dev.owner").read_text() == f"process {os.getpid()}, again"


def test_an_owner_without_a_readable_name_is_called_unknown(workdir: Path) -> None:
    with in_use(workdir, "here"):
        (workdir / "dev.owner").write_bytes(b"\xff")
        with pytest.raises(HomeError, match="an unknown process"), in_use(workdir, "there"):
            pass
