"""What tests of commands that use Dagster's home start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from link_assets.cli.main import main
from link_assets_tests.support import dagster_instance, instance_settings

Command = Callable[..., Result]


@pytest.fixture
def home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Dagster's home of this test, with what makes tests fast."""
    folder = workdir / "dagster_home"
    folder.mkdir()
    with dagster_instance(str(folder)):
        pass
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance_settings(str(folder))))
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.fixture
def link_assets(home: Path) -> Command:
    """The command `link-assets` with these arguments, run in this process; 200 columns wide."""

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner(env={"COLUMNS": "200", **environment}).invoke(main, arguments)

    return run
