"""What a user does: start the UI, materialize, backfill every domain, look at the rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from link_assets_tests.dagster_dev import dagster_dev, free_port, until
from link_assets_tests.support import rows

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
    with dagster_dev(workdir) as dagster:
        graphql = dagster.graphql
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
