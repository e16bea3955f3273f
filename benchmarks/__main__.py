"""`uv run python -m benchmarks`: what loading costs, in one run, as ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import FILE
from benchmarks.outcomes import Line, Outcome, only_seconds
from benchmarks.waiting import dev_waits
from link_assets.settings import LocationSettings

WAYS = {
    "guide": "the guide's configuration on dlt's defaults",
    "guide_parquet": "the same, with Parquet",
    "project": "this project",
    "floor": "by hand: http.client, orjson, pyarrow, DuckDB",
}
NEW = 2_000
DOMAINS, PAGES, LATENCY = 20, 100, 0.05


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


def start(contender: str, url: str, folder: str, *arguments: str) -> subprocess.Popen[str]:
    """A contender in a fresh process; its arguments after the folder are as `main` takes them."""
    command = [sys.executable, "-m", "benchmarks.contenders", contender, url, folder, *arguments]
    # compiled modules are there, as they are where the project is installed
    environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


def side_by_side(url: str, *commands: tuple[str, ...]) -> Outcome:
    """Contenders that run at the same time; memory is what they take together."""
    before, started = asked(url), time.time()
    processes = [start(command[0], url, *command[1:]) for command in commands]
    told = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes), told
    ends = [json.loads(output.splitlines()[-1]) for output in told]
    return Outcome(
        seconds=max(end["seconds"] for end in ends),
        wall=max(end["ended"] for end in ends) - started,
        rows=max(end["rows"] for end in ends),
        peak_mb=sum(end["peak_mb"] for end in ends),
        requests=asked(url) - before,
    )


def run(
    contender: str, url: str, folder: str | None = None, table: str = "clicks", *options: str
) -> Outcome:
    """One run in a fresh process and, unless one is given, an empty folder."""
    if folder is None:
        with tempfile.TemporaryDirectory() as empty:
            return run(contender, url, empty, table, *options)
    return side_by_side(url, (contender, folder, table, *options))


def asked(url: str) -> int:
    """How many pages the API was asked for."""
    return int(_get(f"{url}/asked"))


def longest(url: str) -> float:
    """The most seconds between the first and the last request for one listing, since last asked."""
    return float(_get(f"{url}/longest"))


def _get(url: str) -> bytes:
    with urlopen(url) as answer:
        return answer.read()


def medians(contenders: list[str], url: str, rounds: int, **options: str) -> dict[str, Outcome]:
    """Each contender in turn, round by round; the middle of each figure."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            outcomes[name].append(run(name, url, **options))
    return {
        name: Outcome(
            statistics.median(o.seconds for o in of),
            statistics.median(o.wall for o in of),
            of[-1].rows,
            statistics.median(o.peak_mb for o in of),
            of[-1].requests,
        )
        for name, of in outcomes.items()
    }


def ways(clicks: int, rounds: int) -> Iterator[Line]:
    """The ways of loading a domain's clicks, against the one by hand."""
    with api(domains=1, clicks_per_domain=clicks) as url:
        found = medians(list(WAYS), url, rounds)
    for name, outcome in found.items():
        yield Line(f"{clicks:,} clicks: {WAYS[name]}", outcome, found["floor"].seconds)


def small(rounds: int) -> Iterator[Line]:
    return ways(100_000, rounds)


def large(rounds: int) -> Iterator[Line]:
    return ways(1_000_000, 1)


def links(rounds: int) -> Iterator[Line]:
    """A listing of 100,000 links, against the guide's configuration."""
    with api(domains=1, clicks_per_domain=0, links_per_domain=100_000) as url:
        found = medians(["guide_links", "project_links"], url, 1, table="links")
    base = found["guide_links"].seconds
    yield Line("100,000 links: the guide's configuration", found["guide_links"], base)
    yield Line("100,000 links: this project", found["project_links"], base)


def history(rounds: int) -> Iterator[Line]:
    """Runs on new clicks, listed newest first, on ever longer histories, against the shortest."""
    order = ("clicks", "1", "1", "newest_first")
    base = 0.0
    for rows in (100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            with api(domains=1, clicks_per_domain=100_000) as url:
                run("dagster_instance", url, folder, "clicks", "1")
                run("project_links", url, folder, "links")
                run("dagster_run", url, folder, *order)
                run("lengthen", url, folder, "clicks", str(rows))
            with api(domains=1, clicks_per_domain=100_000, added=NEW) as url:
                outcome = run("dagster_run", url, folder, *order)
        base = base or outcome.seconds
        added = replace(outcome, rows=outcome.rows - rows)
        yield Line(f"{NEW:,} new clicks on {rows:,}, a run with its checks", added, base)


def domains(rounds: int) -> Iterator[Line]:
    """A backfill of many slow domains, against fetching one of them and one process start."""
    alone, starts, backfills = list[Outcome](), list[float](), list[tuple[Outcome, float]]()
    with api(latency=LATENCY, domains=DOMAINS, clicks_per_domain=PAGES * 150) as url:
        for _ in range(rounds):  # by turns, since the machine's speed may change
            alone.append(run("fetch", url))
            starts.append(process_start())
            longest(url)  # or the domain alone would count
            backfills.append((backfill(url), longest(url) + LATENCY))
    received = sorted(alone, key=lambda o: o.seconds)[rounds // 2]
    process = sorted(starts)[rounds // 2]
    outcome, slowest = sorted(backfills, key=lambda b: b[0].wall)[rounds // 2]
    base = received.seconds + process
    what = f"{DOMAINS} domains of {PAGES} pages at {LATENCY * 1000:.0f} ms: "
    yield Line(f"{what}one alone, only received", received, base)
    yield only_seconds(f"{what}the start of a run's process", process, base)
    yield Line(f"{what}all, in one backfill", replace(outcome, seconds=outcome.wall), base)
    yield only_seconds(f"{what}the slowest in it", slowest, base)


def backfill(url: str) -> Outcome:
    """The runs that a backfill starts by the default settings."""
    per_run = LocationSettings().domains_per_run
    firsts = range(1, DOMAINS + 1, per_run)
    with tempfile.TemporaryDirectory() as folder:
        run("dagster_instance", url, folder, "clicks", str(DOMAINS))
        ends = [(str(n), str(min(DOMAINS, n + per_run - 1))) for n in firsts]
        return side_by_side(url, *[("dagster_run", folder, "clicks", *end) for end in ends])


def process_start() -> float:
    """Seconds until a fresh process has what a run needs: the code location and the instance."""
    with tempfile.TemporaryDirectory() as folder:
        _process_start(folder)  # makes the instance
        return _process_start(folder)


def _process_start(folder: str) -> float:
    opened = "import sys, dagster as dg, link_assets.definitions; dg.DagsterInstance.local_temp"
    command = [sys.executable, "-c", f"{opened}(sys.argv[1]); print('there', flush=True)", folder]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        return time.perf_counter() - started


def days(rounds: int) -> Iterator[Line]:
    """Daily clicks, as a share of loading the clicks, and the report, against DuckDB's."""
    base = 0.0
    with api(domains=1, clicks_per_domain=1_000_000, links_per_domain=100) as url:
        for name, warehouse in WAREHOUSES.items():
            with tempfile.TemporaryDirectory() as folder, warehouse():
                run("project_links", url, folder, "links")
                load = run("project", url, folder)
                yield Line(f"1,000,000 clicks into {name}", load, load.seconds)
                for what in ("daily clicks of all days", "the same, nothing has changed"):
                    outcome = run("compute", url, folder, "daily_clicks")
                    yield Line(f"{what}, in {name}", outcome, load.seconds)
                seconds = statistics.median(report_seconds(folder) for _ in range(rounds))
                base = base or seconds
                yield only_seconds(
                    f"`link-assets report` of 1,000,000 clicks in {name}", seconds, base
                )


def report_seconds(folder: str) -> float:
    """Seconds of the command, with the start of its process."""
    settings = {"PYTHONDONTWRITEBYTECODE": "", "DESTINATION__DUCKDB__CREDENTIALS": FILE}
    command = [sys.executable, "-m", "link_assets.cli", "report"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | settings, check=True, capture_output=True)
    return time.perf_counter() - started


@contextmanager
def postgres() -> Iterator[None]:
    """An empty database of a PostgreSQL server of its own, as the warehouse."""
    from link_assets_tests.warehouse.destinations.postgres_server import (
        new_database,
        postgres_server,
    )

    with postgres_server() as port:
        address = f"postgresql://loader:unused@127.0.0.1:{port}/{new_database(port)}"
        settings = {"DESTINATION_TYPE": "postgres", "DESTINATION__POSTGRES__CREDENTIALS": address}
        os.environ.update(settings)
        try:
            yield
        finally:
            for setting in settings:
                del os.environ[setting]


WAREHOUSES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "DuckDB": nullcontext,
    "PostgreSQL": postgres,
}


def dev(rounds: int) -> Iterator[Line]:
    """What a user waits for in the UI, against Dagster's own settings of the run queue."""
    return dev_waits(rounds)


SECTIONS: dict[str, Callable[[int], Iterator[Line]]] = {
    f.__name__: f for f in (small, large, history, domains, links, days, dev)
}


def _unless_zero(figure: str) -> str:
    return "" if figure == "0" else figure


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Runs of each; medians are shown.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Some sections.")
def main(rounds: int, only: tuple[str, ...]) -> None:
    """Prints one table. Sections of minutes (large, history, links, days) load in one round."""
    table = Table("measured", "rows", "requests", "seconds", "ratio", "peak MB")
    process_start()  # compiles what was never compiled
    for name in only or SECTIONS:
        for line in SECTIONS[name](rounds):
            table.add_row(
                line.what,
                _unless_zero(f"{line.outcome.rows:,}"),
                _unless_zero(f"{line.outcome.requests:,}"),
                f"{line.outcome.seconds:.2f}",
                f"{line.outcome.seconds / line.base:.2f}",
                _unless_zero(f"{line.outcome.peak_mb:.0f}"),
            )
        table.add_section()
    console = Console(width=120)
    console.print(table)
    cores = os.cpu_count()
    console.print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
