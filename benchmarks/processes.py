"""The processes that are measured, each a fresh one, and the API that they ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

from benchmarks.contenders import FILE
from benchmarks.outcomes import Outcome, middle

# compiled modules are there, as they are where the project is installed
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@contextmanager
def api(**options: Any) -> Iterator[str]:
    """The benchmark API in a process of its own; its address. Options as for `benchmarks.api`."""
    command = [sys.executable, "-m", "benchmarks.api", json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def asked(url: str) -> int:
    """How many pages the API was asked for."""
    return int(_get(f"{url}/asked"))


def longest(url: str) -> float:
    """The most seconds between the first and the last request for one listing, since last asked."""
    return float(_get(f"{url}/longest"))


def _get(url: str) -> bytes:
    with urlopen(url) as answer:
        return answer.read()


def run(
    contender: str, url: str, folder: str | None = None, table: str = "clicks", *options: str
) -> Outcome:
    """One run in a fresh process and, unless one is given, an empty folder."""
    if folder is None:
        with tempfile.TemporaryDirectory() as empty:
            return run(contender, url, empty, table, *options)
    return side_by_side(url, (contender, folder, table, *options))


def side_by_side(url: str, *commands: tuple[str, ...]) -> Outcome:
    """Contenders that run at the same time; memory and processor are what they take together."""
    before, started = asked(url), time.time()
    processes = [_start(command[0], url, *command[1:]) for command in commands]
    told = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes), told
    ends = [json.loads(output.splitlines()[-1]) for output in told]
    return Outcome(
        seconds=max(end["seconds"] for end in ends),
        wall=max(end["ended"] for end in ends) - started,
        rows=max(end["rows"] for end in ends),
        peak_mb=sum(end["peak_mb"] for end in ends),
        requests=asked(url) - before,
        processor=sum(end["processor"] for end in ends),
        digest=ends[-1]["digest"],
    )


def _start(contender: str, url: str, folder: str, *arguments: str) -> subprocess.Popen[str]:
    """A contender in a fresh process; its arguments after the folder are as `main` takes them."""
    command = [sys.executable, "-m", "benchmarks.contenders", contender, url, folder, *arguments]
    environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", **COMPILED}
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


def medians(contenders: Sequence[str], url: str, rounds: int) -> dict[str, Outcome]:
    """Each contender in turn, round by round; the middle of each figure."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            outcomes[name].append(run(name, url))
    return {name: middle(of) for name, of in outcomes.items()}


def process_start() -> float:
    """Seconds until a fresh process has what a run needs: the code location and the instance."""
    with tempfile.TemporaryDirectory() as folder:
        _process_start(folder)  # makes the instance
        return _process_start(folder)


def _process_start(folder: str) -> float:
    opened = "import sys, dagster as dg, link_assets.definitions; dg.DagsterInstance.local_temp"
    command = [sys.executable, "-c", f"{opened}(sys.argv[1]); print('there', flush=True)", folder]
    environment = os.environ | COMPILED
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        return time.perf_counter() - started


def import_and_end(modules: str) -> tuple[float, float]:
    """Seconds that a fresh process takes to import modules, and then to end."""
    timed = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", timed.format(modules) + "; print(time.time(), flush=True)"]
    environment = os.environ | COMPILED
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    ended = time.time()
    imported, last = map(float, done.stdout.split())
    return imported, ended - last


def report_seconds(folder: str) -> float:
    """Seconds of `link-assets report`, with the start of its process."""
    settings = {**COMPILED, "DESTINATION__DUCKDB__CREDENTIALS": FILE}
    command = [sys.executable, "-m", "link_assets.cli", "report"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | settings, check=True, capture_output=True)
    return time.perf_counter() - started


@contextmanager
def postgres() -> Iterator[None]:
    """An empty database of a PostgreSQL server of its own, as the warehouse."""
    with _new_database() as (port, name):
        address = f"postgresql://loader:unused@127.0.0.1:{port}/{name}"
        settings = {"DESTINATION_TYPE": "postgres", "DESTINATION__POSTGRES__CREDENTIALS": address}
        with patch.dict(os.environ, settings):
            yield


@contextmanager
def lake() -> Iterator[None]:
    """An empty DuckLake as the warehouse: a folder, and a catalog on a server of its own."""
    from link_assets_tests.warehouse.ducklake.lake import lake_settings

    with (
        _new_database() as (port, name),
        tempfile.TemporaryDirectory() as files,
        patch.dict(os.environ, lake_settings(port, name, files)),
    ):
        yield


@contextmanager
def _new_database() -> Iterator[tuple[int, str]]:
    """The port of a server of its own, and the name of a database there."""
    from link_assets_tests.warehouse.destinations.postgres_server import (
        new_database,
        postgres_server,
    )

    with postgres_server() as port:
        yield port, new_database(port)
