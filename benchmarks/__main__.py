"""`uv run python -m benchmarks`: what loading costs, in one run, as ratios, in Markdown."""

from __future__ import annotations

import os
import platform

import click
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.outcomes import Line
from benchmarks.processes import process_start
from benchmarks.sections import SECTIONS, USUAL

COLUMNS = ("measured", "rows", "requests", "seconds", "processor s", "ratio", "peak MB")


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Runs of each; medians are shown.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Some sections.")
def main(rounds: int, only: tuple[str, ...]) -> None:
    """Prints a table a section. Runs on a history, the guide's links and `days` are one each.

    `in_lake` is printed only if it is named.
    """
    console = Console(width=140)
    process_start()  # compiles what was never compiled
    for name in only or [section.__name__ for section in USUAL]:
        table = Table(*COLUMNS, title=name, box=MARKDOWN)
        for line in SECTIONS[name](rounds):
            table.add_row(*_cells(line))
        console.print(table)
    cores = os.cpu_count()
    console.print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")


def _cells(line: Line) -> list[str]:
    found = line.outcome
    return [
        line.what,
        f"{found.rows:,}" if found.rows else "",
        f"{found.requests:,}" if found.requests else "",
        f"{found.seconds:.2f}",
        f"{found.processor:.2f}" if found.processor else "",
        f"{line.ratio:.2f}",
        f"{found.peak_mb:.0f}" if found.peak_mb else "",
    ]


if __name__ == "__main__":
    main()
