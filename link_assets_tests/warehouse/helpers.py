"""What several tests of the warehouse do: load, start other processes, wait for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source, links_source
from link_assets.warehouse.pipeline import open_pipeline

SETTING = "DESTINATION__DUCKDB__CREDENTIALS"
DEFAULT = "warehouse.duckdb"


def load_clicks(domain: int = 1) -> None:
    with open_pipeline(f"clicks_{domain}") as pipeline:
        pipeline.run(clicks_source(api_settings(), domain))


def load_links() -> None:
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings()))


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process in this folder with these settings, ended on the way out."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": root}
    started = subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate(timeout=10)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def set_lock_timeout(monkeypatch: pytest.MonkeyPatch, seconds: str = "0.1") -> None:
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", seconds)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
