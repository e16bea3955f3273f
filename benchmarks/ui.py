"""`link-assets dev` in a folder of its own, asked over GraphQL as Dagster's UI asks it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any, NamedTuple
from urllib.request import Request, urlopen

OURS = ("API_KEY", "DAGSTER_HOME", "DESTINATION", "LINK_ASSETS__", "SOURCES__")
"""What the settings begin with that would have `dev` read or load something else."""
LOADED = "{workspaceOrError {... on Workspace {locationEntries {loadStatus}}}}"
LAUNCH_RUN = """mutation ($params: ExecutionParams!) {
launchPipelineExecution(executionParams: $params)
{__typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""
LAUNCH_BACKFILL = """mutation ($params: LaunchBackfillParams!) {
launchPartitionBackfill(backfillParams: $params)
{__typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}"""
RUNS = """query ($filter: RunsFilter!) {runsOrError(filter: $filter)
{... on Runs {results {status}}}}"""
LOOKED = """{instance {daemonHealth {daemonStatus(daemonType: "BACKFILL") {lastHeartbeatTime}}}}"""
PATIENCE = 300
"""Seconds after which something that does not happen is an error."""


class Ui:
    """The GraphQL of a webserver."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer's data, without its outermost name."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(self._url, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=PATIENCE) as answer:
            told = json.load(answer)
        assert "errors" not in told, told
        (data,) = told["data"].values()
        return data

    def is_ready(self) -> bool:
        """Whether it answers, and has the code location."""
        with suppress(OSError):
            entries = self.ask(LOADED)["locationEntries"]
            return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)
        return False

    def materialize(self, *tables: str, **tags: str) -> None:
        """Launches a run of assets, with such tags of Dagster; returns once it has succeeded."""
        selector = {
            "repositoryLocationName": "link_assets.definitions",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": _keys(tables),
        }
        given = [{"key": f"dagster/{name}", "value": value} for name, value in tags.items()]
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": given}}
        launched = self.ask(LAUNCH_RUN, params=params)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        self._wait_for_runs(1, {"runIds": [launched["run"]["runId"]]})

    def backfill(self, table: str, partitions: list[str], runs: int) -> None:
        """Launches a backfill, and waits until all of its runs have succeeded."""
        params = {"assetSelection": _keys([table]), "partitionNames": partitions}
        launched = self.ask(LAUNCH_BACKFILL, params=params)
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        tag = {"key": "dagster/backfill", "value": launched["backfillId"]}
        self._wait_for_runs(runs, {"tags": [tag]})

    def backfills_looked_for(self) -> float:
        """When the daemon last looked for backfills, as Unix time."""
        wait_until(lambda: self._last_look() is not None)
        return float(self._last_look() or 0)

    def _last_look(self) -> float | None:
        return self.ask(LOOKED)["daemonHealth"]["daemonStatus"]["lastHeartbeatTime"]

    def _wait_for_runs(self, count: int, which: Mapping[str, Any]) -> None:
        wait_until(lambda: self._have_succeeded(count, which), every=0.2)

    def _have_succeeded(self, count: int, which: Mapping[str, Any]) -> bool:
        runs = self.ask(RUNS, filter=which)["results"]
        assert not any(run["status"] in ("FAILURE", "CANCELED") for run in runs), runs
        return [run["status"] for run in runs] == ["SUCCESS"] * count


class Dev(NamedTuple):
    """A `link-assets dev` that answers; `process` leads the session of all that it started.

    `handed_over` are the seconds after which it started Dagster, `answered` those after which the
    UI answered.
    """

    ui: Ui
    process: int
    handed_over: float
    answered: float


@contextmanager
def dev(folder: Path, settings: Mapping[str, str]) -> Iterator[Dev]:
    """Runs `link-assets dev` in a folder, until it has answered and the block is done."""
    port = _free_port()
    started = time.perf_counter()
    with _running(folder, settings, "dev", "--port", str(port)) as (process, output):
        output.readline()  # where Dagster keeps its runs: the last that is said before it starts
        handed_over = time.perf_counter() - started
        Thread(target=_read_to_the_end, args=[output], daemon=True).start()
        ui = Ui(f"http://127.0.0.1:{port}")
        wait_until(ui.is_ready)
        yield Dev(ui, process, handed_over, time.perf_counter() - started)


@contextmanager
def sandbox(domains: int, clicks: int) -> Iterator[Mapping[str, str]]:
    """The sandbox API in a process of its own; the settings by which it is read."""
    options = ["--port", "0", "--domains", str(domains), "--clicks", str(clicks)]
    with _running(Path.cwd(), {}, "sandbox", *options) as (_, output):
        yield dict(output.readline().strip().split("=", 1) for _ in range(2))


@contextmanager
def _running(
    folder: Path, settings: Mapping[str, str], *command: str
) -> Iterator[tuple[int, IO[str]]]:
    """One of the project's commands: its process and output; it and what it starts are ended."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # compiled modules are there, as they are where the project is installed
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    with subprocess.Popen(
        [sys.executable, "-m", "link_assets.cli", *command],
        cwd=folder,
        env={**inherited, **compiled, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _read_to_the_end(output: IO[str]) -> None:
    """Keeps a process that says much from being held up."""
    with suppress(ValueError):  # closed meanwhile
        for _ in output:
            pass


def wait_until(
    happened: Callable[[], bool], every: float = 0.05, patience: float = PATIENCE
) -> None:
    """Asks again and again until something has happened."""
    last = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < last, f"it did not happen in {patience} seconds"
        time.sleep(every)


def _keys(tables: Iterable[str]) -> list[dict[str, list[str]]]:
    return [{"path": ["link_assets", table]} for table in tables]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
