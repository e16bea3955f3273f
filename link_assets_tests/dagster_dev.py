"""`link-assets dev` as its users start it, for tests that look at it from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

T = TypeVar("T")


@dataclass
class DagsterDev:
    """Dagster's UI at an address."""

    url: str

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of the answer; fails if it has errors."""
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{self.url}/graphql", json=body, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]


@contextmanager
def dagster_dev(folder: Path) -> Iterator[DagsterDev]:
    """`link-assets dev` in a folder once it answers; ended with its children."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "link_assets.cli", "dev", "--port", url.rpartition(":")[2]]
    log = (folder / "dev.log").open("w")
    process = subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=log, env=os.environ, start_new_session=True
    )
    try:
        until(lambda: _answers(url))
        yield DagsterDev(url)
    finally:
        process.terminate()
        try:
            process.wait(timeout=120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            log.close()


def _answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{url}/server_info", timeout=5).ok
    return False


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(ready: Callable[[], T], seconds: float = 300) -> T:
    """What `ready` returns once it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < deadline, f"not ready within {seconds:g} seconds"
        time.sleep(0.3)
    return value
