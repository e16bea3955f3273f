"""Chromium, for tests of what people see.

Playwright comes with the dependency group `browser`, Chromium with the machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser  # pyright: ignore[reportMissingImports]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def needs_browser(tests: str) -> pytest.MarkDecorator:
    """Skips where there is no browser, and says what would run these tests."""
    return pytest.mark.skipif(
        not (CHROMIUM and find_spec("playwright")),
        reason="no Chromium and playwright here; apt-get install -y chromium, then "
        f"run: uv run --group browser pytest {tests}",
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window, that asks nobody for anything by itself."""
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    with sync_playwright() as playwright:
        # as root Chromium has no sandbox
        arguments = ["--no-sandbox", *QUIET]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def picture(name: str) -> Path:
    """Where a picture for the documents goes: the folder in PICTURES, or else the working one."""
    return Path(os.environ.get("PICTURES", "."), name)
