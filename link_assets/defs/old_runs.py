"""Dagster's records of runs, which only grow: a month of hourly loads of 100 domains is about 2 GB.

Dagster has a setting for how long ticks are kept (`retention` in dagster.yaml), and none for runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

# Private, as are the queries of the event log below: Dagster leaves the file of a deleted run's
# events where it is.
from dagster._core.storage.event_log import SqliteEventLogStorage

from link_assets.defs.checks.all_checks import CHECKS
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY, DOMAINS_KEY, LINKS_KEY

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Pruned:
    """How many runs were deleted, and how many old ones were kept."""

    deleted: int
    kept: int


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Delete the runs that ended before a time, with their events and logs.

    Runs are kept that loaded a domain, or a table, or judged a check, last: the UI, `status` and
    the checks show and judge by them. It may be stopped and repeated.
    """
    ended = instance.get_run_ids(dg.RunsFilter(statuses=ENDED, updated_before=before))
    needed = set(_last_runs(instance))
    for run_id in ended:
        if run_id not in needed:
            _delete(instance, run_id)
    kept = len(needed.intersection(ended))
    return Pruned(len(ended) - kept, kept)


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
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        file = Path(storage.path_for_shard(run_id))
        for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            part.unlink(missing_ok=True)
