"""A backfill of all domains by a deployment, looked at from outside."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.celery_launcher import WatchfulCeleryRunLauncher
from link_assets.defs.translator import CLICKS_KEY
from link_assets_tests.dagster_dev import DagsterDev, until
from link_assets_tests.support import rows

LOAD_LINKS = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "link_assets.definitions", repositoryName: "__repository__",
      jobName: "links_job"
    }
  }) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""
BACKFILL = """
mutation ($partitions: [String!]!) {
  launchPartitionBackfill(backfillParams: {
    assetSelection: [{path: ["link_assets", "clicks"]}, {path: ["link_assets", "daily_clicks"]}]
    partitionNames: $partitions
  }) { ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


class Backfill:
    """The runs of a backfill; `instance` is the deployment's."""

    def __init__(
        self, ui: DagsterDev, instance: dg.DagsterInstance, domains: Sequence[int]
    ) -> None:
        self._ui, self._instance, self._domains = ui, instance, domains

    def start(self) -> None:
        """Loads the links, and starts the backfill of the domains that were found."""
        # the UI may have been there before the code server
        links = until(lambda: self._ui.graphql(LOAD_LINKS)["launchRun"].get("run"), 60)["runId"]
        until(lambda: self.run(links).is_finished, 120)
        keys = [str(domain) for domain in self._domains]
        assert list(self._instance.get_dynamic_partitions("domain")) == keys
        started = self._ui.graphql(BACKFILL, partitions=keys)["launchPartitionBackfill"]
        self._id = started["backfillId"]

    def is_complete(self) -> bool:
        backfill = self._instance.get_backfill(self._id)
        return bool(backfill) and backfill.status.value == "COMPLETED_SUCCESS"

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self._instance.get_run_by_id(run_id)
        assert run
        return run

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Its runs that are in one of the states."""
        wanted = dg.RunsFilter(statuses=[*statuses], tags={"dagster/backfill": self._id})
        return list(self._instance.get_runs(wanted))

    def retries(self, run: dg.DagsterRun) -> list[dg.DagsterRun]:
        """The runs that were made of a run that failed."""
        tags = {"dagster/parent_run_id": run.run_id}
        return list(self._instance.get_runs(dg.RunsFilter(tags=tags)))

    def worker_of(self, run: dg.DagsterRun) -> str:
        """The worker that has a run, or had it: `one` or `two`."""
        launcher = self._instance.run_launcher
        assert isinstance(launcher, WatchfulCeleryRunLauncher)
        backend = launcher.celery.backend
        meta = backend.get_task_meta(run.tags[DAGSTER_CELERY_TASK_ID_TAG], cache=False)
        return (meta.get("worker") or meta["result"]["hostname"]).partition("@")[0]

    def amid(self, clicks: int) -> dg.DagsterRun:
        """A run that has committed some of the clicks of its domains; waits for one."""

        def find() -> list[dg.DagsterRun]:
            there = committed()
            return [
                run
                for run in self.runs(dg.DagsterRunStatus.STARTED)
                if any(0 < there.get(domain, 0) < clicks for domain in domains_of(run))
            ]

        return until(find)[0]

    def resumed_pages(self, run: dg.DagsterRun) -> list[int]:
        """The pages that the domains of a run were read from."""
        wanted = [dg.DagsterEventType.ASSET_MATERIALIZATION]
        events = self._instance.all_logs(run.run_id, of_type=set(wanted))
        made = [event.asset_materialization for event in events]
        return [
            int(str(m.metadata["resumed_from_page"].value))
            for m in made
            if m and m.asset_key == CLICKS_KEY and "resumed_from_page" in m.metadata
        ]


def domains_of(run: dg.DagsterRun) -> range:
    """The domains of a run, which are numbered."""
    first = run.tags.get("dagster/asset_partition_range_start") or run.tags["dagster/partition"]
    last = run.tags.get("dagster/asset_partition_range_end", first)
    return range(int(first), int(last) + 1)


def committed() -> dict[int, int]:
    """Clicks in the warehouse by domain."""
    try:
        found = rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1")
    except DatabaseUndefinedRelation:
        return {}
    return dict(found)
