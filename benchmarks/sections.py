"""What is measured and compared, a section of the table each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from statistics import median

from benchmarks.hour import hour
from benchmarks.outcomes import Line, Outcome, middle, only_seconds
from benchmarks.processes import (
    api,
    import_and_end,
    lake,
    longest,
    medians,
    postgres,
    process_start,
    report_seconds,
    run,
    side_by_side,
)
from benchmarks.waiting import dev_waits
from link_assets.settings import LocationSettings

WAYS = {
    "guide.clicks": "the guide's configuration on dlt's defaults",
    "guide.clicks_parquet": "the same, with Parquet",
    "project.clicks": "this project",
    "fetch.rest_clicks": "dlt's REST client, only received and parsed",
    "limit.clicks": "the limit",
}
NEW = 2_000
DOMAINS, PAGES, LATENCY = 20, 100, 0.05
MANY, FEW_CLICKS = 100, 50
LINKS = 100_000
IMPORTED = ("dagster, dagster_dlt, dlt", "link_assets.definitions")


def small(rounds: int) -> Iterator[Line]:
    """100,000 clicks of a domain in every way, against the limit."""
    return _ways(100_000, list(WAYS), rounds)


def large(rounds: int) -> Iterator[Line]:
    """1,000,000 clicks of a domain, against the limit."""
    return _ways(1_000_000, ["project.clicks", "fetch.rest_clicks", "limit.clicks"], rounds)


def _ways(clicks: int, ways: Sequence[str], rounds: int) -> Iterator[Line]:
    with api(domains=1, clicks_per_domain=clicks) as url:
        found = medians(ways, url, rounds)
    limit, project = found["limit.clicks"], found["project.clicks"]
    assert limit.digest == project.digest, "the limit's table differs from the project's"
    for name, outcome in found.items():
        yield Line(f"{clicks:,} clicks: {WAYS[name]}", outcome, outcome.seconds / limit.seconds)


def history(rounds: int) -> Iterator[Line]:
    """Runs on new clicks, listed newest first, on ever longer histories, against the shortest."""
    order = ("clicks", "1", "1", "newest_first")
    base = 0.0
    for rows in (100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            with api(domains=1, clicks_per_domain=100_000) as url:
                run("runs.instance", url, folder, "clicks", "1")
                run("project.links", url, folder, "links")
                run("runs.clicks", url, folder, *order)
                run("project.lengthen", url, folder, "clicks", str(rows))
            with api(domains=1, clicks_per_domain=100_000, added=NEW) as url:
                outcome = run("runs.clicks", url, folder, *order)
        base = base or outcome.seconds
        added = replace(outcome, rows=outcome.rows - rows)
        what = f"{NEW:,} new clicks on {rows:,}, a run with its checks"
        yield Line(what, added, outcome.seconds / base)


def domains(rounds: int) -> Iterator[Line]:
    """A backfill of many slow domains, against fetching one of them and one process start."""
    alone, backfills = list[Outcome](), list[Outcome]()
    starts, slowest = list[float](), list[float]()
    with api(latency=LATENCY, domains=DOMAINS, clicks_per_domain=PAGES * 150) as url:
        for _ in range(rounds):  # by turns, since the machine's speed may change
            alone.append(run("fetch.clicks", url))
            starts.append(process_start())
            longest(url)  # or the domain alone would count
            backfills.append(_backfill(url))
            slowest.append(longest(url) + LATENCY)
    received, backfill, start = middle(alone), middle(backfills), median(starts)
    base = received.seconds + start
    what = f"{DOMAINS} domains of {PAGES} pages at {LATENCY * 1000:.0f} ms: "
    yield Line(f"{what}one alone, only received", received, received.seconds / base)
    yield only_seconds(f"{what}the start of a run's process", start, base)
    whole = replace(backfill, seconds=backfill.wall)
    yield Line(f"{what}all, in one backfill", whole, backfill.wall / base)
    yield only_seconds(f"{what}the slowest in it", median(slowest), base)


def _backfill(url: str) -> Outcome:
    """The runs that a backfill starts by the default settings."""
    per_run = LocationSettings().domains_per_run
    firsts = range(1, DOMAINS + 1, per_run)
    with tempfile.TemporaryDirectory() as folder:
        run("runs.instance", url, folder, "clicks", str(DOMAINS))
        ends = [(str(n), str(min(DOMAINS, n + per_run - 1))) for n in firsts]
        return side_by_side(url, *[("runs.clicks", folder, "clicks", *end) for end in ends])


def many(rounds: int) -> Iterator[Line]:
    """A run of many small domains, against one of one domain: processor seconds."""
    received, one, every = list[Outcome](), list[Outcome](), list[Outcome]()
    with api(domains=MANY, clicks_per_domain=FEW_CLICKS) as url:
        for _ in range(rounds):
            received.append(run("fetch.clicks", url, None, "clicks", str(MANY)))
            one.append(_one_run(url, 1))
            every.append(_one_run(url, MANY))
    base, whole = middle(one), middle(every)
    more = Outcome(
        (whole.seconds - base.seconds) / (MANY - 1),
        (whole.wall - base.wall) / (MANY - 1),
        processor=(whole.processor - base.processor) / (MANY - 1),
    )
    what = f"{MANY} domains of {FEW_CLICKS} clicks: "
    for part, outcome in {
        "only received": middle(received),
        "one alone, in a run": base,
        "all, in one run": whole,
        "each domain after the first": more,
    }.items():
        yield Line(what + part, outcome, outcome.processor / base.processor)


def _one_run(url: str, count: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        run("runs.instance", url, folder, "clicks", str(count))
        return run("runs.clicks", url, folder, "clicks", "1", str(count))


def links(rounds: int) -> Iterator[Line]:
    """Links, against as many clicks; the same links again, against receiving and parsing them."""
    found: dict[str, list[Outcome]] = {
        name: [] for name in ("clicks", "new", "rest", "received", "again")
    }
    with api(domains=1, clicks_per_domain=LINKS, links_per_domain=LINKS) as url:
        for _ in range(rounds):
            found["clicks"].append(run("project.clicks", url))
            found["rest"].append(run("fetch.rest_links", url))
            found["received"].append(run("fetch.links", url))
            with tempfile.TemporaryDirectory() as folder:
                for name in ("new", "again"):
                    found[name].append(run("project.links", url, folder, "links"))
        guide = run("guide.links", url, None, "links")
    clicks, new, rest, received, again = (middle(of) for of in found.values())
    for what, outcome, base in (
        ("clicks: this project", clicks, clicks),
        ("links: the guide's configuration", guide, clicks),
        ("links: this project", new, clicks),
        ("links: only received and parsed", received, received),
        ("links: the same by dlt's REST client", rest, received),
        ("links: this project, when nothing has changed", again, received),
    ):
        yield Line(f"{LINKS:,} {what}", outcome, outcome.seconds / base.seconds)


Warehouses = Mapping[str, Callable[[], AbstractContextManager[None]]]
"""By name, what makes a warehouse that is used within the block."""


def start(rounds: int) -> Iterator[Line]:
    """What a process does before and after its work, against importing what it is built on."""
    found: dict[str, list[tuple[float, float]]] = {modules: [] for modules in IMPORTED}
    for _ in range(max(rounds, 7)):
        for modules, seconds in found.items():
            seconds.append(import_and_end(modules))
    base = median(imported for imported, _ in found["dagster, dagster_dlt, dlt"])
    for modules, seconds in found.items():
        imported, ended = (median(part) for part in zip(*seconds, strict=True))
        yield only_seconds(f"importing {modules}", imported, base)
        yield only_seconds("the end of that process", ended, base)


def days(rounds: int) -> Iterator[Line]:
    """Daily clicks, as a share of loading the clicks, and the report, against DuckDB's."""
    return _loads_and_days({"DuckDB": nullcontext, "PostgreSQL": postgres}, rounds)


def in_lake(rounds: int) -> Iterator[Line]:
    """The same in DuckLake, with its version of DuckDB: needs the extra `ducklake`."""
    return _loads_and_days({"DuckDB": nullcontext, "DuckLake": lake}, rounds)


def _loads_and_days(warehouses: Warehouses, rounds: int) -> Iterator[Line]:
    base = of_load = 0.0
    with api(domains=1, clicks_per_domain=1_000_000, links_per_domain=100) as url:
        for name, warehouse in warehouses.items():
            with tempfile.TemporaryDirectory() as folder, warehouse():
                run("project.links", url, folder, "links")
                load = run("project.clicks", url, folder)
                of_load = of_load or load.seconds
                yield Line(f"1,000,000 clicks into {name}", load, load.seconds / of_load)
                for what in ("daily clicks of all days", "the same, nothing has changed"):
                    outcome = run("project.days", url, folder, "daily_clicks")
                    yield Line(f"{what}, in {name}", outcome, outcome.seconds / load.seconds)
                seconds = median(report_seconds(folder) for _ in range(rounds))
                base = base or seconds
                yield only_seconds(
                    f"`link-assets report` of 1,000,000 clicks in {name}", seconds, base
                )


def dev(rounds: int) -> Iterator[Line]:
    """What a user waits for in the UI, against Dagster's own settings of the run queue."""
    return dev_waits(rounds)


USUAL = (small, large, history, domains, many, hour, links, start, days, dev)
SECTIONS: dict[str, Callable[[int], Iterator[Line]]] = {f.__name__: f for f in (*USUAL, in_lake)}
