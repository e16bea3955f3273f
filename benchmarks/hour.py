"""An hour of many domains: what a tick of the clicks' schedule costs all of Dagster's processes.

Dagster's storage is PostgreSQL, and the settings are those of docs/scale.md.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml

from benchmarks.contenders import API_KEY
from benchmarks.outcomes import Line, Outcome, only_seconds
from benchmarks.processes import api
from benchmarks.ui import Dev, dev, wait_until
from link_assets.cli.dagster_home import FOLDER, INSTANCE_SETTINGS

DOMAINS, CLICKS, PER_RUN = 3_000, 50, 300
RUNS = -(-DOMAINS // PER_RUN)
PATIENCE = 1_800
START = """mutation ($selector: ScheduleSelector!) {startSchedule(scheduleSelector: $selector)
{__typename ... on PythonError {message}}}"""
ENDED = "{runsOrError {... on Runs {results {status startTime endTime}}}}"
PARTITIONS = """{assetNodeOrError(assetKey: {path: ["link_assets", "clicks"]}) {... on AssetNode
{partitionKeysByDimension {partitionKeys} assetPartitionStatuses
{... on DefaultPartitionStatuses {materializedPartitions}}}}}"""
SCHEDULE = {
    "repositoryLocationName": "link_assets.definitions",
    "repositoryName": "__repository__",
    "scheduleName": "clicks_schedule",
}


def hour(rounds: int) -> Iterator[Line]:
    """One tick over all domains, in processor seconds; what the UI and registering take by it."""
    with (
        api(domains=DOMAINS, clicks_per_domain=CLICKS) as url,
        _home() as home,
        dev(home.parent, _settings(url)) as started,
    ):
        registered = _register(home)
        tick = _tick(started, home.parent / "warehouse.duckdb")
        page = _seconds(lambda: started.ui.ask(PARTITIONS))
    what = f"an hour of {DOMAINS:,} domains with {CLICKS} new clicks"
    yield Line(what, tick, 1)
    yield only_seconds("registering the domains", registered, tick.seconds)
    yield only_seconds("the UI's partitions of clicks, with their states", page, tick.seconds)


@contextmanager
def _home() -> Iterator[Path]:
    """Dagster's home, with its storage in a PostgreSQL server of its own."""
    from link_assets_tests.warehouse.destinations.postgres_server import (
        new_database,
        postgres_server,
    )

    with postgres_server() as port, tempfile.TemporaryDirectory() as folder:
        database = {
            "scheme": "postgresql+psycopg2",  # without it SQLAlchemy 2.1 looks for psycopg 3
            "hostname": "127.0.0.1",
            "port": port,
            "username": "loader",
            "password": "unused",
            "db_name": new_database(port),
        }
        storage = yaml.safe_dump({"storage": {"postgres": {"postgres_db": database}}})
        home = Path(folder, FOLDER)
        home.mkdir()
        (home / "dagster.yaml").write_text(f"{INSTANCE_SETTINGS.read_text()}{storage}")
        yield home


def _settings(url: str) -> Mapping[str, str]:
    return {
        "SOURCES__LINK_ASSETS__BASE_URL": url,
        "SOURCES__LINK_ASSETS__API_KEY": API_KEY,
        "SOURCES__LINK_ASSETS__CLICKS_ORDER": "newest_first",
        "LINK_ASSETS__CLICKS_CRON": "* * * * *",
        "LINK_ASSETS__DOMAINS_PER_RUN": str(PER_RUN),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
    }


def _register(home: Path) -> float:
    """Registers the domains; returns the seconds that takes an open instance."""
    keys = [str(n + 1) for n in range(DOMAINS)]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_dynamic_partitions("domain")
        return _seconds(lambda: instance.add_dynamic_partitions("domain", keys))


def _tick(started: Dev, warehouse: Path) -> Outcome:
    """Starts the schedule; returns what its first tick cost, until its runs have succeeded."""
    before = _processor_seconds(started.process)
    started.ui.ask(START, selector=SCHEDULE)
    wait_until(lambda: len(_succeeded(started)) >= RUNS, every=1, patience=PATIENCE)
    processor = _processor_seconds(started.process) - before
    runs = _succeeded(started)
    seconds = max(run["endTime"] for run in runs) - min(run["startTime"] for run in runs)
    with duckdb.connect(warehouse, read_only=True) as database:
        ((rows,),) = database.execute("SELECT count(*) FROM link_assets.clicks").fetchall()
    assert rows == DOMAINS * CLICKS, rows
    return Outcome(seconds, seconds, rows, processor=processor)


def _succeeded(started: Dev) -> list[dict[str, Any]]:
    runs = started.ui.ask(ENDED)["results"]
    assert not any(run["status"] == "FAILURE" for run in runs), runs
    return [run for run in runs if run["status"] == "SUCCESS"]


def _processor_seconds(session: int) -> float:
    """User and system seconds of a session's processes, and of those that they waited for."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
