"""`uv run python -m benchmarks.soak`: thousands of hourly cycles, and what has grown by the end.

Each cycle is an hour of a small installation: every domain has new clicks, links are listed, clicks
loaded and their days computed, all in one process; with `--dagster` by runs with their checks. A
table has the figures after the first cycles and after the last. Seconds are medians of these; those
of the processor are of this process, with the sandbox API in it. Other programs on the machine make
the same work dearer: so each cycle also times a calculation that is always the same.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

import click
import dagster as dg
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import API_KEY
from benchmarks.processes import postgres
from link_assets.cli.run_job import QUIET
from link_assets.definitions import defs
from link_assets.domain_loads import open_loads
from link_assets.sandbox import Sandbox, World, serve
from link_assets.settings import api_settings
from link_assets.source.links_read import LinksRead, known_links
from link_assets.source.rest import links_source
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import Reader, reading

HOME = "home"
DOMAINS, CLICKS, NEW, LINKS = 3, 200, 5, 20
COUNTED = ("clicks", "_positions", "_dlt_loads", "_dlt_pipeline_state", "_dlt_version")
Figures = Mapping[str, float]
"""What there is after some cycles: sizes in MB, numbers of files, threads and rows, by name."""


@click.command()
@click.option("--cycles", default=2_000, show_default=True)
@click.option("--compared", default=50, show_default=True, help="Cycles at each end.")
@click.option("--warehouse", type=click.Choice(["duckdb", "postgres"]), default="duckdb")
@click.option("--dagster", "by_dagster", is_flag=True, help="By runs of Dagster, with the checks.")
def main(cycles: int, compared: int, warehouse: str, by_dagster: bool) -> None:
    """Run cycles and print a table of the first and the last of them."""
    places: dict[str, AbstractContextManager[None]] = {
        "duckdb": nullcontext(),
        "postgres": postgres(),
    }
    with tempfile.TemporaryDirectory() as folder, places[warehouse]:
        os.chdir(folder)
        way = _runs() if by_dagster else nullcontext(_load)
        with way as hour:
            first, last = _cycles(hour, cycles, compared)
    table = Table("figure", f"cycles 1 to {compared}", f"to {cycles:,}", "ratio", box=MARKDOWN)
    for name, before in first.items():
        ratio = f"{last[name] / before:.2f}" if before else ""
        table.add_row(name, _shown(before), _shown(last[name]), ratio)
    Console().print(table)


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"


def _cycles(hour: Callable[[], None], cycles: int, compared: int) -> tuple[Figures, Figures]:
    """Run the cycles; return the figures of the first of them and of the last."""
    seconds: list[float] = []
    processor: list[float] = []
    same: list[float] = []
    first: Figures = {}
    with _api() as sandbox:
        for number in range(1, cycles + 1):
            assert sandbox.world
            sandbox.world = sandbox.world.grown(NEW)
            sandbox.requests.clear()
            began, used = time.perf_counter(), time.process_time()
            hour()
            seconds.append(time.perf_counter() - began)
            processor.append(time.process_time() - used)
            same.append(_same_calculation())
            if number == compared:
                first = _figures(seconds, processor, same)
            if number % 100 == 0:
                latest = [f"{median(those[-100:]):.2f}" for those in (seconds, processor, same)]
                click.echo(f"{number} cycles: {' '.join(latest)}", err=True)
        return first, _figures(*(those[-compared:] for those in (seconds, processor, same)))


def _same_calculation() -> float:
    """Return the processor seconds of a calculation that is the same each time."""
    used = time.process_time()
    for _ in range(10):
        json.loads(json.dumps([{"number": n, "text": str(n)} for n in range(5_000)]))
    return time.process_time() - used


@contextmanager
def _api() -> Iterator[Sandbox]:
    """The sandbox as the API that the settings name."""
    world = World(domains=DOMAINS, clicks_per_domain=CLICKS, links_per_domain=LINKS)
    sandbox = Sandbox(world=world, api_key=API_KEY)
    with serve(sandbox) as url:
        settings = {"BASE_URL": url, "API_KEY": API_KEY, "CLICKS_ORDER": "newest_first"}
        for name, value in settings.items():
            os.environ[f"SOURCES__LINK_ASSETS__{name}"] = value
        yield sandbox


def _load() -> None:
    """Lists the links, and loads the clicks and computes the days of all domains."""
    settings, domains = api_settings(), range(1, DOMAINS + 1)
    with open_pipeline("links") as pipeline:
        listing, read = LinkListing(pipeline), LinksRead()
        read.known = known_links(listing.present)
        pipeline.run(links_source(settings, read))
        listing.mark_deleted(read.listed, read.unread, 1)
    with open_loads(settings, domains) as loads:
        for domain in domains:
            loads.load(domain)
    compute_days(domains)


@contextmanager
def _runs() -> Iterator[Callable[[], None]]:
    """What does the same by runs, on an instance in HOME."""
    home = Path(HOME).absolute()
    home.mkdir()
    # one database for the events of all runs; making one for each run would take most of the time
    events = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": str(home)},
    }
    ends = {"dagster/asset_partition_range_start": "1"}
    ends["dagster/asset_partition_range_end"] = str(DOMAINS)

    def run() -> None:
        for job, tags in (("links_job", {}), ("clicks_job", ends)):
            definition = defs.resolve_job_def(job)
            assert definition.execute_in_process(QUIET, instance=instance, tags=tags).success

    with dg.DagsterInstance.local_temp(str(home), {"event_log_storage": events}) as instance:
        yield run


def _figures(
    seconds: Sequence[float], processor: Sequence[float], same: Sequence[float]
) -> Figures:
    """Return what there is now, after cycles that took so long each."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    home = sum(file.stat().st_size for file in Path(HOME).rglob("*") if file.is_file())
    with reading() as reader:
        rows = {table: _count(reader, table) for table in COUNTED}
        size = _size(reader)
    return {
        "seconds": median(seconds),
        "processor seconds": median(processor),
        "those of the same calculation": median(same),
        "cycle / calculation": median(a / b for a, b in zip(processor, same, strict=True)),
        "warehouse MB": size / 1e6,
        "Dagster MB": home / 1e6,
        "memory MB": resident / 1e6,
        "open files": len([*Path("/proc/self/fd").iterdir()]),
        "threads": len([*Path("/proc/self/task").iterdir()]),
        **rows,
    }


def _count(reader: Reader, table: str) -> int:
    ((rows,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{table}")
    return rows


def _size(reader: Reader) -> int:
    file = Path(configured_warehouse().address)
    if file.is_file():
        return file.stat().st_size
    ((size,),) = reader.rows("SELECT pg_database_size(current_database())")
    return size


if __name__ == "__main__":
    main()
