"""A load without any trouble, for each test to spoil its own copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from link_assets.sandbox import serve
from link_assets_tests.defs.checks.evaluated import (
    by_the_guide,
)
from link_assets_tests.support import Location, dagster_instance


@pytest.fixture(scope="session")
def good_load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the warehouse and the Dagster instance after a load without any trouble."""
    folder = tmp_path_factory.mktemp("good_load")
    (folder / "dagster").mkdir()
    api = by_the_guide()
    with (
        pytest.MonkeyPatch.context() as patch,
        serve(api) as url,
        dagster_instance(str(folder / "dagster")) as instance,
    ):
        patch.chdir(folder)
        patch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        patch.setenv("SOURCES__LINK_ASSETS__API_KEY", api.api_key)
        Location(instance).everything()
    return folder


@pytest.fixture
def loaded(good_load: Path, workdir: Path, api: str) -> Iterator[Location]:
    """A copy of the good load, to spoil."""
    shutil.copytree(good_load, workdir, dirs_exist_ok=True)
    with dagster_instance(str(workdir / "dagster")) as instance:
        yield Location(instance)
