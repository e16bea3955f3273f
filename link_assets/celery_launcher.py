"""Runs on Celery workers, with workers that die noticed: deploy/dagster.yaml names this launcher.

Celery keeps a task as started when its worker dies whole, and so does dagster-celery with its run.
Here Dagster's run monitoring has the worker asked for the task.
"""

from __future__ import annotations

from typing import Any

from celery.exceptions import CeleryError
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

MISSES = 3
"""Checks in a row without a sign of the task after which its run is failed."""
ANSWER_SECONDS = 2.0
"""How long a worker may take to answer."""


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """A CeleryRunLauncher that fails a run whose worker no longer has it.

    With a poll interval of 5 seconds that takes up to 21 seconds. A broker that is away fails no
    run: nothing can be known of it then.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._misses: dict[str, int] = {}

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return RUNNING as long as a worker has the run's task, FAILED once none does."""
        try:
            result = self._checked(run)
        except (CeleryError, KombuError, RedisError, OSError) as error:
            # without the error's text, which may have the broker's address and password
            self._misses.pop(run.run_id, None)
            return _running(f"The broker is away ({type(error).__name__}).")
        if result.status == WorkerStatus.FAILED:
            self._misses.pop(run.run_id, None)
        return result

    def _checked(self, run: DagsterRun) -> CheckRunHealthResult:
        task = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])
        # a result that is read again on each access may change between two of them
        meta = task.backend.get_task_meta(task.id, cache=False)
        if meta["status"] == "FAILURE":
            return _failed("The worker's process ended.")
        if meta["status"] == "SUCCESS":
            return self._ended(run)
        worker = meta["result"].get("hostname") if meta["status"] == "STARTED" else None
        if self._is_known(task.id, worker):
            self._misses.pop(run.run_id, None)
            return _running(None)
        return self._missed(run, worker)

    def _ended(self, run: DagsterRun) -> CheckRunHealthResult:
        """Judge a run whose task has ended: its end must be with Dagster."""
        now = self._instance.get_run_by_id(run.run_id)
        if now and now.status == DagsterRunStatus.STARTED:
            return _failed("The task ended, and the run did not say how.")
        return CheckRunHealthResult(WorkerStatus.SUCCESS)

    def _is_known(self, task_id: str, worker: str | None) -> bool:
        """Whether the worker has the task; any worker, if the broker has forgotten which."""
        inspect = self.celery.control.inspect(
            destination=[worker] if worker else None, timeout=ANSWER_SECONDS
        )
        answers = inspect.query_task(task_id) or {}
        return any(task_id in (tasks or {}) for tasks in answers.values())

    def _missed(self, run: DagsterRun, worker: str | None) -> CheckRunHealthResult:
        misses = self._misses[run.run_id] = self._misses.get(run.run_id, 0) + 1
        where = f"the worker {worker}" if worker else "any worker"
        missing = f"Asked {misses} times, {where} did not have the run."
        return _failed(missing) if misses >= MISSES else _running(missing)


def _running(message: str | None) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.RUNNING, message)


def _failed(message: str) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.FAILED, message)
