"""The source, without Dagster: from the API into DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dlt.common.pipeline import LoadInfo
from dlt.extract import DltSource

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS, Table
from link_assets.sandbox import RequestRecord, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source import resume
from link_assets.source.links_read import LinksRead
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import ClicksRead, full_refresh
from link_assets.source.transforms import BATCH_ROWS
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import reading
from link_assets_tests.support import rows
from link_assets_tests.truth import (
    expected_clicks,
    expected_rejections,
    loaded_clicks,
    loaded_rejections,
)

pytestmark = pytest.mark.usefixtures("api")

CLICK = {"host": "go.example", "path": "/x", "dt": "2026-02-01T12:00:00.000Z", "ip": "192.0.2.1"}
LINK = {"id": "a", "idString": "a", "originalURL": "https://x.example", "DomainId": 1}
TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}


def load(source: DltSource, name: str) -> LoadInfo:
    with open_pipeline(name) as pipeline:
        return pipeline.run(source)


def load_links() -> LinksRead:
    read = LinksRead()
    load(links_source(api_settings(), read), "links")
    return read


def load_chunk(read: ClicksRead, domain: int = 1, **changes: Any) -> LoadInfo:
    """One load of clicks, in a pipeline folder of its own."""
    settings = replace(api_settings(), **changes)
    source = clicks_source(settings, domain, read)
    return load(source, f"clicks_{domain}")


def load_clicks(domain: int = 1, **changes: Any) -> ClicksRead:
    """Every load of a domain's clicks that it takes to get to the last page."""
    read = ClicksRead()
    for _ in range(9):
        load_chunk(read, domain, **changes)
        if read.finished:
            return read
    raise AssertionError("the last page was not reached in nine loads")


def click(**facts: Any) -> dict[str, Any]:
    return {**CLICK, **facts}


def link(**values: Any) -> dict[str, Any]:
    return {**LINK, **values}


def days(*ages: float) -> list[dict[str, Any]]:
    """Clicks of these many days ago, newest first, as the API lists them."""
    now = datetime(2026, 2, 20, tzinfo=UTC)
    return [click(path=f"/{age}", dt=(now - timedelta(days=age)).isoformat()) for age in ages]


def paths() -> list[str]:
    return [path for (path,) in rows("SELECT path FROM {dataset}.clicks ORDER BY path")]


def count(table: str) -> int:
    return rows(f"SELECT count(*) FROM {{dataset}}.{table}")[0][0]


def only_row(table: str) -> dict[str, Any]:
    with reading() as reader:
        (values,) = reader.rows(f"SELECT * FROM {{dataset}}.{table}")
        return dict(zip(reader.columns(table), values, strict=True))


def column_types(table: str) -> dict[str, str]:
    return dict(
        rows(
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_schema = 'link_assets' AND table_name = '{table}'"
        )
    )


def pages(sandbox: Sandbox) -> list[int | None]:
    return [record.page for record in sandbox.requests]


# A plain script

SCRIPT = """
import sys
from link_assets.domain_loads import open_loads
from link_assets.settings import api_settings
from link_assets.source.rest import links_source
from link_assets.warehouse.pipeline import open_pipeline

settings = api_settings()
with open_pipeline("links") as pipeline:
    pipeline.run(links_source(settings))
with open_loads(settings, [1]) as loads:
    loads.load(1)
print([name for name in sys.modules if name.partition("_")[0] == "dagster"])
"""


def test_a_plain_script_loads_both_tables_without_dagster() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
    assert (count("links"), count("clicks")) == (15, 40)


OPEN = """
import json, os, sys
from link_assets.domain_loads import open_loads
from link_assets.settings import api_settings

with open_loads(api_settings(), [1]) as loads:
    imported = [hasattr(sys.modules[name], kind) for name, kind in (
        ("pyarrow", "Table"), ("pandas", "DataFrame")
    )]
    before = {*os.environ}
    loads.load(1)
    print(json.dumps([imported, sorted({*os.environ} - before)]))
"""


def test_what_threads_must_not_do_beside_others_is_done_before_they_start(workdir: Path) -> None:
    # dlt asks for classes of modules that are still being imported; a new variable moves all others
    (workdir / "pandas.py").write_text("__version__ = '2.0'\nclass DataFrame: ...")
    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(workdir)},
    )
    assert done.returncode == 0, done.stderr
    imported, new_variables = json.loads(done.stdout)
    assert all(imported)
    assert new_variables == []


# Columns


def typed(table: Table) -> dict[str, str]:
    return {field.column: TYPES[field.data_type] for field in table.columns}


@pytest.mark.parametrize(
    ("links", "clicks"),
    [([], []), ([{"id": "a"}], [{"dt": CLICK["dt"]}])],
    ids=["no rows", "all but the key null"],
)
def test_every_column_is_there_with_its_type_after_the_first_load(
    sandbox: Sandbox, links: list[Any], clicks: list[Any]
) -> None:
    sandbox.links, sandbox.clicks = links, {1: clicks}
    load_links()
    load_clicks()
    for table in (LINKS, CLICKS, REJECTED_ROWS):
        there = column_types(table.name)
        assert {name: there.get(name) for name in typed(table)} == typed(table)
    for child in ("links__tags", "links__spellings"):
        assert column_types(child)["value"] == "VARCHAR"
    assert "_dlt_load_id" in column_types("clicks")
    found = [count(table) for table in ("links", "links__tags", "clicks", "rejected_rows")]
    assert found == [len(links), 0, len(clicks), 0]


OFFSETS = [
    ("2026-02-01T12:00:00.123Z", "2026-02-01 12:00:00.123"),
    ("2026-02-01T12:00:00", "2026-02-01 12:00:00"),
    ("2026-02-01T12:00:00+05:30", "2026-02-01 06:30:00"),
    ("2026-02-01T01:00:00.5+02:00", "2026-01-31 23:00:00.5"),
    ("2026-02-01T12:00:00-0800", "2026-02-01 20:00:00"),
]


def test_times_of_any_offset_arrive_in_utc(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click(dt=dt, path=f"/{i}") for i, (dt, _) in enumerate(OFFSETS)]}
    sandbox.links = [link(id=f"{i}", createdAt=dt) for i, (dt, _) in enumerate(OFFSETS)]
    load_links()
    load_clicks()
    expected = [(utc,) for _, utc in OFFSETS]
    utc = "CAST({} AT TIME ZONE 'UTC' AS VARCHAR)"
    assert rows(f"SELECT {utc.format('dt')} FROM {{dataset}}.clicks ORDER BY path") == expected
    assert rows(f"SELECT {utc.format('created_at')} FROM {{dataset}}.links ORDER BY id") == expected


def test_people_are_columns_of_the_link(sandbox: Sandbox) -> None:
    owner = {"id": 7, "name": "Ann", "email": "ann@x.example", "photoURL": None}
    sandbox.links = [link(Owner=owner, User={"id": "8", "photoURL": "https://x.example/8"})]
    load_links()
    row = only_row("links")
    assert [row[f"owner__{name}"] for name in ("id", "name", "email", "photo_url")] == [
        *(7, "Ann", "ann@x.example", None)
    ]
    assert (row["user__id"], row["user__photo_url"]) == (8, "https://x.example/8")


def test_undocumented_fields_become_columns_of_their_own(sandbox: Sandbox) -> None:
    sandbox.clicks = {
        1: [click(st=200, device="phone", click_id="of the API", ST="loud", St="odd")]
    }
    sandbox.links = [link(OwnerId=7, skipQS=True, owner_id="of the API", Tags="not a list")]
    load_links()
    load_clicks()
    clicked, listed = only_row("clicks"), only_row("links")
    assert (clicked["st"], clicked["domain_id"], clicked["device"]) == (200, 1, "phone")
    assert {"of the API", "loud", "odd"} <= set(clicked.values())
    assert len(clicked["click_id"]) == 32
    assert (listed["owner_id"], listed["skip_qs"]) == (7, "true")
    assert {"of the API", "not a list"} <= set(listed.values())


def test_a_field_that_appears_later_is_a_new_column(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click(path="/old")]}
    load_clicks()
    assert "device" not in column_types("clicks")
    sandbox.clicks = {1: [click(path="/new", device="phone"), click(path="/old")]}
    load_clicks()
    found = rows("SELECT path, device FROM {dataset}.clicks ORDER BY path")
    assert found == [("/new", "phone"), ("/old", None)]


@pytest.mark.long
def test_every_click_tells_which_load_brought_it(sandbox: Sandbox) -> None:
    load_clicks(chunk_rows=15)
    loads = rows("SELECT DISTINCT _dlt_load_id FROM {dataset}.clicks ORDER BY 1")
    assert loads == rows("SELECT load_id FROM {dataset}._dlt_loads ORDER BY 1")
    assert len(loads) == 3


def loaded_tables(info: LoadInfo) -> Iterable[tuple[str, str]]:
    for package in info.load_packages:
        for job in package.jobs["completed_jobs"]:
            yield job.job_file_info.table_name, job.job_file_info.file_format


def test_rows_travel_as_parquet() -> None:
    chunk = load_chunk(ClicksRead())
    listing = load(links_source(api_settings()), "links")
    formats = {job for info in (chunk, listing) for job in loaded_tables(info)}
    for table in ("clicks", "links", "links__tags"):
        assert {kind for name, kind in formats if name == table} - {"sql"} == {"parquet"}


# Keys


def test_a_link_is_known_by_its_id_or_else_by_its_id_string(sandbox: Sandbox) -> None:
    sandbox.links = [
        link(id="a", idString="b", title="old"),
        link(id=None, idString="c", title="old"),
        {"idString": "d", "title": "old"},
    ]
    load_links()
    sandbox.links = [{**known, "title": "new"} for known in sandbox.links]
    load_links()
    found = rows("SELECT id, id_string, title FROM {dataset}.links ORDER BY id")
    assert found == [("a", "b", "new"), ("c", "c", "new"), ("d", "d", "new")]


NEW_TAGS: dict[str, list[str] | None] = {
    "one new": ["new", "b"],
    "one gone": ["b"],
    "turned and grown": ["c", "b", "a"],
    "emptied": [],
    "null": None,
    "as before": ["a", "b"],
}


def test_a_links_tags_are_replaced(sandbox: Sandbox) -> None:
    sandbox.links = [link(id=name, tags=["a", "b"]) for name in NEW_TAGS]
    load_links()
    sandbox.links = [link(id=name, tags=tags) for name, tags in NEW_TAGS.items()]
    load_links()
    found = rows(
        "SELECT id, value FROM {dataset}.links JOIN {dataset}.links__tags AS tags"
        " ON tags._dlt_root_id = links._dlt_id ORDER BY id, tags._dlt_list_idx"
    )
    assert found == [(name, tag) for name in sorted(NEW_TAGS) for tag in NEW_TAGS[name] or ()]
    assert count("links__tags") == len(found)


@pytest.mark.long
def test_the_last_tag_of_all_can_go(sandbox: Sandbox) -> None:
    sandbox.links = [link(tags=["a", "b"])]
    load_links()
    assert count("links__tags") == 2
    load_clicks()  # whose schema knows no tags
    sandbox.links = [link(tags=[])]
    load_links()
    assert count("links__tags") == 0


def test_a_revised_click_replaces_its_earlier_version(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click(human=None)]}
    load_clicks()
    sandbox.clicks = {1: [click(human=True, goal_completed="sale", country="NZ")]}
    load_clicks()
    query = "SELECT human, goal_completed, country FROM {dataset}.clicks"
    assert rows(query) == [(True, "sale", "NZ")]


def test_two_identical_clicks_of_a_page_are_two_however_often_it_is_read(
    sandbox: Sandbox,
) -> None:
    sandbox.clicks = {1: [click(), click(), click(path="/other")]}
    load_clicks()
    load_clicks()
    assert paths() == ["/other", "/x", "/x"]


def test_clicks_at_the_same_time_all_stay(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click(), click(ip="192.0.2.2"), click(st=404)], 2: [click()]}
    load_clicks(1)
    load_clicks(2)
    found = rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1")
    assert found == [(1, 3), (2, 1)]


def test_a_row_delivered_again_on_the_next_page_collapses(sandbox: Sandbox) -> None:
    listed = days(1, 2, 3)

    def one_more(record: RequestRecord) -> None:
        if record.page == 2:
            sandbox.clicks = {1: [*days(0), *listed]}

    sandbox.page_size, sandbox.clicks, sandbox.on_request = 2, {1: listed}, one_more
    assert load_clicks().stats.accepted == 4
    assert paths() == ["/1", "/2", "/3"]


# Rejected rows

BAD_CLICKS: list[tuple[Any, str]] = [
    (click(st="many"), "st: is text, not a whole number"),
    (click(human="perhaps", path={"a": 1}), "path: is an object, not text; human: is text, not "),
    ({"path": "/no-time"}, "dt: is missing"),
    (click(dt="yesterday"), "dt: is text, not "),
    ("not an object", "is not an object"),
]
BAD_LINKS: list[tuple[Any, str]] = [
    (link(archived="perhaps"), "archived: is text, not true or false"),
    (link(Owner="me"), "Owner: is text, not an object"),
    (link(tags="one"), "tags: is text, not a list"),
    ({"title": "no id"}, "id: is missing, and so is idString"),
]


def test_rows_of_many_batches_are_all_there_and_once(sandbox: Sandbox) -> None:
    size, count = 150, BATCH_ROWS + 1_500
    clicks = World(clicks_per_domain=count).clicks(1, 0, count)
    unreadable = click(dt="never")
    listing = [*clicks[:1000], unreadable, *clicks[1000:-1]]
    sandbox.page_size, sandbox.clicks = size, {1: [*listing, *listing[:size]]}
    load_clicks()
    assert loaded_clicks() == expected_clicks({1: clicks[:-1]})
    assert loaded_rejections() == expected_rejections(1, [unreadable])


def test_unreadable_rows_are_kept_whole_with_the_reason(sandbox: Sandbox) -> None:
    sandbox.clicks = {2: [click(), *(row for row, _ in BAD_CLICKS)]}
    sandbox.links = [link(), *(row for row, _ in BAD_LINKS)]
    assert (load_links().stats.rejected, load_clicks(2).stats.rejected) == (4, 5)
    assert (count("clicks"), count("links")) == (1, 1)
    kept = rows("SELECT payload, resource, domain_id, reason FROM {dataset}.rejected_rows")
    assert len(kept) == 9
    found = {payload: told for payload, *told in kept}
    expected = [("clicks", 2, *bad) for bad in BAD_CLICKS]
    for table, domain, row, reason in [*expected, *(("links", None, *bad) for bad in BAD_LINKS)]:
        *whence, told = found[json.dumps(row, sort_keys=True, separators=(",", ":"))]
        assert whence == [table, domain]
        assert told.startswith(reason)


@pytest.mark.long
def test_rejecting_a_row_again_does_not_add_it(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [row for row, _ in BAD_CLICKS]}
    sandbox.links = [row for row, _ in BAD_LINKS]
    for _ in range(2):
        load_links()
        assert load_clicks().stats.rejected == 5
    assert count("rejected_rows") == 9
    loads = rows("SELECT load_id FROM {dataset}._dlt_loads")
    assert set(rows("SELECT DISTINCT _dlt_load_id FROM {dataset}.rejected_rows")) <= set(loads)


# Chunks


def test_each_chunk_begins_at_the_token_of_the_last(sandbox: Sandbox) -> None:
    read, seen = ClicksRead(), []
    for _ in range(3):
        load_chunk(read, chunk_rows=15)
        seen.append((count("clicks"), read.stats.pages, read.finished))
    assert seen == [(15, 1, False), (30, 2, False), (40, 3, True)]
    assert pages(sandbox) == [1, 2, 3]
    assert read.stats.resumed_from is None


def test_a_chunk_ends_after_the_seconds_that_are_set(sandbox: Sandbox) -> None:
    read, seen = ClicksRead(), []
    while not read.finished:
        load_chunk(read, chunk_seconds=0.001)
        seen.append(read.stats.pages)
    assert seen == [1, 2, 3]


def test_another_machine_takes_up_where_a_run_stopped(sandbox: Sandbox) -> None:
    load_chunk(ClicksRead(), chunk_rows=15)
    read = load_clicks(chunk_rows=15)
    assert pages(sandbox) == [1, 2, 3]
    assert (read.stats.resumed_from, read.stats.pages, read.stats.accepted) == (2, 2, 25)
    assert count("clicks") == 40


def test_a_finished_read_is_followed_by_one_from_the_first_page(sandbox: Sandbox) -> None:
    load_clicks()
    sandbox.world = World(clicks_per_domain=40, links_per_domain=5).grown(2)
    read = load_clicks()
    assert pages(sandbox) == [1, 2, 3, 1, 2, 3]
    assert read.stats.resumed_from is None
    assert count("clicks") == 42


@pytest.mark.long
def test_each_domain_keeps_its_own_place(sandbox: Sandbox) -> None:
    for domain in (1, 2):
        load_chunk(ClicksRead(), domain, chunk_rows=15)
    assert [load_clicks(domain).stats.resumed_from for domain in (3, 1, 2)] == [None, 2, 2]
    found = rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1")
    assert found == [(1, 40), (2, 40), (3, 40)]


def test_a_restart_begins_at_the_first_page(sandbox: Sandbox) -> None:
    load_chunk(ClicksRead(), chunk_rows=15)
    read = ClicksRead(full_refresh("a run", is_empty=False))
    load_chunk(read)
    assert pages(sandbox) == [1, 1, 2, 3]
    assert (read.stats.resumed_from, read.finished) == (None, True)
    assert count("clicks") == 40


@pytest.mark.long
def test_a_retried_restart_resumes_where_the_first_attempt_stopped(
    sandbox: Sandbox,
) -> None:
    load_clicks()
    sandbox.reset_log()
    for name in ("a run", "a run", "another"):
        load_chunk(ClicksRead(full_refresh(name, is_empty=False)), chunk_rows=15)
    assert pages(sandbox) == [1, 2, 1]


def test_a_restart_reads_old_pages_too(sandbox: Sandbox) -> None:
    sandbox.page_size, sandbox.clicks = 1, {1: days(1, 2, 3, 4)}
    newest_first: dict[str, Any] = {"clicks_order": "newest_first", "clicks_lookback_days": 0}
    load_clicks(**newest_first)
    sandbox.reset_log()
    load_clicks(**newest_first)
    assert pages(sandbox) == [1, 2]
    load_chunk(ClicksRead(full_refresh("a run", is_empty=False)), **newest_first)
    assert pages(sandbox) == [1, 2, 1, 2, 3, 4]


# Reading less


@pytest.mark.parametrize(
    ("order", "lookback", "asked"),
    [
        ("unordered", 0, [1, 2, 3, 4, 5, 6]),
        ("newest_first", 0, [1, 2]),
        ("newest_first", 2, [1, 2, 3, 4]),
        ("newest_first", 100, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_newest_first_stops_at_the_first_page_that_is_older_than_the_lookback(
    sandbox: Sandbox, order: str, lookback: float, asked: list[int]
) -> None:
    sandbox.page_size, sandbox.clicks = 1, {1: days(0, 1, 2, 3, 4, 5)}
    load_clicks(clicks_order=order, clicks_lookback_days=lookback)
    assert pages(sandbox) == [1, 2, 3, 4, 5, 6]
    sandbox.reset_log()
    assert load_clicks(clicks_order=order, clicks_lookback_days=lookback).finished
    assert pages(sandbox) == asked
    assert count("clicks") == 6


def test_newest_first_takes_up_clicks_within_the_lookback(sandbox: Sandbox) -> None:
    sandbox.page_size, sandbox.clicks = 1, {1: days(0, 2, 4)}
    load_clicks(clicks_order="newest_first", clicks_lookback_days=3)
    revised = [{**row, "human": True} for row in days(0, 1, 2, 3, 4)]
    sandbox.clicks = {1: revised}
    load_clicks(clicks_order="newest_first", clicks_lookback_days=3)
    found = rows("SELECT path FROM {dataset}.clicks WHERE human ORDER BY path")
    assert found == [("/0",), ("/1",), ("/2",), ("/3",), ("/4",)]


def test_a_click_at_the_very_time_of_the_newest_known_is_not_lost(sandbox: Sandbox) -> None:
    settings: dict[str, Any] = {"clicks_order": "newest_first", "clicks_lookback_days": 0}
    newest, *old = days(0, 1, 2, 3, 4)
    sandbox.page_size, sandbox.clicks = 1, {1: [newest, *old]}
    load_clicks(**settings)
    sandbox.reset_log()
    sandbox.clicks = {1: [newest, {**newest, "path": "/late"}, *old]}
    load_clicks(**settings)
    assert "/late" in paths()
    assert pages(sandbox) == [1, 2, 3]


@pytest.mark.parametrize(
    "how", [{"clicks_order": "newest_first"}, {"clicks_since_param": "since"}], ids=str
)
def test_a_click_from_the_future_does_not_hide_later_ones(
    sandbox: Sandbox, how: dict[str, Any]
) -> None:
    sandbox.page_size, sandbox.supports_since = 1, "since"
    future = click(path="/future", dt="2999-01-01T00:00:00Z")
    sandbox.clicks = {1: [future]}
    load_clicks(clicks_lookback_days=0, **how)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    new = [click(path=f"/new{i}", dt=later) for i in range(2)]
    sandbox.clicks = {1: [future, *new]}
    load_clicks(clicks_lookback_days=0, **how)
    assert paths() == ["/future", "/new0", "/new1"]


@pytest.mark.long
def test_the_api_is_asked_for_new_clicks_only_where_it_can_tell_them(sandbox: Sandbox) -> None:
    sandbox.page_size, sandbox.supports_since = 1, "since"
    sandbox.clicks = {1: days(0, 1, 2, 3, 4)}
    load_clicks(clicks_since_param="since", clicks_lookback_days=2)
    assert not any("since" in record.params for record in sandbox.requests)
    sandbox.reset_log()
    for _ in range(2):
        load_chunk(ClicksRead(), clicks_since_param="since", clicks_lookback_days=2, chunk_rows=2)
    sent = {record.params["since"] for record in sandbox.requests}
    assert {datetime.fromisoformat(text) for text in sent} == {datetime(2026, 2, 18, tzinfo=UTC)}
    assert pages(sandbox) == [1, 2, 3]
    sandbox.reset_log()
    load_clicks(clicks_lookback_days=2)
    assert not any("since" in record.params for record in sandbox.requests)


def test_clicks_that_become_readable_later_are_not_taken_for_old_ones(
    api: str, sandbox: Sandbox
) -> None:
    incremental = {"clicks_order": "newest_first", "clicks_since_param": "since"}
    sandbox.supports_since = "since"
    sandbox.clicks = {1: [click(dt="soon") for _ in range(3)]}
    assert load_clicks(1, **incremental).stats.rejected == 3
    sandbox.clicks = {1: [click(dt=f"2020-01-0{day}T00:00:00Z") for day in (3, 2, 1)]}
    assert load_clicks(1, **incremental).stats.accepted == 3
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(3,)]


@pytest.mark.long
def test_two_runs_of_a_domain_do_not_take_each_others_tokens_for_a_circle(
    api: str, sandbox: Sandbox
) -> None:
    first = ClicksRead()
    load_chunk(first, chunk_rows=1)
    load_chunk(first, chunk_rows=1)
    load_chunk(ClicksRead(full_refresh("a run", is_empty=False)), chunk_rows=1)
    while not first.finished:
        load_chunk(first, chunk_rows=1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


def test_a_read_that_goes_on_another_day_asks_for_the_same_clicks(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = datetime.now(UTC).replace(hour=12)
    sandbox.page_size, sandbox.supports_since = 1, "since"
    times = [noon - timedelta(days=days, hours=hour) for days in (60, 59, 50) for hour in (9, 1)]
    sandbox.clicks = {1: [click(path=f"/{time}", dt=time.isoformat()) for time in times]}
    kept: dict[str, Any] = {"keep_clicks_days": 60, "clicks_since_param": "since", "chunk_rows": 3}
    load_chunk(ClicksRead(), **kept)
    day = resume.first_day_loaded
    monkeypatch.setattr(
        resume, "first_day_loaded", lambda days, today: day(days, today + timedelta(days=1))
    )
    load_chunk(ClicksRead(), **kept)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(6,)]
