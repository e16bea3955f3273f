"""How the loads are now: when each was the last, what is late, what failed, what checks found.

For `link-assets status`. What is late the check `fresh` says; the rest is what Dagster recorded,
read with as many queries for five hundred domains as for one. Of the warehouse only the hosts are
read, and a load that has it is not waited for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg
from dlt.common.destination.exceptions import DestinationException

from link_assets.defs.checks.all_checks import TABLES
from link_assets.defs.checks.check import CheckResult, is_failure, listed
from link_assets.defs.checks.freshness import lateness
from link_assets.defs.checks.last_loads import LastLoad, LastLoads
from link_assets.defs.checks.scope import Scope, last_evaluation
from link_assets.defs.checks.table_checks import TableChecks
from link_assets.defs.domain_names import WITHOUT_HOSTS, DomainNames, names_of
from link_assets.defs.failures import SEE_README, cause_of, explanation, kind_and_place
from link_assets.defs.jobs import checks_job
from link_assets.defs.translator import asset_key
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.domains import hosts_in
from link_assets.warehouse.errors import WarehouseBusy, find_cause
from link_assets.warehouse.reader import reading

FRESH = "fresh"
"""The check that is not taken from its last evaluation: it is judged now."""
WAREHOUSE_SECONDS = 3
"""How long to wait for a warehouse that others use."""
CAUSES = 5
"""Of how many failed runs the causes are looked up."""

Try = Literal["succeeded", "failed", "canceled", "running", "none"]
"""What became of the last try to load something."""
TRIES: Mapping[dg.DagsterRunStatus, Try] = {
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
    dg.DagsterRunStatus.SUCCESS: "succeeded",
}


@dataclass(frozen=True)
class LoadStatus:
    """A table, or one domain of it: its last load, and what became of the last try."""

    table: str
    domain: str | None
    host: str | None
    last: LastLoad | None
    fresh_hours: float
    is_late: bool
    """Whether the last load is too old, or there never was one."""
    last_try: Try
    cause: str = ""
    """Why the last try failed."""


@dataclass(frozen=True)
class CheckStatus:
    """A check, and what it found when it judged last; None if it never did."""

    table: str
    name: str
    at: datetime | None
    evaluation: dg.AssetCheckEvaluation | None

    @property
    def result(self) -> Literal["passed", "failed", "warned", "none"]:
        """Return what it found, in one word."""
        if self.evaluation is None:
            return "none"
        if self.evaluation.passed:
            return "passed"
        return "failed" if is_failure(self.evaluation) else "warned"


@dataclass(frozen=True)
class Status:
    """How everything is at a time (UTC). `notes` say what could not be read."""

    at: datetime
    loads: Sequence[LoadStatus]
    checks: Sequence[CheckStatus]
    problems: Sequence[str]
    notes: Sequence[str] = field(default=())

    @property
    def is_healthy(self) -> bool:
        """Return whether nothing is late, the last tries succeeded and no check fails."""
        return not self.problems


def read_status(instance: dg.DagsterInstance) -> Status:
    """Read how everything is now."""
    names, unread, notes = _hosts()
    now, tables = datetime.now(UTC), [_TableStatus(instance, table, names) for table in TABLES]
    checks = [check for table in tables for check in table.checks()]
    problems = [problem for table in tables for problem in table.problems(now)]
    problems += [
        f"The check {check.name} of {check.table} failed: {check.evaluation.description}"
        for check in checks
        if check.evaluation and check.result == "failed"
    ]
    problems += unread if any(table.last.loads for table in tables) else []
    problems += _failed_checks_job(instance)
    loads = [load for table in tables for load in table.loads(now)]
    return Status(now, loads, checks, problems, notes)


def _hosts() -> tuple[DomainNames, Sequence[str], Sequence[str]]:
    """Return the domains' names; what is wrong with the warehouse; and why it was not read."""
    warehouse = configured_warehouse()
    if not warehouse.exists():  # looking would make it
        return WITHOUT_HOSTS, [f"{warehouse.name} does not exist."], ()
    try:
        with reading(WAREHOUSE_SECONDS) as reader:
            return names_of(hosts_in(reader)), (), ()
    except Exception as error:  # noqa: BLE001 - Dagster knows all but the hosts
        if busy := find_cause(error, WarehouseBusy):
            return WITHOUT_HOSTS, (), [f"Hosts are those of the last loads: {busy}"]
        return WITHOUT_HOSTS, [f"{warehouse.name} cannot be read: {_reason(error)}"], ()


def _reason(error: Exception) -> str:
    if refused := find_cause(error, DestinationException):
        return f"{configured_warehouse().reason(refused)}. {SEE_README}"
    known = explanation(error, "reading")
    return str(known.description) if known else f"{kind_and_place(error)}."


def _failed_checks_job(instance: dg.DagsterInstance) -> Iterator[str]:
    runs = instance.get_runs(dg.RunsFilter(job_name=checks_job.name), limit=1)
    if runs and runs[0].status == dg.DagsterRunStatus.FAILURE:
        yield f"The last run of {checks_job.name} failed: {_cause(instance, runs[0].run_id)}"


class _TableStatus:
    """What is known of one table."""

    def __init__(
        self, instance: dg.DagsterInstance, table: TableChecks, names: DomainNames
    ) -> None:
        self._instance = instance
        self._table = table
        last = table.last_loads(instance, table.table, Scope(), {})(FRESH)
        self.last = replace(last, names=_with_recorded(names, last))
        self._tries = self._unfinished_tries()
        self._causes = self._causes_of_failures()

    def loads(self, now: datetime) -> Iterator[LoadStatus]:
        """Yield the last load of the table, or of each domain."""
        last, late = self.last, set(self._fresh(now).domains)
        for name in last.expected:
            load = last.loads.get(name)
            attempt = self._tries.get(name)
            yield LoadStatus(
                last.table,
                name if last.by_domain else None,
                last.names.host(name) if last.by_domain else None,
                load,
                last.fresh_hours,
                name in late or load is None,
                attempt[1] if attempt else "succeeded" if load else "none",
                self._causes.get(name, ""),
            )

    def checks(self) -> Iterator[CheckStatus]:
        """Yield what the table's checks found last, but for what is judged now."""
        for key in self._table.by_key:
            if key.name != FRESH:
                at, evaluation = last_evaluation(self._instance, key) or (None, None)
                yield CheckStatus(self.last.table, key.name, at, evaluation)

    def problems(self, now: datetime) -> Iterator[str]:
        """Yield what is late, and what failed when it was tried last."""
        if late := self._fresh(now).problem:
            yield f"{self.last.table}: {late}"
        if failed := [name for name, (_, result) in self._tries.items() if result == "failed"]:
            causes = dict.fromkeys(self._causes[name] for name in failed if name in self._causes)
            what = listed([self.last.name_of(name) for name in failed])
            yield f"{self.last.table}: the last load of {what} failed: {listed([*causes], '; ')}"

    def _fresh(self, now: datetime) -> CheckResult:
        return lateness(self.last, now)

    def _unfinished_tries(self) -> dict[str, tuple[str, Try]]:
        """Return the last try of what has not been loaded since, as its run's id and its end."""
        runs = self._runs_by_domain() if self.last.by_domain else self._run_of_table()
        tried = {name: runs[name] for name in self.last.expected if name in runs}
        if not tried:
            return {}
        found = self._instance.get_runs(dg.RunsFilter(run_ids=sorted(set(tried.values()))))
        ends: dict[str, Try] = {run.run_id: TRIES.get(run.status, "running") for run in found}
        return {name: (run, ends[run]) for name, run in tried.items() if run in ends}

    def _runs_by_domain(self) -> dict[str, str]:
        # Private, of Dagster's storage: no public way finds this for many partitions at once
        storage = self._instance.event_log_storage
        attempts = (
            storage.get_latest_asset_partition_materialization_attempts_without_materializations
        )
        return {domain: run for domain, (run, _) in attempts(asset_key(self._table.table)).items()}

    def _run_of_table(self) -> dict[str, str]:
        for record in self._instance.get_asset_records([asset_key(self._table.table)]):
            entry = record.asset_entry
            loaded = entry.last_materialization_record
            if entry.last_run_id and not (loaded and loaded.run_id == entry.last_run_id):
                return {self.last.table: entry.last_run_id}
        return {}

    def _causes_of_failures(self) -> dict[str, str]:
        """Return why loads failed, looked up for a few runs: many fail for the same reason."""
        failed = {name: run for name, (run, end) in self._tries.items() if end == "failed"}
        runs = [*dict.fromkeys(failed.values())][-CAUSES:]
        causes = {run: _cause(self._instance, run) for run in runs}
        return {n: _of_domain(n, causes[run]) for n, run in failed.items() if run in causes}


def _with_recorded(names: DomainNames, last: LastLoads) -> DomainNames:
    """Return the names with the hosts that loads recorded, where there are no others."""
    recorded = {
        d: load.metadata["host"] for d, load in last.loads.items() if "host" in load.metadata
    }
    return DomainNames({**recorded, **names.hosts})


def _cause(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return why a run failed, as its user is told."""
    failures = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for record in failures.records:
        if (event := record.event_log_entry.dagster_event) and event.is_step_failure:
            return cause_of(event)
    return f"Dagster's log of the run {run_id} says why."


def _of_domain(domain: str, cause: str) -> str:
    """Return the line of a run's failure that is about a domain; the first if there is none."""
    first, *_ = lines = cause.splitlines() or [cause]
    return next((line for line in lines if re.search(rf"\bdomain {domain}\b", line)), first)


def age(status: LoadStatus, now: datetime) -> timedelta | None:
    """Return how old the last load is; None if there was none."""
    return now - status.last.at if status.last else None
