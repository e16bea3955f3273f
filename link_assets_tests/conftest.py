"""What tests stand on: the sandbox API on loopback, an empty folder, a real Dagster instance."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

_AMBIENT = ("SOURCES__", "DESTINATION", "LINK_ASSETS__", "DAGSTER_", "DLT_", "RUNTIME__", "API_KEY")
for name in [name for name in os.environ if name.startswith(_AMBIENT)]:
    del os.environ[name]
# the many processes that tests start compile what they import once
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
_NOWHERE = tempfile.TemporaryDirectory(prefix="link_assets_tests_")
os.environ |= {
    # dlt and Dagster read these as they are imported: no settings of the machine's, no telemetry
    "DLT_PROJECT_DIR": _NOWHERE.name,
    "DLT_DATA_DIR": _NOWHERE.name,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}

import pytest  # noqa: E402

from link_assets.cli import dev  # noqa: E402
from link_assets.sandbox import Sandbox, World, serve  # noqa: E402
from link_assets_tests.support import Location, dagster_instance  # noqa: E402
from link_assets_tests.traces import Traces, traces_kept  # noqa: E402


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves a part of the tests: `PART=2/3` is the second of three that make up all.

    The test that mostly waits for Dagster's daemon comes first, so that others fill its time.
    """
    part, parts = map(int, os.environ.get("PART", "1/1").split("/"))
    others = [item for item in items if crc32(item.nodeid.encode()) % parts != part - 1]
    config.hook.pytest_deselected(items=others)
    left_out = {id(item) for item in others}
    items[:] = [item for item in items if id(item) not in left_out]
    items.sort(key=lambda item: "test_end_to_end" not in item.nodeid)


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: empty, and so is the warehouse in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dev` that is not refused fails instead of starting Dagster."""

    def start(command: list[str]) -> int:
        raise AssertionError(f"started {command}")

    monkeypatch.setattr(dev, "_run_until_stopped", start)


@pytest.fixture
def sandbox() -> Sandbox:
    """Three domains of 40 clicks in pages of 15; tests change it as they like."""
    return Sandbox(world=World(clicks_per_domain=40, links_per_domain=5), page_size=15)


@pytest.fixture
def api(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The sandbox on loopback, configured as the API, with retries that hardly wait."""
    with serve(sandbox) as url:
        monkeypatch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", sandbox.api_key)
        monkeypatch.setenv("SOURCES__LINK_ASSETS__BACKOFF_FACTOR", "0.01")
        if sandbox.api != "guide":
            monkeypatch.setenv("SOURCES__LINK_ASSETS__API", sandbox.api)
            monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", f"{url}/statistics")
        yield url


@pytest.fixture
def location(api: str, workdir: Path) -> Iterator[Location]:
    """The code location on a Dagster instance of its own, reading the sandbox."""
    (workdir / "dagster").mkdir()
    with dagster_instance(str(workdir / "dagster")) as instance:
        yield Location(instance)


@pytest.fixture
def traces(
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Traces]:
    with traces_kept(workdir, monkeypatch, caplog, capfd) as kept:
        yield kept
