"""The last loads of a table, as Dagster recorded them, and the checks that are given them.

A run that loads judges the domains that it loads, and repeats the problems that earlier runs found
with others, so that a green run does not hide them. Everything is read from Dagster's instance; the
warehouse is not touched here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg

from link_assets.clamped_times import earlier, from_timestamp
from link_assets.contract import Table
from link_assets.defs import configuration
from link_assets.defs.checks.check import (
    REMEMBERED,
    Check,
    CheckResult,
    counted,
    found_in_tables,
)
from link_assets.defs.checks.scope import EVALUATIONS_BACK, Scope, evaluations
from link_assets.defs.domain_names import WITHOUT_HOSTS, DomainNames
from link_assets.defs.partitions import known_domains
from link_assets.defs.translator import asset_key
from link_assets.warehouse.reader import Reader

LAST_LOAD = "last_load"
"""The metadata of daily clicks that has the id of the last load whose clicks they have."""
NEVER_OR_RESUMED = "never loaded, or last loaded by a run that resumed another"
"""Why checks of whole days leave out domains."""
PROBLEMS = "problem_domains"
"""The metadata that names the domains with a problem, REMEMBERED of them at most."""
UNNAMED = "problem_domains_not_named"
"""The metadata that says how many more there are."""


@dataclass(frozen=True)
class LastLoad:
    """The latest materialization of an asset or of one of its partitions. Time is UTC."""

    at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def began(self) -> datetime:
        """Return when the load began to read."""
        if began := self.metadata.get("began"):
            return datetime.fromtimestamp(began, UTC)
        return self.at - timedelta(seconds=self.number("seconds"))

    def number(self, name: str) -> int:
        """Return a number of its metadata; 0 if there is none of that name."""
        return int(self.metadata.get(name, 0))

    @property
    def newest_click(self) -> datetime | None:
        """Return the time of the newest click after the load that is not of the future.

        None if it is not known.
        """
        newest = self._newest_click
        return newest if newest and newest.date() <= self.at.date() else None

    @property
    def clicks_of_the_future(self) -> int:
        """Return how many clicks were dated after the day of the load, as far as it is known."""
        return self.number("clicks_of_the_future")

    def newest_click_age(self, now: datetime) -> timedelta | None:
        """Return how old the newest click is; None if it is not known."""
        newest = self.newest_click
        return max(now - newest, timedelta()) if newest else None

    @property
    def _newest_click(self) -> datetime | None:
        if (newest := self.metadata.get("newest_click")) is not None:
            return from_timestamp(newest)
        # loads of earlier versions say an age, or only what they themselves brought
        hours, last = self.metadata.get("newest_click_age_hours"), self.metadata.get("last_click")
        if hours is not None:
            return earlier(self.at, timedelta(hours=hours))
        return None if last is None else from_timestamp(last)


@dataclass(frozen=True)
class Known:
    """What earlier evaluations found: domains with a problem, and how many more there were."""

    domains: tuple[str, ...] = ()
    unnamed: int = 0


@dataclass(frozen=True)
class LastLoads:
    """The last loads of a table: one of the whole table, or one of each domain."""

    table: str
    expected: Sequence[str]
    """What should have been loaded, and is judged: domains, or the table's name."""
    loads: Mapping[str, LastLoad]
    fresh_hours: float
    whole: bool = True
    """Whether that is all of the table, and not what one run was to load."""
    known: Known = Known()
    """Problems elsewhere that a run repeats."""
    by_domain: bool = True
    """Whether the table is loaded domain by domain."""
    names: DomainNames = WITHOUT_HOSTS

    def name_of(self, expected: str) -> str:
        """Return what a message calls one of `expected`: a domain with its host, or the table."""
        return f"domain {self.names.of(expected)}" if self.by_domain else expected

    @property
    def what(self) -> str:
        """Return what is judged, as a message says it."""
        if not self.by_domain:
            return f"the {self.table}"
        again = len(self.known.domains)
        own = len(self.expected) - again
        if self.whole:
            return f"all {counted(own, 'domain')}"
        run = "the domain of this run" if own == 1 else f"the {own} domains of this run"
        return run + (f" and {counted(again, 'domain')} with a known problem" if again else "")


LoadsOf = Callable[[str], LastLoads]
"""The last loads that a check judges, by its name: what is known of other domains differs."""
LoadsReader = Callable[[dg.DagsterInstance, Table, Scope, Mapping[str, Known]], LoadsOf]
"""Reads the last loads of a table; `Known` is by name of a check."""


class LoadsCheck(Check[[LastLoads]]):
    """A check of the last loads alone, which needs no warehouse."""

    def result_of(self, last_loads: LoadsOf) -> CheckResult:
        """Return what the check finds."""
        last = last_loads(self.name)
        return with_known_problems(self.find(last), last)


class LoadedRowsCheck(Check[[Reader, LastLoads]]):
    """A check of the last loads that looks at the table's rows as well."""

    def result_in(self, last: LastLoads, reader: Reader) -> CheckResult:
        """Return what the check finds, or that a table is missing."""
        found = found_in_tables(lambda: self.find(reader, last), last.table)
        return with_known_problems(found, last)


@dataclass(frozen=True)
class ComparedRowsCheck(Check[[Reader, LastLoads, Any]]):
    """A check that compares the table's rows with something that is asked for elsewhere.

    `ask` is called before the warehouse is opened, so that no load waits for an answer, and does
    not raise; `find` gets what it returned.
    """

    ask: Callable[[LastLoads], Any] = field(kw_only=True)

    def asked(self, last: LastLoads) -> Callable[[Reader], CheckResult]:
        """Ask; return the function that compares the rows with the answer."""
        answer = self.ask(last)
        return partial(self._result_in, last, answer)

    def _result_in(self, last: LastLoads, answer: Any, reader: Reader) -> CheckResult:
        found = found_in_tables(lambda: self.find(reader, last, answer), last.table)
        return with_known_problems(found, last)


def last_load_of_table(
    instance: dg.DagsterInstance, table: Table, scope: Scope, known: Mapping[str, Known]
) -> LoadsOf:
    """Read the last load of a table without partitions."""
    records = instance.fetch_materializations(asset_key(table), limit=1).records
    loads = {table.name: _last_load(records[0])} if records else {}
    hours = configuration.fresh_hours(table)
    return lambda _: LastLoads(table.name, [table.name], loads, hours, by_domain=False)


def last_loads_by_domain(
    instance: dg.DagsterInstance, table: Table, scope: Scope, known: Mapping[str, Known]
) -> LoadsOf:
    """Read the last load of each domain that is judged.

    These are all known domains; in a run that loads, its own and those whose problem is known.
    """
    every = known_domains(instance) if scope.is_whole else scope.domains
    more = () if scope.is_whole else {d for k in known.values() for d in k.domains}
    loads = _by_domain(instance, table, [*every, *sorted(set(more) - set(every))])

    def judged_by(check: str) -> LastLoads:
        elsewhere = Known() if scope.is_whole else known.get(check, Known())
        again = tuple(domain for domain in elsewhere.domains if domain not in every)
        return LastLoads(
            table.name,
            [*every, *again],
            {domain: loads[domain] for domain in (*every, *again) if domain in loads},
            configuration.fresh_hours(table),
            scope.is_whole,
            Known(again, elsewhere.unnamed),
        )

    return judged_by


def known_problems(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Known:
    """Return the domains that a check's last evaluation found a problem with."""
    last = evaluations(instance, key, limit=5) or evaluations(instance, key, limit=EVALUATIONS_BACK)
    if not last:
        return Known()
    _, evaluation = last[0]
    values: dict[str, Any] = {name: v.value for name, v in evaluation.metadata.items()}
    domains = str(values.get(PROBLEMS, "")).split(", ")
    return Known(tuple(filter(None, domains)), int(values.get(UNNAMED, 0)))


def with_known_problems(found: CheckResult, last: LastLoads) -> CheckResult:
    """Return the result with the problems of other domains, and what later runs repeat of it."""
    if not last.by_domain:
        return found
    unnamed = max(0, len(found.domains) - REMEMBERED) + last.known.unnamed
    if found.domains:
        found = found.adding(metadata={PROBLEMS: ", ".join(found.domains[:REMEMBERED])})
    if unnamed:
        found = found.adding(metadata={UNNAMED: unnamed})
    if not last.known.unnamed:
        return found
    more = counted(last.known.unnamed, "more domain")
    problem = f"{more} had a problem when all were judged last."
    remedy = found.remedy or "Execute this check in the UI, which judges all domains."
    return replace(found, problem=f"{found.problem} {problem}".strip(), remedy=remedy)


def _by_domain(
    instance: dg.DagsterInstance, table: Table, domains: Sequence[str]
) -> dict[str, LastLoad]:
    if not domains:  # Dagster would take no partitions for all of them
        return {}
    key = asset_key(table)
    # Private, of Dagster's storage: no public way finds the last event of many partitions at once
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(domains)
    )
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(ids.values()))
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    loads = {str(record.partition_key): _last_load(record) for record in records}
    return {key: loads[key] for key in domains if key in loads}


def _last_load(record: dg.EventLogRecord) -> LastLoad:
    materialization = record.asset_materialization
    metadata = materialization.metadata if materialization else {}
    values = {name: value.value for name, value in metadata.items()}
    return LastLoad(datetime.fromtimestamp(record.timestamp, UTC), values)
