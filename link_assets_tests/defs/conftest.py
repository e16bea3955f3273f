"""What tests of the assets and of schedules start from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from link_assets.defs import configuration
from link_assets.sandbox import RequestRecord, Sandbox
from link_assets_tests.support import dagster_instance


@pytest.fixture
def bounded(sandbox: Sandbox) -> None:
    """Ends a run that reads without end."""

    def count(_: RequestRecord) -> None:
        assert len(sandbox.requests) < 60

    sandbox.on_request = count


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which are not made."""
    made: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def instance(workdir: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of its own, with no API and no warehouse."""
    (workdir / "dagster").mkdir()
    with dagster_instance(str(workdir / "dagster")) as instance:
        yield instance


@pytest.fixture
def two_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two domains a run."""
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, domains_per_run=2)
    )
