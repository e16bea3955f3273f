"""Dagster's records of runs, which only grow: a month of hourly loads of 100 domains is about 2 GB.

Dagster has a setting for how long ticks are kept (`retention` in dagster.yaml), and none for runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

# Private, as are the storages below: Dagster deletes a run before its events, so that whoever is
# stopped in between cannot go on, and leaves the evaluations of checks and a file where they are.
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.tags import BACKFILL_ID_TAG

from link_assets.defs.checks.all_checks import CHECKS
from link_assets.defs.jobs import checks_job, clicks_job, links_job
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY, DOMAINS_KEY, LINKS_KEY

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
JOBS = {job.name for job in (checks_job, clicks_job, links_job)}
ASSETS = {CLICKS_KEY, DAILY_CLICKS_KEY, DOMAINS_KEY, LINKS_KEY}


@dataclass(frozen=True)
class Pruned:
    """How many runs were deleted, and how many old ones were kept."""

    deleted: int
    kept: int


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Delete this project's runs that ended before a time, with their events and logs.

    Runs are kept that loaded a domain, or a table, or judged a check, last: the UI, `status` and
    the checks show and judge by them. So are those of a backfill that goes on, and runs of other
    jobs and assets. It may be stopped and repeated.
    """
    ended = {*_ended(instance, before)}
    needed = {*_last_runs(instance)}
    for run_id in ended - needed:
        _delete(instance, run_id)
    return Pruned(len(ended - needed), len(ended & needed))


def _ended(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    """Yield the old runs of this project's jobs and assets, but those of unfinished backfills."""
    going_on = {
        backfill.backfill_id
        for backfill in instance.get_backfills()
        if backfill.status not in BULK_ACTION_TERMINAL_STATUSES
    }
    for run in instance.get_runs(dg.RunsFilter(statuses=ENDED, updated_before=before)):
        if _is_ours(run) and run.tags.get(BACKFILL_ID_TAG) not in going_on:
            yield run.run_id


def _is_ours(run: dg.DagsterRun) -> bool:
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    assets = checked | (run.asset_selection or set())
    return run.job_name in JOBS or bool(assets and assets <= ASSETS)


def _last_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Yield the runs of the last materializations, and of the last evaluation of each check."""
    for key in (DOMAINS_KEY, LINKS_KEY):
        if event := instance.get_latest_materialization_event(key):
            yield event.run_id
    storage = instance.event_log_storage
    for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
        event_type = dg.DagsterEventType.ASSET_MATERIALIZATION
        ids = [*storage.get_latest_storage_id_by_partition(key, event_type).values()]
        if ids:
            wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids)
            records = instance.fetch_materializations(wanted, limit=len(ids)).records
            yield from (record.run_id for record in records)
    checks = [key for step in CHECKS for key in step.check_keys]
    evaluations = storage.get_latest_asset_check_execution_by_key(checks)
    yield from (record.run_id for record in evaluations.values())


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete all that there is of a run, and last of all the run, by which the rest is found."""
    storage = instance.event_log_storage
    storage.delete_events(run_id)
    if isinstance(storage, SqlEventLogStorage):
        of_run = AssetCheckExecutionsTable.c.run_id == run_id
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(of_run))
    if type(storage) is SqliteEventLogStorage:
        file = Path(storage.path_for_shard(run_id))
        for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            part.unlink(missing_ok=True)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.run_storage.delete_run(run_id)
