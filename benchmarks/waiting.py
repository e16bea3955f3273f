"""What a user waits for: an answer of the UI, and rows after a click on Materialize.

With the run queue as Dagster has it unless told otherwise, and as dagster.yaml sets it. Both run,
in folders of their own, and launches are made in one and the other by turns, since the machine's
speed may change. How long a launch waits depends on when Dagster has last looked for one: so runs
are launched at moments spread over the longest wait, and their mean is taken; a backfill is
launched in the middle between two looks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
import yaml

from benchmarks.outcomes import Line, only_seconds
from benchmarks.ui import Dev, Ui, dev, sandbox
from link_assets.cli.dagster_home import FOLDER, INSTANCE_SETTINGS
from link_assets.settings import LocationSettings

DOMAINS, CLICKS = 40, 400
EVERY = [str(n + 1) for n in range(DOMAINS)]
RUNS = -(-DOMAINS // LocationSettings().domains_per_run)
DEFAULT, OURS = "Dagster's run queue", "this project's"
MOMENTS = range(5)
"""Seconds after the end of a run at which the next is launched: Dagster looks for runs every five
seconds by default."""
BACKFILL_SECONDS = 30
"""How often Dagster looks for backfills, which cannot be set."""


class Place(NamedTuple):
    """A `link-assets dev` that runs, and the warehouse it loads into."""

    dev: Dev
    warehouse: Path


class Round(NamedTuple):
    """The seconds of one round; those from a click to rows for each setting of the run queue."""

    handed_over: float
    answered: float
    links: Mapping[str, float]
    clicks: Mapping[str, float]
    first: Mapping[str, float]
    last: Mapping[str, float]


def dev_waits(rounds: int) -> Iterator[Line]:
    """The start, against the answer of the UI; the rest against Dagster's own run queue."""
    with sandbox(DOMAINS, CLICKS) as api:
        found = [_round(api, [DEFAULT, OURS][:: (-1) ** n]) for n in range(rounds)]
    answered = statistics.median(of.answered for of in found)
    started = statistics.median(of.handed_over for of in found)
    yield only_seconds("`link-assets dev` until it starts Dagster", started, answered)
    yield only_seconds("`link-assets dev` until the UI answers", answered, answered)
    backfill = f"a click to the {{}} rows of {DOMAINS} domains, {RUNS} runs"
    yield from _compared("a click to the rows of links", [of.links for of in found])
    yield from _compared("a click to the rows of a domain", [of.clicks for of in found])
    yield from _compared(backfill.format("first"), [of.first for of in found])
    yield from _compared(backfill.format("last"), [of.last for of in found])


def _compared(what: str, found: list[Mapping[str, float]]) -> Iterator[Line]:
    medians = {way: statistics.median(of[way] for of in found) for way in (DEFAULT, OURS)}
    for way, seconds in medians.items():
        yield only_seconds(f"{what}: {way}", seconds, medians[DEFAULT])


def _round(api: Mapping[str, str], ways: list[str]) -> Round:
    with ExitStack() as stack:
        places = {way: stack.enter_context(_place(api, way)) for way in ways}
        starts = [place.dev for place in places.values()]
        links = _means(places, lambda ui, _: partial(ui.materialize, "domains", "links"))
        clicks = _means(places, lambda ui, n: partial(ui.materialize, "clicks", partition=EVERY[n]))
        backfills = {way: _backfill(place) for way, place in places.items()}
    return Round(
        statistics.mean(start.handed_over for start in starts),
        statistics.mean(start.answered for start in starts),
        links,
        clicks,
        {way: first for way, (first, _) in backfills.items()},
        {way: last for way, (_, last) in backfills.items()},
    )


@contextmanager
def _place(api: Mapping[str, str], way: str) -> Iterator[Place]:
    """An empty folder, in which Dagster's run queue is set in this way."""
    settings = yaml.safe_load(INSTANCE_SETTINGS.read_text())
    if way == DEFAULT:
        del settings["run_queue"]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / FOLDER
        home.mkdir()
        (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        with dev(Path(name), api) as started:
            yield Place(started, Path(name) / "warehouse.duckdb")


def _means(
    places: Mapping[str, Place], launch: Callable[[Ui, int], Callable[[], None]]
) -> Mapping[str, float]:
    """Seconds from a launch to its rows, over all moments, place by place at each."""
    found: dict[str, list[float]] = {way: [] for way in places}
    for moment in MOMENTS:
        for way, place in places.items():
            time.sleep(moment)
            found[way].append(_to_rows(place, launch(place.dev.ui, moment))[1])
    return {way: statistics.mean(seconds) for way, seconds in found.items()}


def _backfill(place: Place) -> tuple[float, float]:
    """Seconds from the launch of a backfill of all domains to its first and its last rows."""
    ui = place.dev.ui
    middle = ui.backfills_looked_for() + BACKFILL_SECONDS / 2 - time.time()
    time.sleep(middle % BACKFILL_SECONDS)
    return _to_rows(place, partial(ui.backfill, "clicks", EVERY, RUNS))


def _to_rows(place: Place, launch: Callable[[], None]) -> tuple[float, float]:
    """Seconds from the launch to its first and to its last rows, by dlt's own record of loads."""
    launched = datetime.now(UTC)
    launch()
    with duckdb.connect(place.warehouse, read_only=True) as database:
        ((first, last),) = database.execute(
            "SELECT epoch(min(inserted_at)), epoch(max(inserted_at)) FROM link_assets._dlt_loads "
            "WHERE inserted_at > ?",
            [launched],
        ).fetchall()
    return first - launched.timestamp(), last - launched.timestamp()
