"""Dagster's home: kept between commands, and the same settings wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

from link_assets.home import FOLDER, use_dagster_home

STORAGE = {"storage", "local_artifact_storage", "compute_logs"}


def test_the_home_that_commands_make_is_set_like_the_project_s(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    home = use_dagster_home()
    assert home == workdir / FOLDER
    project = yaml.safe_load((Path(__file__).parents[1] / "dagster.yaml").read_text())
    settings = {name: value for name, value in project.items() if name not in STORAGE}
    assert yaml.safe_load((home / "dagster.yaml").read_text()) == settings
    with DagsterInstance.get() as instance:
        assert instance.managed_python_loggers == ["link_assets"]
        assert instance.run_retries_max_retries == 2


def test_a_given_home_is_left_as_it_is(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(workdir / "elsewhere"))
    assert use_dagster_home() == workdir / "elsewhere"
    assert not (workdir / "elsewhere").exists()
