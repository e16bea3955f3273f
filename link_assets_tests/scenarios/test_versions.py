"""Of a row that is delivered more than once, the last version is kept, and counted once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from dlt.common.exceptions import DltException

from link_assets.domain_loads import open_loads
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import api_settings
from link_assets.source import rejected_ids, resume, transforms
from link_assets.source.links_read import LinksRead
from link_assets.source.rest import links_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import Location, mostly_long, rows
from link_assets_tests.truth import expected_tags, loaded_tags

DT = "2026-02-01T12:00:00Z"
PATHS = {"clicks": "/v1/domain/1/link_clicks", "links": "/v1/links"}
KEYS = {"clicks": "data", "links": "links"}

# `a0 b0 | a1` are two pages: the rows a and b in version 0, and then a in version 1;
# `a!` is a version of a that cannot be read
PAGES = [
    ("on the next page", "a0 b0 | a1 c0", "a1 b0 c0"),
    ("three versions", "a0 b0 | a1 c0 | d0 | a2", "a2 b0 c0 d0"),
    ("every page repeats a row otherwise", "a0 b0 | b1 c0 | c1 d0 | d1 e0", "a0 b1 c1 d1 e0"),
    ("an empty page between", "a0 | | a1", "a1"),
    ("unreadable between", "a0 | a! | b0 | a1", "a1 b0"),
    ("many pages on", "a0 b0 | c0 d0 | e0 f0 | g0 h0 | a1", "a1 b0 c0 d0 e0 f0 g0 h0"),
    ("on the last page", "a0 | b0 | a1", "a1 b0"),
    ("back to how it was", "a0 | b0 a1 | c0 | a0", "a0 b0 c0"),
    ("every page repeats a row as it was", "a0 b0 | b0 c0 | c0 d0 | d0 e0", "a0 b0 c0 d0 e0"),
    ("all rows again", "a0 b0 | c0 | a1 b1 | c1", "a1 b1 c1"),
    ("some again as they were, some otherwise", "a0 b0 | c0 | a0 b1 | c0", "a0 b1 c0"),
    ("first unreadable", "a! b0 | c0 | a1", "a1 b0 c0"),
    ("then unreadable", "a0 b0 | c0 | a!", "a0 b0 c0"),
]
LONG = [pytest.param(*case[1:], marks=pytest.mark.long) for case in PAGES[5:]]
CASES = pytest.mark.parametrize(
    ("pages", "kept"), [*(c[1:] for c in PAGES[:5]), *LONG], ids=[c[0] for c in PAGES]
)


def click(name: str, version: str) -> dict[str, Any]:
    found = {"human": "perhaps"} if version == "!" else {"goal_completed": version}
    return {"path": name, "dt": DT, "host": "go.example", **found}


def link(name: str, version: str) -> dict[str, Any]:
    row = {"id": name, "idString": name, "originalURL": "https://x.example", "DomainId": 1}
    tags = [f"{name}{version}"] * (1 + ord(name) % 2) if version != "0" else ["x", "y", "z"]
    return {**row, "title": version, "tags": tags} | ({"archived": 3} if version == "!" else {})


MADE = {"clicks": click, "links": link}


def spelled(table: str, names: str) -> list[dict[str, Any]]:
    return [MADE[table](name[0], name[1]) for name in names.split()]


def serve(sandbox: Sandbox, table: str, pages: Sequence[list[Any]], since: int = 1) -> None:
    """Has the listing come in exactly these pages."""
    sandbox.page_size = 1
    sandbox.clicks, sandbox.links = {1: [None] * len(pages)}, [None] * len(pages)
    sandbox.faults = [
        Fault(PATHS[table], number, times=None, replace=lambda a, h={KEYS[table]: page}: {**a, **h})
        for number, page in enumerate(pages, start=since)
    ]


def serve_spelled(sandbox: Sandbox, table: str, pages: str) -> None:
    serve(sandbox, table, [spelled(table, page) for page in pages.split("|")])


def asked(sandbox: Sandbox) -> list[int | None]:
    return [record.page for record in sandbox.requests]


def load(**changes: Any) -> tuple[ClicksRead, int]:
    """Loads the clicks to the last page; their read, and how many chunks it took."""
    settings, read = replace(api_settings(), **changes), ClicksRead()
    with open_loads(settings, [1]) as loads, loads.begin(1, read) as chunks:
        while not read.finished:
            assert chunks.count < 50
            chunks.load()
    return read, chunks.count


def load_links() -> LinksRead:
    read = LinksRead()
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings(), read))
    return read


def versions(table: str) -> str:
    name, version = {"clicks": ("path", "goal_completed"), "links": ("id", "title")}[table]
    query = f"SELECT {name} || {version} FROM {{dataset}}.{table} ORDER BY 1"
    return " ".join(row for (row,) in rows(query))


# Clicks


@CASES
@pytest.mark.parametrize("batch_rows", mostly_long([2, 1, 4_000], 1))
def test_the_last_version_of_a_click_is_kept_however_many_are_read_at_once(
    api: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    pages: str,
    kept: str,
    batch_rows: int,
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", batch_rows)
    serve_spelled(sandbox, "clicks", pages)
    load()
    assert versions("clicks") == kept


@CASES
@pytest.mark.parametrize("chunk_rows", mostly_long([3, 1], 1))
def test_the_last_version_of_a_click_is_kept_with_chunks_of_any_size(
    api: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    pages: str,
    kept: str,
    chunk_rows: int,
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    serve_spelled(sandbox, "clicks", pages)
    load(chunk_rows=chunk_rows)
    assert versions("clicks") == kept


@pytest.mark.parametrize("batch_rows", [1, 2, 4_000])
def test_pages_and_rows_are_counted_once_where_a_chunk_ended_early(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", batch_rows)
    serve_spelled(sandbox, "clicks", "a0 b0 | c0 x! | d0 e0 | a1 y! | f0")
    read, _ = load()
    assert (read.stats.pages, read.stats.received, read.stats.accepted) == (5, 9, 7)
    assert (read.stats.rejected, read.stats.rejected_before, read.finished) == (2, 0, True)
    assert read.stats.resumed_from is None
    assert versions("clicks") == "a1 b0 c0 d0 e0 f0"


def test_clicks_that_come_again_as_they_were_cost_no_request_and_no_load(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    serve_spelled(sandbox, "clicks", "a0 b0 | b0 c0 | c0 d0 | a0 b0 | d0 e0 | e0")
    _, loads = load()
    assert (asked(sandbox), loads) == ([1, 2, 3, 4, 5, 6], 1)
    assert versions("clicks") == "a0 b0 c0 d0 e0"
    ((clicks, loaded),) = rows("SELECT count(*), count(DISTINCT click_id) FROM {dataset}.clicks")
    assert clicks == loaded == 5


def test_a_click_has_one_id_on_the_slow_way_and_on_the_fast_way(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    new = click("a", "0") | {"new": "field"}
    serve(
        sandbox, "clicks", [[new, click("x", "!")], [new, click("c", "0")], [new, click("d", "0")]]
    )
    _, loads = load()
    assert (asked(sandbox), loads) == ([1, 2, 3], 1)
    assert versions("clicks") == "a0 c0 d0"


@pytest.mark.long
def test_no_load_brings_a_click_twice(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 3)
    for _, pages, _ in PAGES:
        serve_spelled(sandbox, "clicks", pages)
        load()
        doubled = "SELECT click_id FROM {dataset}.clicks GROUP BY 1 HAVING count(*) > 1"
        assert rows(doubled) == []


def test_identical_clicks_stay_two_where_their_page_comes_again_changed(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    serve_spelled(sandbox, "clicks", "a0 a0 | b0 | a1 a1")
    load()
    assert versions("clicks") == "a1 a1 b0"


def test_a_load_that_fails_after_an_early_end_is_completed_by_the_next(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    serve_spelled(sandbox, "clicks", "a0 b0 | c0 d0 | a1 x! | e0 f0 | g0")
    refused = Fault(PATHS["clicks"], 5, status=403)
    sandbox.faults.insert(0, refused)
    with pytest.raises(DltException, match="page 5: the API answered 403"):
        load()
    assert versions("clicks") == "a0 b0 c0 d0"
    sandbox.reset_log()
    read, _ = load()
    assert asked(sandbox) == [3, 4, 5]
    assert (read.stats.resumed_from, read.stats.pages, read.stats.rejected_before) == (3, 3, 0)
    assert versions("clicks") == "a1 b0 c0 d0 e0 f0 g0"


def test_pages_in_a_circle_are_noticed_though_each_brings_other_versions(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 1)
    numbers, tokens = itertools.count(), []

    def circle(page: dict[str, Any]) -> dict[str, Any]:
        tokens.append(page["nextPageToken"])
        row = click("a", "0") | {"city": str(next(numbers))}
        return {"data": [row], "nextPageToken": page["nextPageToken"] or tokens[0]}

    sandbox.page_size, sandbox.clicks = 1, {1: [None] * 4}
    sandbox.faults = [Fault(PATHS["clicks"], times=None, replace=circle)]
    sandbox.on_request = lambda _: None if len(sandbox.requests) < 60 else pytest.fail("endless")
    with pytest.raises(DltException, match="came a second time"):
        load()


@pytest.mark.long
def test_clicks_of_a_dagster_run_are_the_last_delivered(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    location.instance.add_dynamic_partitions("domain", ["1"])
    serve_spelled(sandbox, "clicks", "a0 b0 | c0 x! | a1 x! | d0")
    assert location.clicks("1").success
    assert versions("clicks") == "a1 b0 c0 d0"
    shown = location.click_metadata("1")
    assert (shown["rows_loaded"], shown["rejected_rows"], shown["pages"]) == (5, 1, 4)


# Links


@CASES
def test_the_last_version_of_a_link_is_kept_with_its_tags(
    api: str, sandbox: Sandbox, pages: str, kept: str
) -> None:
    serve_spelled(sandbox, "links", pages)
    expected = expected_tags(spelled("links", kept))
    for _ in range(2):
        load_links()
        assert versions("links") == kept
        assert loaded_tags() == expected


@pytest.mark.parametrize("page_size", [7, 150, 1_000])
def test_the_last_versions_of_many_links_are_kept(
    api: str, sandbox: Sandbox, page_size: int
) -> None:
    listing = [{**link("a", str(n % 3 + 1)), "id": f"{n * 7 % 400:03}"} for n in range(1_000)]
    serve(sandbox, "links", [listing[i : i + page_size] for i in range(0, 1_000, page_size)])
    load_links()
    last = {row["id"]: row["title"] for row in listing}
    assert rows("SELECT id, title FROM {dataset}.links ORDER BY 1") == sorted(last.items())
    tags = [(id, place, f"a{title}") for id, title in last.items() for place in range(2)]
    assert loaded_tags() == sorted(tags)


@pytest.mark.long
def test_a_link_that_is_listed_twice_is_deleted_and_comes_back_like_any_other(
    location: Location, sandbox: Sandbox
) -> None:
    gone = "SELECT id FROM {dataset}.links WHERE deleted_at IS NOT NULL ORDER BY 1"
    for pages, expected in [
        ("a0 b0 | a1 c0 d0", []),
        ("b0 c0 | c1 d0", [("a",)]),
        ("a0 b0 | a1 b! c0 | d0", []),
        ("b! | a0 c0 | a1 d0", []),
        ("b0 | b! c0 d0", [("a",)]),
    ]:
        serve_spelled(sandbox, "links", pages)
        assert location.links().success
        assert rows(gone) == expected


# Rejected rows are counted once


@pytest.mark.parametrize("batch_rows", mostly_long([2, 1, 4_000], 1))
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_an_unreadable_click_on_two_pages_counts_once(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, batch_rows: int, chunk_rows: int
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", batch_rows)
    serve_spelled(sandbox, "clicks", "a0 x! | x! y! b0 | y! c0 | x! x!")
    read, _ = load(chunk_rows=chunk_rows)
    ((kept,),) = rows("SELECT count(*) FROM {dataset}.rejected_rows")
    # two alike on one page are two rows
    assert read.stats.rejected == kept == 3
    assert read.stats.accepted == 3


def test_an_unreadable_link_on_two_pages_counts_once(api: str, sandbox: Sandbox) -> None:
    serve_spelled(sandbox, "links", "a0 x! | x! b0 | y! | x!")
    read = load_links()
    ((kept,),) = rows("SELECT count(*) FROM {dataset}.rejected_rows")
    assert read.stats.rejected == kept == 2
    assert read.stats.accepted == 2


def test_a_run_that_resumes_knows_the_unreadable_clicks_of_the_one_before(
    api: str, sandbox: Sandbox
) -> None:
    serve_spelled(sandbox, "clicks", "a0 x! | x! y! | b0 y!")
    settings = replace(api_settings(), chunk_rows=2)
    with open_loads(settings, [1]) as loads, loads.begin(1, ClicksRead()) as chunks:
        chunks.load()
    read, _ = load()
    assert (read.stats.rejected_before, read.stats.rejected) == (1, 1)
    ((kept,),) = rows("SELECT count(*) FROM {dataset}.rejected_rows")
    assert kept == 2


@pytest.mark.long
def test_the_next_read_counts_unreadable_clicks_again(api: str, sandbox: Sandbox) -> None:
    serve_spelled(sandbox, "clicks", "a0 x! | x! y!")
    for _ in range(2):
        read, _ = load(chunk_rows=2)
        assert (read.stats.rejected_before, read.stats.rejected) == (0, 2)


def test_rejected_rows_are_remembered_within_bounds(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected_ids, "REMEMBERED", 2)
    monkeypatch.setattr(resume, "KEPT_REJECTED", 1)
    serve_spelled(sandbox, "clicks", "x! y! | y! z! | z! x!")
    read, _ = load()
    # x has been forgotten by the time it comes again
    assert read.stats.rejected == 4
    assert read.rejected.latest(9) == read.rejected.latest(2)
