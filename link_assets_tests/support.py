"""What several test modules do with the code location."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from link_assets.definitions import defs
from link_assets.defs.translator import CLICKS_KEY
from link_assets.warehouse.reader import reading

INSTANCE = {
    "telemetry": {"enabled": False},
    # capturing what a run prints takes four processes a run
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    },
}


def dagster_instance(folder: str) -> dg.DagsterInstance:
    """The Dagster instance kept in a folder, made if it is missing; processes may share it."""
    if not Path(folder, "history").exists():
        shutil.copytree(_new_instance().name, folder, dirs_exist_ok=True)
    return _instance(folder)


def _instance(folder: str) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(folder, instance_settings(folder))


def instance_settings(folder: str) -> dict[str, Any]:
    """What dagster.yaml says in the folder of such an instance."""
    # one database for the events of all runs; by default each run has one made for it
    events = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": folder},
    }
    return {**INSTANCE, "event_log_storage": events}


@cache
def _new_instance() -> tempfile.TemporaryDirectory[str]:
    """An empty instance to copy, since Dagster takes long to make one."""
    folder = tempfile.TemporaryDirectory(prefix="link_assets_tests_")
    with _instance(folder.name) as instance:
        instance.get_dynamic_partitions("domain")
        instance.get_runs(limit=1)
    return folder


@dataclass(frozen=True)
class Location:
    """The code location's jobs, run in this process."""

    instance: dg.DagsterInstance

    def run(self, job: str, **options: Any) -> dg.ExecuteInProcessResult:
        """Runs a job to its end; a failing run does not raise, its result tells."""
        definition = defs.resolve_job_def(job)
        return definition.execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )

    def links(self) -> dg.ExecuteInProcessResult:
        """Materializes the links, and so registers the domains."""
        return self.run("links_job")

    def clicks(self, first: str, last: str | None = None, **config: Any) -> Any:
        """Materializes the clicks of a domain, or of all from `first` to `last` in one run.

        The clicks alone, as by *Materialize* on their asset.
        """
        return self._clicks_job(first, last, config, asset_selection=[CLICKS_KEY])

    def clicks_and_days(self, first: str, last: str | None = None) -> Any:
        """Does the same and computes their daily clicks, as the schedule does."""
        return self._clicks_job(first, last, {})

    def _clicks_job(
        self, first: str, last: str | None, config: Mapping[str, Any], **options: Any
    ) -> dg.ExecuteInProcessResult:
        options["run_config"] = {"ops": {"clicks": {"config": config}}} if config else None
        if last is None:
            return self.run("clicks_job", partition_key=first, **options)
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        return self.run("clicks_job", tags=tags, **options)

    def retry(self, job: str, run_id: str) -> str:
        """Does a run again, as Dagster retries or re-executes it, to success; the new run's id."""
        parent = self.instance.get_run_by_id(run_id)
        assert parent is not None
        result = dg.execute_job(
            dg.build_reconstructable_job(__name__, "resolved_job", (job,)),
            self.instance,
            tags=parent.tags,
            reexecution_options=dg.ReexecutionOptions(parent_run_id=run_id),
        )
        assert result.success
        return result.run_id

    def everything(self) -> None:
        """Materializes all that there is of every domain; raises unless all of it succeeds."""
        assert self.links().success
        known = self.instance.get_dynamic_partitions("domain")
        assert self.clicks_and_days(known[0], known[-1]).success

    def click_metadata(self, domain: str) -> Mapping[str, Any]:
        """The values on the latest materialization of a domain's clicks."""
        wanted = dg.AssetRecordsFilter(asset_key=CLICKS_KEY, asset_partitions=[domain])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        materialization = record.asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}


def resolved_job(name: str) -> dg.JobDefinition:
    """A job of the code location, for what finds it by this function."""
    return defs.resolve_job_def(name)


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step of a run tells its user."""
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    failure = event.step_failure_data
    told = failure.user_failure_data.description if failure.user_failure_data else None
    return told or (failure.error.to_string() if failure.error else "")


def mostly_long(cases: Iterable[Any], few: int) -> list[Any]:
    """The first few cases for every run of the suite, the rest for the long one."""
    return [
        case if place < few else pytest.param(case, marks=pytest.mark.long)
        for place, case in enumerate(cases)
    ]


def rows(query: str) -> list[tuple[Any, ...]]:
    """Rows of the warehouse; `{dataset}.clicks` stands for that table, as dlt names it."""
    with reading() as reader:
        return [tuple(row) for row in reader.rows(query)]
