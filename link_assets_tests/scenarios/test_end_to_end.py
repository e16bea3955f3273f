"""What a user does: start the UI, materialize, backfill every domain, look at the rows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from link_assets_tests.support import rows

T = TypeVar("T")
MATERIALIZE_LINKS = """
mutation ($location: String!) {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: $location, repositoryName: "__repository__", jobName: "links_job"
    }
  }) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""
BACKFILL = """
mutation ($partitions: [String!]!) {
  launchPartitionBackfill(backfillParams: {
    assetSelection: [{path: ["link_assets", "clicks"]}], partitionNames: $partitions
  }) { ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""
RUN_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
BACKFILL_STATUS = (
    "query ($id: String!) { partitionBackfillOrError(backfillId: $id)"
    " { ... on PartitionBackfill { status } } }"
)
PARTITIONS = """
query {
  assetNodeOrError(assetKey: {path: ["link_assets", "clicks"]}) {
    ... on AssetNode { partitionKeys }
  }
}"""


@pytest.mark.long
def test_a_backfill_from_the_ui_brings_every_click(workdir: Path) -> None:
    with dagster_dev(workdir) as graphql:
        assert "Dagster already runs on" in second_dev(workdir)
        launched = graphql(MATERIALIZE_LINKS, location="link_assets.definitions")["launchRun"]
        run = launched["run"]["runId"]
        until(lambda: graphql(RUN_STATUS, id=run)["runOrError"]["status"] == "SUCCESS")
        partitions = graphql(PARTITIONS)["assetNodeOrError"]["partitionKeys"]
        assert partitions == ["1", "2", "3"]
        started = graphql(BACKFILL, partitions=partitions)["launchPartitionBackfill"]
        backfill = started["backfillId"]
        until(
            lambda: (
                graphql(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]["status"]
                == "COMPLETED_SUCCESS"
            )
        )
    counts = rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1")
    assert counts == [(1, 400), (2, 400), (3, 400)]
    assert (workdir / ".dagster_home" / "history").is_dir()


def second_dev(folder: Path) -> str:
    """Why `link-assets dev` does not start a second time in a folder."""
    command = [sys.executable, "-m", "link_assets.cli", "dev", "--port", str(free_port())]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said = process.communicate(timeout=120)[1]
        finally:  # with what it starts if it is not refused
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    return said


@contextmanager
def dagster_dev(folder: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """`link-assets dev` in a folder, as what asks its GraphQL API; ended with its children."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "link_assets.cli", "dev", "--port", url.rpartition(":")[2]]
    log = (folder / "dev.log").open("w")
    process = subprocess.Popen(
        command, cwd=folder, stdout=log, stderr=log, env=os.environ, start_new_session=True
    )

    def graphql(query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{url}/graphql", json=body, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    try:
        until(lambda: _answers(url))
        yield graphql
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
