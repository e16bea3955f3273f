"""What a user waits for: an answer of the UI, and rows after a click on Materialize.

By turns with the run queue as Dagster has it unless told otherwise, and as dagster.yaml sets it.
How long a launch waits depends on when Dagster has last looked for one. So runs are launched at
moments spread over the longest wait, and their mean is taken; a backfill is launched in the middle
between two looks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import yaml

from benchmarks.outcomes import Line, only_seconds
from benchmarks.ui import Dev, dev, sandbox
from link_assets.cli.dagster_home import FOLDER, INSTANCE_SETTINGS
from link_assets.settings import LocationSettings

DOMAINS, CLICKS = 40, 400
RUN_QUEUE = "run_queue"
MOMENTS = range(5)
"""Seconds after the end of the run before at which the next is launched: Dagster looks for runs
every five seconds by default."""
BACKFILL_SECONDS = 30
"""How often Dagster looks for backfills, which cannot be set."""

Waits = Mapping[str, float]
"""Seconds, by what was waited for."""


def dev_waits(rounds: int) -> Iterator[Line]:
    """What is waited for, against Dagster's own settings of the run queue."""
    shipped = yaml.safe_load(INSTANCE_SETTINGS.read_text())
    ways = {
        "Dagster's run queue": {n: v for n, v in shipped.items() if n != RUN_QUEUE},
        "this project's": shipped,
    }
    found: dict[str, list[Waits]] = {way: [] for way in ways}
    with sandbox(DOMAINS, CLICKS) as api:
        for _ in range(rounds):
            for way, settings in ways.items():
                found[way].append(_waits(api, settings))
    for what in found["this project's"][0]:
        medians = {w: statistics.median(of[what] for of in rounds_) for w, rounds_ in found.items()}
        for way, seconds in medians.items():
            yield only_seconds(f"{what}: {way}", seconds, medians["Dagster's run queue"])


def _waits(api: Mapping[str, str], instance: Mapping[str, Any]) -> Waits:
    """One round, in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / FOLDER
        home.mkdir()
        (home / "dagster.yaml").write_text(yaml.safe_dump(dict(instance)))
        with dev(Path(name), api) as started:
            return {
                "`link-assets dev` until it starts Dagster": started.handed_over,
                "`link-assets dev` until the UI answers": started.answered,
                **_waits_for_rows(started, Path(name) / "warehouse.duckdb"),
            }


def _waits_for_rows(started: Dev, warehouse: Path) -> Waits:
    ui, every = started.ui, [str(n + 1) for n in range(DOMAINS)]
    links = [_spread(partial(ui.materialize, "domains", "links"), n, warehouse) for n in MOMENTS]
    clicks = [
        _spread(partial(ui.materialize, "clicks", partition=every[n]), n, warehouse)
        for n in MOMENTS
    ]
    runs = -(-DOMAINS // LocationSettings().domains_per_run)
    middle = ui.backfills_looked_for() + BACKFILL_SECONDS / 2 - time.time()
    time.sleep(middle % BACKFILL_SECONDS)
    begin, end = _to_rows(partial(ui.backfill, "clicks", every, runs), warehouse)
    what = f"a backfill of {DOMAINS} domains in {runs} runs"
    return {
        "a click to the rows of links": statistics.mean(links),
        "a click to the rows of a domain's clicks": statistics.mean(clicks),
        f"{what}: a click to its first rows": begin,
        f"{what}: a click to its last rows": end,
    }


def _spread(launch: Callable[[], None], wait: float, warehouse: Path) -> float:
    time.sleep(wait)
    return _to_rows(launch, warehouse)[1]


def _to_rows(launch: Callable[[], None], warehouse: Path) -> tuple[float, float]:
    """Seconds from the launch to its first and to its last rows, by dlt's own record of loads."""
    launched = datetime.now(UTC)
    launch()
    with duckdb.connect(warehouse, read_only=True) as database:
        query = (
            "SELECT epoch(min(inserted_at)), epoch(max(inserted_at)) FROM link_assets._dlt_loads"
        )
        ((first, last),) = database.execute(f"{query} WHERE inserted_at > ?", [launched]).fetchall()
    return first - launched.timestamp(), last - launched.timestamp()
