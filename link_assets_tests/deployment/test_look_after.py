"""The commands of docs/deploy.md that look after a deployment do so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from link_assets_tests.dagster_dev import until
from link_assets_tests.deployment.redis_server import needs_redis
from link_assets_tests.deployment.services import DEPLOY, Service, deployment
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

pytestmark = [pytest.mark.deployment, needs_postgres, needs_redis]

TEXT = (DEPLOY.parent / "docs" / "deploy.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


def test_every_command_succeeds(api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with deployment(workdir, monkeypatch) as (services, _):
        printed = [until(lambda line=line: run(line, services["daemon"]), 60) for line in COMMANDS]
    workers = printed[2]
    assert "one@" in workers
    assert "two@" in workers
    assert '"link_assets": 0 / 4 slots' in printed[-1]


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
