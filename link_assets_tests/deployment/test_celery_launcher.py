"""A run's worker is asked for it: what is alive stays, what died is failed, and soon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from celery.result import AsyncResult
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from link_assets.celery_launcher import MISSES, WatchfulCeleryRunLauncher
from link_assets_tests.dagster_dev import until
from link_assets_tests.deployment.redis_server import RedisServer, needs_redis, redis_server
from link_assets_tests.support import dagster_instance

pytestmark = [pytest.mark.deployment, needs_redis]
PROJECT = Path(__file__).parents[2]
RUNNING, FAILED, SUCCESS = WorkerStatus.RUNNING, WorkerStatus.FAILED, WorkerStatus.SUCCESS


@dg.job
def some_job() -> None: ...


class RunOnWorker:
    """A run that is started, as a task on a worker that is started for it."""

    def __init__(self, broker: RedisServer, folder: Path, instance: dg.DagsterInstance) -> None:
        self._folder, self._instance = folder, instance
        self.launcher = WatchfulCeleryRunLauncher(
            default_queue="dagster", broker=broker.url, backend=broker.url
        )
        self.launcher.register_instance(instance)
        self.worker = start_worker(broker, folder)

    def start(self) -> None:
        """Returns once the worker has begun."""
        file = str(self._folder / "end")
        self.task: AsyncResult = self.launcher.celery.send_task("wait_for", [file], queue="dagster")
        self.run = self._instance.create_run_for_job(
            some_job,
            status=dg.DagsterRunStatus.STARTED,
            tags={DAGSTER_CELERY_TASK_ID_TAG: str(self.task.id)},
        )
        until(lambda: self.task.state == "STARTED")

    def status(self) -> WorkerStatus:
        return self.launcher.check_run_worker_health(self.run).status

    def end(self) -> None:
        (self._folder / "end").touch()
        until(lambda: self.task.state == "SUCCESS")


def start_worker(broker: RedisServer, folder: Path) -> subprocess.Popen[bytes]:
    shutil.copy(PROJECT / "deploy" / "dagster_celery_config.py", folder)
    path = os.pathsep.join([str(folder), str(PROJECT)])
    app = ["-A", "link_assets_tests.deployment.waiting_task"]
    with (folder / "worker.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "celery", *app, "worker", "-Q", "dagster", "-n", "one@%h"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path, "LINK_ASSETS_BROKER": broker.url},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.fixture
def broker(workdir: Path) -> Iterator[RedisServer]:
    with redis_server(workdir / "redis") as server:
        yield server


@pytest.fixture
def begun(broker: RedisServer, workdir: Path) -> Iterator[RunOnWorker]:
    with dagster_instance(str(workdir / "dagster")) as instance:
        run = RunOnWorker(broker, workdir, instance)
        try:
            run.start()
            yield run
        finally:
            os.killpg(run.worker.pid, signal.SIGKILL)
            run.worker.wait()


def test_a_run_that_goes_on_is_never_failed_until_its_worker_dies(begun: RunOnWorker) -> None:
    assert [begun.status() for _ in range(3 * MISSES)] == [RUNNING] * 3 * MISSES
    os.killpg(begun.worker.pid, signal.SIGKILL)
    assert [begun.status() for _ in range(MISSES)] == [*[RUNNING] * (MISSES - 1), FAILED]


def test_a_run_whose_process_dies_is_failed(begun: RunOnWorker) -> None:
    os.kill(begun.task.info["pid"], signal.SIGKILL)
    until(lambda: begun.task.state == "FAILURE", 60)
    assert begun.status() == FAILED


def test_a_task_that_ended_must_have_ended_its_run(begun: RunOnWorker) -> None:
    begun.end()
    assert begun.status() == FAILED
    begun._instance.report_run_failed(begun.run, "as it should be")
    assert begun.status() == SUCCESS


def test_a_broker_that_is_away_or_forgets_fails_no_run(
    begun: RunOnWorker, broker: RedisServer
) -> None:
    broker.kill()
    assert [begun.status() for _ in range(MISSES)] == [RUNNING] * MISSES
    assert broker.url not in str(begun.launcher.check_run_worker_health(begun.run))
    broker.start()
    until(lambda: begun.launcher.celery.control.inspect(timeout=1).ping(), 60)
    broker.client.delete(f"celery-task-meta-{begun.task.id}")
    assert [begun.status() for _ in range(MISSES)] == [RUNNING] * MISSES
