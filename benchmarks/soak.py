"""`uv run python -m benchmarks.soak`: thousands of hourly cycles, and what has grown by the end.

Each cycle is an hour of a small installation: every domain has new clicks, links are listed, clicks
loaded and their days computed, all in one process; with `--dagster` by runs with their checks. The
last cycles are made by turns with the first ones of a second installation, which has a process, a
warehouse and an API of its own: a machine is not as fast at one hour as at another. Then a fresh
process goes on with the first one's warehouse: is it that which has aged, or the process? A table
has the figures of all three. Seconds are medians; those of the processor have the API in them.

All hours are past ones, by the clock of the sandbox. Clicks of the future would be read
again each time, since a watermark is never later than now.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

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
DOMAINS, CLICKS, NEW, LINKS = 3, 400, 5, 20
"""Of each cycle, an hour, NEW are new; those at the start are more than reads look back."""
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
    if compared > cycles:
        raise click.BadParameter("more than there are cycles", param_hint="--compared")
    began = datetime.now(UTC) - timedelta(hours=cycles + compared)
    kind = Kind(warehouse, by_dagster, began)
    with _installation(kind) as old:
        for number in range(1, cycles - compared + 1):
            old.cycle()
            if number % 100 == 0:
                click.echo(f"{number} cycles, the last in {old.seconds[-1]:.2f} s", err=True)
        with _in_a_process(kind) as young:
            for _ in range(compared):
                _asked(young, "cycle")
                old.cycle()
            first = _asked(young, "figures")
        last = old.figures(compared)
        with _in_a_process(kind, (Path.cwd(), cycles)) as heir:
            for _ in range(compared):
                _asked(heir, "cycle")
            fresh = _asked(heir, "figures")
    ends = (f"cycles 1 to {compared}", f"to {cycles:,}", "ratio", "by a fresh process")
    table = Table("figure", *ends, box=MARKDOWN)
    for name, before in first.items():
        ratio = f"{last[name] / before:.2f}" if before else ""
        table.add_row(name, _shown(before), _shown(last[name]), ratio, _shown(fresh[name]))
    Console().print(table)


def _asked(process: Connection, what: str) -> Any:
    process.send(what)
    return process.recv()


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"


@dataclass(frozen=True)
class Kind:
    """What an installation is: where it loads, by what, and the hour before its first cycle."""

    warehouse: str
    by_dagster: bool
    began: datetime


class Installation:
    """One that lives by cycles, and how long each took."""

    def __init__(self, hour: Callable[[], None], sandbox: Sandbox) -> None:
        self._hour = hour
        self._sandbox = sandbox
        self.seconds: list[float] = []
        self.processor: list[float] = []

    def cycle(self) -> None:
        """Let the API have new clicks, and load them."""
        assert self._sandbox.world
        self._sandbox.world = self._sandbox.world.grown(NEW)
        self._sandbox.requests.clear()
        began, used = time.perf_counter(), time.process_time()
        self._hour()
        self.seconds.append(time.perf_counter() - began)
        self.processor.append(time.process_time() - used)

    def figures(self, latest: int) -> Figures:
        """Return what there is now, after so many latest cycles."""
        return _figures(self.seconds[-latest:], self.processor[-latest:])


@contextmanager
def _installation(kind: Kind, inherited: tuple[Path, int] | None = None) -> Iterator[Installation]:
    """An installation in this process: a new one, or one in this folder after so many cycles."""
    folder, cycles = inherited or (None, 0)
    is_new_server = kind.warehouse == "postgres" and not inherited
    place = nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory()
    with place as path, postgres() if is_new_server else nullcontext():
        os.chdir(path)
        with (
            _runs() if kind.by_dagster else nullcontext(_load) as hour,
            _api(kind.began) as sandbox,
        ):
            assert sandbox.world
            sandbox.world = sandbox.world.grown(NEW * cycles)
            yield Installation(hour, sandbox)


@contextmanager
def _in_a_process(*options: Any) -> Iterator[Connection]:
    """The connection to a process that has an installation and does what it is sent."""
    spawned = multiprocessing.get_context("spawn")
    ours, theirs = spawned.Pipe()
    process = spawned.Process(target=_obey, args=(theirs, *options))
    process.start()
    theirs.close()  # what is received here ends with the process
    try:
        yield ours
    finally:
        ours.close()
        process.join()


def _obey(connection: Connection, *options: Any) -> None:
    with _installation(*options) as installation, suppress(EOFError):
        while True:
            if connection.recv() == "cycle":
                installation.cycle()
                connection.send(None)
            else:
                connection.send(installation.figures(len(installation.seconds)))


@contextmanager
def _api(began: datetime) -> Iterator[Sandbox]:
    """The sandbox as the API that the settings name, with the clicks until then."""
    hours = timedelta(hours=CLICKS / NEW)
    world = World(7, DOMAINS, LINKS, CLICKS, end=began, span=hours)
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
    home.mkdir(exist_ok=True)
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


def _figures(seconds: Sequence[float], processor: Sequence[float]) -> Figures:
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
