"""Runs a job of the code location in this process, as a run of that job in Dagster's UI.

The Timeline and the Jobs page show the runs of a code location, which a run knows by its origin.
Dagster's own ways to run something in this process give it none, so its run is made here. It is
for `run_load` alone; the UI, schedules and `dagster job launch` make their runs themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg

# Private, as is `DagsterInstance.create_run`: Dagster has no public way to run a job in this
# process as one of its code location, nor to run one and to look at its events meanwhile.
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.snap import snapshot_from_execution_plan

from link_assets.cli.stop_signals import StopSignals
from link_assets.definitions import defs
from link_assets.defs.failures import cause_of, explained
from link_assets.defs.run_requests import with_partition

LOCATION = "link_assets.definitions"
"""The code location's name wherever nobody gives it another one: that of the module, which
workspace.yaml and `link-assets dev` load."""
NOT_RETRIED = {"dagster/max_retries": "0"}
"""Whoever waits for this process is told that a run failed, and does it again when they want. A
daemon's retry would come later, in another environment: the demo's sandbox is gone by then."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The run's log is in Dagster's UI; the terminal has the progress."""


@dataclass(frozen=True)
class JobRun:
    """A run that has ended, and what it did."""

    what: str
    """What it ran, as people read it."""
    run: dg.DagsterRun
    events: Sequence[dg.DagsterEvent]

    @property
    def succeeded(self) -> bool:
        """Return whether the run succeeded; failed checks do not make it fail."""
        return self.run.status == dg.DagsterRunStatus.SUCCESS

    @property
    def was_stopped(self) -> bool:
        """Return whether the run ended as canceled."""
        return self.run.status == dg.DagsterRunStatus.CANCELED

    @property
    def failures(self) -> Iterator[str]:
        """Yield why steps failed, the cause first."""
        for event in self.events:
            if event.is_step_failure:
                yield explained(event) or f"{event.step_key}: {cause_of(event)}"

    @property
    def materializations(self) -> Iterator[dg.AssetMaterialization]:
        """Yield what was loaded."""
        for event in self.events:
            if event.is_step_materialization:
                yield event.step_materialization_data.materialization

    @property
    def evaluations(self) -> Iterator[dg.AssetCheckEvaluation]:
        """Yield what checks found."""
        for event in self.events:
            data = event.event_specific_data
            if isinstance(data, dg.AssetCheckEvaluation):
                yield data


@dataclass(frozen=True)
class JobRequest:
    """A job to run, as a whole or in part.

    `request` says for which domains, `assets` which of its assets, None for all, `with_checks`
    whether the checks of what is loaded run as well, and `config` is that of its assets.
    """

    job: str
    what: str
    request: dg.RunRequest
    assets: Set[dg.AssetKey] | None = None
    with_checks: bool = True
    config: Mapping[str, Any] | None = None


def run_job(
    instance: dg.DagsterInstance,
    wanted: JobRequest,
    signals: StopSignals,
    step_begins: Callable[[str], object],
) -> JobRun:
    """Run a job to its end, and tell which of its steps begins.

    A signal that comes meanwhile ends it as canceled, as the UI does.
    """
    job, assets, checks = defs.resolve_job_def(wanted.job), wanted.assets, None
    if not wanted.with_checks:
        assets, checks = assets or job.asset_layer.selected_asset_keys, frozenset()
    subset = job.get_subset(asset_selection=assets, asset_check_selection=checks)
    run = _new_run(instance, subset, wanted, assets, checks)
    events: list[dg.DagsterEvent] = []
    for event in _events(instance, job, run, signals):
        events.append(event)
        if event.is_step_start and event.step_key:
            step_begins(event.step_key)
    ended = instance.get_run_by_id(run.run_id) or run
    if signals.first and ended.status == dg.DagsterRunStatus.FAILURE:
        # the signal came where no event tells of it
        instance.report_run_canceled(ended, "Stopped by a signal.")
        ended = instance.get_run_by_id(run.run_id) or ended
    return JobRun(wanted.what, ended, events)


def _new_run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    wanted: JobRequest,
    assets: Set[dg.AssetKey] | None,
    checks: Set[dg.AssetCheckKey] | None,
) -> dg.DagsterRun:
    """Return a run of the job that has not begun, recorded as one of the code location."""
    config = {**QUIET, **(wanted.config or {})}
    tags = {**job.run_tags, **with_partition(wanted.request), **NOT_RETRIED}
    reference = instance.get_ref() if instance.is_persistent else None
    plan = create_execution_plan(job, config, instance_ref=reference, tags=tags)
    repository = RemoteRepositoryOrigin(
        RegisteredCodeLocationOrigin(LOCATION), defs.get_repository_def().name
    )
    return instance.create_run(
        job_name=job.name,
        run_id=None,
        run_config=config,
        status=None,
        tags=tags,
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, job.get_job_snapshot_id()),
        job_snapshot=job.get_job_snapshot(),
        parent_job_snapshot=job.get_parent_job_snapshot(),
        asset_selection=assets,
        asset_check_selection=checks,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=repository.get_job_origin(job.name),
        job_code_origin=None,
        asset_graph=job.asset_layer.asset_graph,
    )


def _events(
    instance: dg.DagsterInstance, job: dg.JobDefinition, run: dg.DagsterRun, signals: StopSignals
) -> Iterator[dg.DagsterEvent]:
    """Execute the run and yield its events; after a signal note first that it is to be canceled.

    Dagster would otherwise end it as failed. A stopped step has an event before the run's last one.
    """
    canceling = False
    for event in execute_run_iterator(InMemoryJob(job), run, instance):
        if signals.first and not canceling:
            canceling = True
            instance.report_run_canceling(run, "Stopped by a signal.")
            # it may have come before Dagster looked for one
            signals.raise_again()
        yield event
