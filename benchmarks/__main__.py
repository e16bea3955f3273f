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
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import FILE

WAYS = {
    "guide": "the guide's configuration on dlt's defaults",
    "guide_parquet": "the same, with Parquet",
    "project": "this project",
    "floor": "by hand: http.client, orjson, pyarrow, DuckDB",
}
NEW = 2_000
DOMAINS, PAGES, LATENCY = 20, 100, 0.05


@dataclass(frozen=True)
class Outcome:
    """What a run in a process of its own came to: `seconds` without, `wall` with its start."""

    seconds: float
    wall: float
    rows: int
    peak_mb: float


@dataclass(frozen=True)
class Line:
    """A line of the table; `base` is what its seconds are compared with."""

    what: str
    outcome: Outcome
    base: float


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


def run(contender: str, url: str, folder: str | None = None, table: str = "clicks") -> Outcome:
    """One run in a fresh process and, unless one is given, an empty folder."""
    if folder is None:
        with tempfile.TemporaryDirectory() as empty:
            return run(contender, url, empty, table)
    settings = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "LINK_ASSETS__DOMAINS_AT_ONCE": str(DOMAINS),
        "SOURCES__LINK_ASSETS__MAX_CONNECTIONS": str(DOMAINS),
        "BENCHMARK_DOMAINS": str(DOMAINS),
    }
    command = [sys.executable, "-m", "benchmarks.contenders", contender, url, folder, table]
    started = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | settings, check=True, stdout=subprocess.PIPE, text=True
    )
    wall = time.perf_counter() - started
    return Outcome(wall=wall, **json.loads(done.stdout.splitlines()[-1]))


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
    """New clicks, listed newest first, on ever longer histories, against the shortest."""
    base = 0.0
    for rows in (100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            with api(domains=1, clicks_per_domain=100_000) as url:
                run("project_new", url, folder)
            lengthen(Path(folder, FILE), rows)
            with api(domains=1, clicks_per_domain=100_000, added=NEW) as url:
                outcome = run("project_new", url, folder)
        base = base or outcome.seconds
        added = replace(outcome, rows=outcome.rows - rows)
        yield Line(f"{NEW:,} new clicks on {rows:,}", added, base)


def lengthen(file: Path, rows: int) -> None:
    """Puts copies of a warehouse's clicks before them in time until there are so many."""
    with duckdb.connect(str(file)) as database:
        ((there,),) = database.execute("SELECT count(*) FROM link_assets.clicks").fetchall()
        for copy in range(1, rows // there):
            database.execute(
                "INSERT INTO link_assets.clicks SELECT * REPLACE ("
                f"dt - INTERVAL {copy * 30} DAY AS dt, md5(click_id || '{copy}') AS click_id) "
                f"FROM link_assets.clicks ORDER BY link_assets.clicks.dt DESC LIMIT {there}"
            )


def domains(rounds: int) -> Iterator[Line]:
    """A backfill of many slow domains, against fetching one of them and one process start."""
    world = {"domains": DOMAINS, "clicks_per_domain": PAGES * 150}
    with api(latency=LATENCY, **world) as url:
        found = medians(["fetch", "backfill"], url, rounds)
    whole = replace(found["backfill"], seconds=found["backfill"].wall)
    start = process_start()
    base = found["fetch"].seconds + start
    what = f"{DOMAINS} domains of {PAGES} pages at {LATENCY * 1000:.0f} ms: "
    yield Line(f"{what}one alone, only received", found["fetch"], base)
    yield Line(f"{what}the start of a process", Outcome(start, start, 0, 0), base)
    yield Line(f"{what}all, in one backfill", whole, base)


def process_start() -> float:
    """Seconds until a fresh process has the code location."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import link_assets.definitions"], check=True)
    return time.perf_counter() - started


SECTIONS: dict[str, Callable[[int], Iterator[Line]]] = {
    f.__name__: f for f in (small, large, history, domains, links)
}


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Runs of each; medians are shown.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Some sections.")
def main(rounds: int, only: tuple[str, ...]) -> None:
    """Prints one table. Sections of minutes (large, history, links) have one round."""
    table = Table("measured", "rows", "seconds", "ratio", "peak MB")
    for name in only or SECTIONS:
        for line in SECTIONS[name](rounds):
            table.add_row(
                line.what,
                f"{line.outcome.rows:,}",
                f"{line.outcome.seconds:.2f}",
                f"{line.outcome.seconds / line.base:.2f}",
                f"{line.outcome.peak_mb:.0f}",
            )
        table.add_section()
    console = Console(width=120)
    console.print(table)
    cores = os.cpu_count()
    console.print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
