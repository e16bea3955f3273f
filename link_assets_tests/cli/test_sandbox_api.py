"""The sandbox that the commands start is set as the API, with whichever contract it speaks."""

from __future__ import annotations

import os

import pytest
import requests
from click.testing import CliRunner

from link_assets.cli.before_start import SECTION
from link_assets.cli.main import main
from link_assets.cli.sandbox import sandbox_api

NAMES = [f"{SECTION}__{name}" for name in ("API", "BASE_URL", "STATISTICS_URL", "API_KEY")]


@pytest.fixture(autouse=True)
def _environment_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "not set, but put back as it was")
        monkeypatch.delenv(name)


def settings() -> list[str | None]:
    return [os.environ.get(name) for name in NAMES]


def test_the_guides_api_is_set_by_its_address_and_key_alone() -> None:
    with sandbox_api() as url:
        assert settings() == [None, url, None, "sandbox-key"]


def test_short_ios_api_is_set_with_the_address_of_its_statistics() -> None:
    with sandbox_api(only_if_unset=True, api="short_io") as url:
        assert settings() == ["short_io", url, f"{url}/statistics", "sandbox-key"]
        answer = requests.get(
            f"{url}/api/domains", headers={"Authorization": "sandbox-key"}, timeout=5
        )
        assert [domain["id"] for domain in answer.json()] == [1, 2, 3, 4]


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("command", ["demo", "dev", "sandbox"])
def test_an_api_that_nobody_speaks_is_refused(command: str) -> None:
    refused = CliRunner().invoke(main, [command, "--api", "other"])
    assert refused.exit_code == 2
    assert "'other' is not one of 'guide', 'short_io'" in refused.output
