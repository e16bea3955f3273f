"""Paging that brings nothing new comes to an end, and what it brought is loaded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dlt.common.exceptions import DltException
from dlt.pipeline.exceptions import PipelineStepFailed
from msgspec import Raw

from link_assets.contract import CLICK_FACTS
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import api_settings
from link_assets.source.endless import NewRows
from link_assets.source.rest import clicks_source, links_source
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.children import load_clicks
from link_assets_tests.support import Location, failure_text, mostly_long, rows

API = "SOURCES__LINK_ASSETS__"
CLICK = {"host": "go.example", "dt": "2026-02-01T12:00:00Z"}
CLICKS = "/v1/domain/1/link_clicks"
LINKS = "/v1/links"
LIMIT = 100


@pytest.fixture
def sandbox() -> Sandbox:
    """A listing of one page; `endless` and `listing` have it go on."""
    sandbox = Sandbox(links=[{"id": "a"}], clicks={1: [CLICK]})
    sandbox.on_request = lambda _: bounded(sandbox)
    return sandbox


def bounded(sandbox: Sandbox) -> None:
    """Ends a run that reads without end."""
    assert len(sandbox.requests) < 500


def endless(sandbox: Sandbox, path: str, pages: Iterator[list[Any]]) -> None:
    """Has the listing come in these pages, with a token that was never there after each."""
    key, numbers = ("links" if path == LINKS else "data"), itertools.count()

    def page(_: dict[str, Any]) -> dict[str, Any]:
        return {key: next(pages), "nextPageToken": f"token {next(numbers)}"}

    sandbox.faults = [Always(path, times=None, replace=page)]


class Always(Fault):
    """Puts a page in the place of any answer, a refusal of its token among them."""

    def rewrite(self, answer: Any) -> Any:
        assert self.replace is not None
        return type(answer)(self.replace({}))


def click(number: int) -> dict[str, Any]:
    return {**CLICK, "path": f"/{number}"}


def link(number: int) -> dict[str, Any]:
    return {"id": f"link {number}", "DomainId": 1}


def empty(rows: list[Any]) -> Iterator[list[Any]]:
    """The rows, and then empty pages."""
    return itertools.chain([rows], itertools.repeat([]))


def again(rows: list[Any]) -> Iterator[list[Any]]:
    """The same rows on every page."""
    return itertools.repeat(rows)


def in_turn(rows: list[Any]) -> Iterator[list[Any]]:
    """A row a page, round and round."""
    return ([row] for row in itertools.cycle(rows))


def turned(rows: list[Any]) -> Iterator[list[Any]]:
    """All rows on every page, always in another order."""
    return (list(order) for order in itertools.cycle(itertools.permutations(rows)))


def revised(rows: list[Any]) -> Iterator[list[Any]]:
    """The same rows, never quite as they were."""
    return ([{**row, "seen": n} for row in rows] for n in itertools.count())


def with_gaps(rows: list[Any]) -> Iterator[list[Any]]:
    """The same rows now and then, and empty pages in between."""
    return (rows if n % 3 == 0 else [] for n in itertools.count())


WAYS = [again, with_gaps, empty, in_turn, turned, revised]
ways = pytest.mark.parametrize("way", mostly_long(WAYS, 2), ids=[way.__name__ for way in WAYS])


@ways
@pytest.mark.parametrize("chunk_rows", mostly_long([100_000, 1], 1))
def test_of_endless_clicks_the_new_ones_are_loaded_and_the_run_fails(
    way: Callable[[list[Any]], Iterator[list[Any]]],
    chunk_rows: int,
    location: Location,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{API}CHUNK_ROWS", str(chunk_rows))
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", "10")
    location.instance.add_dynamic_partitions("domain", ["1"])
    endless(sandbox, CLICKS, way([click(1), click(2), click(3)]))
    result = location.clicks("1")
    assert not result.success
    told = failure_text(result)
    assert told.startswith("clicks of domain 1, page ")
    assert ": 10 pages in a row brought no new row" in told
    assert f"{API}MAX_PAGES_WITHOUT_NEWS" in told
    assert len(sandbox.requests) <= 18
    found = rows("SELECT path FROM {dataset}.clicks ORDER BY path")
    assert found == [("/1",), ("/2",), ("/3",)]


@pytest.mark.long
@ways
def test_of_endless_links_the_new_ones_are_loaded_and_none_is_marked_deleted(
    way: Callable[[list[Any]], Iterator[list[Any]]],
    location: Location,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", "10")
    sandbox.links = [link(number) for number in range(1, 6)]
    assert location.links().success
    sandbox.reset_log()
    endless(sandbox, LINKS, way([link(1), link(2), link(7)]))
    result = location.links()
    assert not result.success
    assert failure_text(result).startswith("links, page ")
    assert ": 10 pages in a row brought no new row" in failure_text(result)
    assert len(sandbox.requests) <= 18
    found = rows("SELECT id FROM {dataset}.links WHERE deleted_at IS NULL ORDER BY id")
    assert found == [(f"link {number}",) for number in (1, 2, 3, 4, 5, 7)]


@pytest.mark.long
def test_the_default_is_a_hundred_pages(location: Location, sandbox: Sandbox) -> None:
    location.instance.add_dynamic_partitions("domain", ["1"])
    endless(sandbox, CLICKS, empty([click(1)]))
    told = failure_text(location.clicks("1"))
    assert f"clicks of domain 1, page {LIMIT + 1}: {LIMIT} pages in a row brought no" in told
    assert len(sandbox.requests) == LIMIT + 1


@pytest.mark.long
@pytest.mark.parametrize("chunk_rows", mostly_long([1, 100_000], 1))
def test_the_next_run_begins_again_and_ends_too(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setenv(f"{API}CHUNK_ROWS", str(chunk_rows))
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", "10")
    location.instance.add_dynamic_partitions("domain", ["1"])
    for number in (1, 2):
        endless(sandbox, CLICKS, empty([click(number)]))
        sandbox.reset_log()
        assert "page 11: 10 pages in a row" in failure_text(location.clicks("1"))
        assert "pageToken" not in sandbox.requests[0].params
        assert rows("SELECT count(*) FROM {dataset}.clicks") == [(number,)]
    sandbox.faults.clear()
    assert location.clicks("1").success
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(3,)]


@pytest.mark.long
@pytest.mark.parametrize("path", [CLICKS, LINKS])
@pytest.mark.parametrize("limit", mostly_long([3, 1, LIMIT], 1))
def test_one_empty_page_less_in_a_row_is_a_listing_like_any_other(
    path: str, limit: int, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", str(limit))
    location.instance.add_dynamic_partitions("domain", ["1"])
    row, key = (click, "data") if path == CLICKS else (link, "links")
    gap: list[list[Any]] = [[]] * (limit - 1)
    pages = [[row(1)], *gap, [row(2)], *gap, [row(3)], *gap]

    def page(_: dict[str, Any]) -> dict[str, Any]:
        asked = len(sandbox.requests)
        return {key: pages[asked - 1], "nextPageToken": asked if asked < len(pages) else None}

    sandbox.faults = [Always(path, times=None, replace=page)]
    result = location.clicks("1") if path == CLICKS else location.links()
    assert result.success
    table = "clicks" if path == CLICKS else "links"
    assert rows(f"SELECT count(*) FROM {{dataset}}.{table}") == [(3,)]
    assert len(sandbox.requests) == len(pages)


def test_a_script_of_chunks_gets_the_rows_and_then_the_error(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", "5")
    endless(sandbox, CLICKS, again([click(1)]))
    with pytest.raises(DltException, match="5 pages in a row brought no new row"):
        load_clicks(1)
    assert rows("SELECT path FROM {dataset}.clicks") == [("/1",)]


@pytest.mark.parametrize("path", [CLICKS, LINKS])
def test_a_script_without_a_read_of_its_own_gets_the_error(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv(f"{API}MAX_PAGES_WITHOUT_NEWS", "5")
    endless(sandbox, path, again([click(1) if path == CLICKS else link(1)]))
    settings = api_settings()
    source = clicks_source(settings, 1) if path == CLICKS else links_source(settings)
    with (
        pytest.raises(PipelineStepFailed, match="5 pages in a row brought no new row"),
        open_pipeline("watched_by_nobody") as pipeline,
    ):
        pipeline.run(source)


def pages_without(*pages: list[Any], known_by: tuple[str, ...] = CLICK_FACTS) -> list[int]:
    news, found = NewRows(), []
    for page in pages:
        news.look_at([Raw(json.dumps(row).encode()) for row in page], known_by)
        found.append(news.pages_without)
    return found


def test_a_row_that_leads_every_page_does_not_hide_what_follows_it() -> None:
    pinned = [[click(0), click(number)] for number in range(1, 9)]
    assert pages_without(*pinned) == [0] * 8


def test_rows_are_known_by_their_facts_and_whole_where_they_have_none() -> None:
    assert pages_without([{"x": 1}], [{"x": 2}], [7], ["7"], [None], [[1]]) == [0] * 6
    assert pages_without([{"x": 1}], [{"x": 1}], [{"x": 1}]) == [0, 0, 1]
    same = [{**CLICK, "human": human} for human in (True, False, None)]
    assert pages_without(*([row] for row in same)) == [0, 0, 1]
    links = [{"id": None, "idString": "a"}, {"idString": "a", "title": "new"}, {"idString": "a"}]
    assert pages_without(*([row] for row in links), known_by=("id", "idString")) == [0, 0, 1]
