"""The commands of docs/deploy.md that look after a deployment do so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from link_assets.sandbox import Sandbox, World
from link_assets_tests.dagster_dev import until
from link_assets_tests.deployment.backfill import Backfill
from link_assets_tests.deployment.redis_server import needs_redis
from link_assets_tests.deployment.services import DEPLOY, Service, deployment
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

pytestmark = [pytest.mark.deployment, needs_postgres, needs_redis]

TEXT = (DEPLOY.parent / "docs" / "deploy.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)
WORLD = World(domains=3, links_per_domain=3, clicks_per_domain=40)
QUEUED = dg.DagsterRunStatus.QUEUED
AT_WORK = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


@pytest.fixture
def sandbox() -> Sandbox:
    """Domains whose runs take some seconds."""
    return Sandbox(world=WORLD, page_size=10, latency=0.5)


def test_every_command_succeeds(api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with deployment(workdir, monkeypatch) as (services, _):
        printed = [until(lambda line=line: run(line, services["daemon"]), 60) for line in COMMANDS]
    workers = printed[2]
    assert "one@" in workers
    assert "two@" in workers
    assert '"link_assets": 0 / 4 slots' in printed[-1]


def test_a_run_that_has_no_place_in_the_pool_waits_in_the_queue(
    api: str, sandbox: Sandbox, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DOMAINS_PER_RUN", "1")
    with (
        deployment(workdir, monkeypatch) as (services, ui),
        dg.DagsterInstance.from_config(str(services["daemon"].folder)) as instance,
    ):
        assert run("dagster instance concurrency set link_assets 1", services["daemon"])
        backfill = Backfill(ui, instance, [1, 2, 3])
        backfill.start()
        seen: list[tuple[int, int]] = []

        def is_complete() -> bool:
            """Counts the runs that are under way and those that wait, as long as there are any."""
            seen.append((len(backfill.runs(*AT_WORK)), len(backfill.runs(QUEUED))))
            return backfill.is_complete()

        until(is_complete, 180)
        assert loaded_clicks() == expected_world(WORLD)
    assert max(at_work for at_work, _ in seen) == 1
    assert max(waiting for _, waiting in seen) == 2


def run(line: str, beside: Service) -> str:
    """What a command prints that is given where a service runs; nothing if it fails."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        line,
        shell=True,
        cwd=beside.folder,
        env={**beside.environment, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    print(line, done.stdout, done.stderr)
    return done.stdout + done.stderr if done.returncode == 0 else ""
