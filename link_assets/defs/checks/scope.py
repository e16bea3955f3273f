"""What the checks of a run look at: what the run loads, or everything if it loads nothing.

Read from what Dagster recorded about the run, and about earlier evaluations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

# Private: Dagster has no public name for the statuses of an evaluation that has ended, and planned
# ones would take up the limit of those that are read.
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as COMPLETED,
)

NOT_JUDGED = "not_judged_because"
"""The metadata of an evaluation that judged nothing, with the reason."""

EVALUATIONS_BACK = 100
"""How many of a check's evaluations are looked through for what it found earlier."""


@dataclass(frozen=True)
class Scope:
    """What is looked at.

    `began` is when a run that loads began, in whole seconds of Unix time; None if the run loads
    nothing, and everything is looked at. `domains` are those it was to load, and `load_failed`
    says whether it failed to load all of them.
    """

    began: int | None = None
    domains: tuple[str, ...] = ()
    load_failed: bool = False

    @property
    def is_whole(self) -> bool:
        """Return whether everything is looked at."""
        return self.began is None


def scope_of_run(instance: dg.DagsterInstance, run_id: str, asset_key: dg.AssetKey) -> Scope:
    """Return the scope of a run's checks of an asset, by what the run loaded of it."""
    # Undocumented, as in planned_checks: no public way reads the events of one run
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    records = [record for record in found.records if record.asset_key == asset_key]
    if not records:
        return Scope()
    domains = {record.partition_key for record in records if record.partition_key}
    return Scope(began(instance, run_id), tuple(sorted(domains)))


def scope_of_failed_load(
    instance: dg.DagsterInstance, run_id: str, domains: Sequence[str]
) -> Scope:
    """Return the scope of the checks of a run that failed to load these domains."""
    return Scope(began(instance, run_id), tuple(domains), load_failed=True)


def began(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Return when a run began, in whole seconds of Unix time; None if it is not known."""
    record = instance.get_run_record_by_id(run_id)
    return int(record.start_time) if record and record.start_time else None


def evaluations(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, limit: int
) -> list[tuple[str, dg.AssetCheckEvaluation]]:
    """Return the run id and evaluation of a check's last evaluations that judged something.

    The latest comes first. They are among the `limit` that were planned last.
    """
    return [(run, evaluation) for _, run, evaluation in _judged(instance, key, limit)]


def last_evaluation(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey
) -> tuple[datetime, dg.AssetCheckEvaluation] | None:
    """Return the last evaluation of a check that judged something, and when that was (UTC)."""
    for limit in (5, EVALUATIONS_BACK):
        if judged := _judged(instance, key, limit):
            timestamp, _, evaluation = judged[0]
            return datetime.fromtimestamp(timestamp, UTC), evaluation
    return None


def _judged(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, limit: int
) -> list[tuple[float, str, dg.AssetCheckEvaluation]]:
    # Private, of Dagster's storage: no public way gives the evaluations before the latest
    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=limit, status=COMPLETED
    )
    judged = [
        (record.event.timestamp, record.run_id, record.evaluation)
        for record in history
        if record.event and record.evaluation and NOT_JUDGED not in record.evaluation.metadata
    ]
    # Dagster has them in the order in which they were planned
    return sorted(judged, key=lambda end: end[0], reverse=True)


def planned_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetCheckKey]:
    """Yield the keys of the checks that a run is planned to evaluate."""
    planned = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    for record in instance.get_records_for_run(run_id, of_type=planned).records:
        if event := record.event_log_entry.dagster_event:
            yield event.asset_check_planned_data.asset_check_key
