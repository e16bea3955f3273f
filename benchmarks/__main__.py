"""`uv run python -m benchmarks`: every way of loading clicks, in one run, as ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

NAMES = {
    "guide": "the guide's configuration on dlt's defaults",
    "guide_parquet": "the same, with Parquet",
    "project": "this project",
    "floor": "by hand (http.client, orjson, pyarrow, DuckDB)",
}


@dataclass(frozen=True)
class Outcome:
    """Medians over the rounds of one contender. Memory is the process's peak."""

    seconds: float
    rows: int
    peak_mb: float


@contextmanager
def api(domains: int, clicks: int, latency: float = 0) -> Iterator[str]:
    """The benchmark API in a process of its own; its address."""
    command = [sys.executable, "-m", "benchmarks.api", str(domains), str(clicks), str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(contender: str, url: str) -> Outcome:
    """One run in a fresh process and an empty folder."""
    environment = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.contenders", contender, url, folder]
        output = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout
    return Outcome(**json.loads(output.splitlines()[-1]))


def median(outcomes: list[Outcome]) -> Outcome:
    """The middle of each figure."""
    return Outcome(
        statistics.median(o.seconds for o in outcomes),
        outcomes[-1].rows,
        statistics.median(o.peak_mb for o in outcomes),
    )


def compare(clicks: int, contenders: list[str], rounds: int) -> Table:
    """Each contender in turn, round by round, against the floor."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}
    with api(1, clicks) as url:
        for _ in range(rounds):
            for name in contenders:
                outcomes[name].append(run(name, url))
    medians = {name: median(of) for name, of in outcomes.items()}
    table = Table("way", "rows in the table", "seconds", "times the floor", "peak MB")
    table.title = f"{clicks:,} clicks of one domain, 150 a page"
    for name, middle in medians.items():
        ratio = middle.seconds / medians["floor"].seconds
        table.add_row(
            NAMES[name],
            f"{middle.rows:,}",
            f"{middle.seconds:.1f}",
            f"{ratio:.1f}",
            f"{middle.peak_mb:.0f}",
        )
    return table


@click.command()
@click.option("--clicks", default=100_000, show_default=True, help="Clicks to load.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each; medians are shown.")
@click.option("--only", multiple=True, type=click.Choice(list(NAMES)), help="Some of the ways.")
def main(clicks: int, rounds: int, only: tuple[str, ...]) -> None:
    """Prints one table; the floor is always among its rows."""
    contenders = [name for name in NAMES if not only or name in (*only, "floor")]
    console = Console(width=110)
    console.print(compare(clicks, contenders, rounds))
    cores = os.cpu_count()
    console.print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
