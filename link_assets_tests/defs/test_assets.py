"""The assets, from the API to the warehouse."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from link_assets.defs import configuration
from link_assets.defs.clicks_loader import ClicksLoader
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, RequestRecord, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse import reader as reader_module
from link_assets.warehouse import row_counts
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import Reader
from link_assets_tests.children import load_clicks
from link_assets_tests.support import Location, failure_text, mostly_long, rows
from link_assets_tests.truth import (
    expected_world,
    loaded_clicks,
    loaded_clicks_with_keys,
    world_clicks,
)


@pytest.fixture(autouse=True)
def bounded(sandbox: Sandbox) -> None:
    """Ends a run that reads without end."""

    def count(_: RequestRecord) -> None:
        assert len(sandbox.requests) < 60

    sandbox.on_request = count


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which are not made."""
    made: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=made.append))
    return made


def world_of(sandbox: Sandbox) -> World:
    assert sandbox.world
    return sandbox.world


def register(location: Location, *domains: int) -> None:
    """Registers domains as `links` would, without loading any."""
    location.instance.add_dynamic_partitions("domain", [str(domain) for domain in domains])


def stop_after_one_chunk(domain: int) -> None:
    """Loads a domain's first chunk and goes away, as a killed run does."""
    with open_pipeline(f"clicks_{domain}") as pipeline:
        pipeline.run(clicks_source(api_settings(), domain))


def pages_asked(sandbox: Sandbox) -> list[int | None]:
    """Which pages of clicks were asked for, in order, since the log was last emptied."""
    return [record.page for record in sandbox.requests if record.path != "/v1/links"]


def said(location: Location, result: dg.ExecuteInProcessResult) -> str:
    """Every event and log line of a run, whole."""
    return "\n".join(entry.to_json() for entry in location.instance.all_logs(result.run_id))


def moments(clicks: list[dict[str, Any]]) -> list[datetime]:
    return [datetime.fromisoformat(click["dt"]) for click in clicks]


def test_every_link_and_click_arrives_and_a_second_run_changes_nothing(
    location: Location, sandbox: Sandbox
) -> None:
    location.everything()
    first = loaded_clicks_with_keys()
    assert loaded_clicks() == expected_world(world_of(sandbox))
    assert rows("SELECT count(*) FROM {dataset}.links") == [(15,)]
    location.everything()
    assert loaded_clicks_with_keys() == first
    assert rows("SELECT count(*) FROM {dataset}.links") == [(15,)]


def test_clicks_that_share_a_timestamp_all_arrive_within_and_across_domains(
    location: Location, sandbox: Sandbox
) -> None:
    world = world_of(sandbox)
    within = [Counter(moments(world_clicks(world, d))) for d in (1, 2)]
    assert all(max(times.values()) > 1 for times in within)
    assert within[0].keys() & within[1].keys()
    register(location, 1, 2)
    assert location.clicks("1", "2").success
    assert loaded_clicks() == expected_world(world, 1, 2)


def test_a_domain_whose_clicks_are_all_older_than_another_domains_loads_in_full(
    location: Location, sandbox: Sandbox
) -> None:
    world = world_of(sandbox)
    assert max(moments(world_clicks(world, 3))) < min(moments(world_clicks(world, 1)))
    register(location, 1, 3)
    assert location.clicks("1").success
    assert location.clicks("3").success
    assert loaded_clicks() == expected_world(world, 1, 3)


def test_each_domain_of_a_run_has_metadata_of_its_own(location: Location, sandbox: Sandbox) -> None:
    world = world_of(sandbox)
    clicks = {1: world_clicks(world, 1), 2: world_clicks(world, 2)[:20], 3: []}
    unreadable = {**clicks[2][0], "st": "not a number"}
    sandbox.clicks = clicks | {2: [unreadable, *clicks[2]]}
    register(location, *clicks)
    assert location.clicks("1", "3").success
    pages, rejected = {1: 3, 2: 2, 3: 1}, {1: 0, 2: 1, 3: 0}
    for domain, listed in clicks.items():
        shown = dict(location.click_metadata(str(domain)))
        assert shown.pop("seconds") > 0
        times = moments(listed)
        ends = [time.timestamp() for time in (min(times), max(times))] if times else [None] * 2
        assert [shown.pop(name, None) for name in ("first_click", "last_click")] == ends
        expected = {
            "rows_loaded": len(listed),
            "rejected_rows": rejected[domain],
            "pages": pages[domain],
            "chunks": 1,
        }
        assert {name: shown.get(name) for name in expected} == expected
        assert "resumed_from_page" not in shown


def test_one_failing_domain_leaves_the_others_loaded(location: Location, sandbox: Sandbox) -> None:
    assert location.links().success
    sandbox.faults.append(Fault(path="/v1/domain/2", status=503, times=None))
    result = location.clicks("1", "3")
    assert not result.success
    assert "1 of 3 domains failed" in failure_text(result)
    assert "clicks of domain 2, page 1: the API answered 503" in failure_text(result)
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.clicks ORDER BY 1") == [(1,), (3,)]
    assert location.click_metadata("1")["rows_loaded"] == 40
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"1", "3"}


def test_a_run_of_one_failing_domain_says_plainly_what_happened(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 2)
    sandbox.faults.append(Fault(path="/v1/domain/2", page=2, status=503, times=None))
    result = location.clicks("2")
    assert not result.success
    assert failure_text(result) == (
        "clicks of domain 2, page 2: the API answered 503 Service Unavailable "
        "(the API failed; try again later); the API says: A fault was asked for."
    )
    assert pages_asked(sandbox) == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("missing", ["BASE_URL", "API_KEY"])
def test_without_an_api_or_a_key_the_run_names_the_setting_and_asks_nothing(
    missing: str,
    location: Location,
    sandbox: Sandbox,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(f"SOURCES__LINK_ASSETS__{missing}")
    register(location, 1)
    for result in (location.links(), location.clicks("1")):
        assert not result.success
        assert f"SOURCES__LINK_ASSETS__{missing}" in failure_text(result)
    assert sandbox.requests == []
    assert waits == []


def test_an_unreachable_api_is_named_by_its_setting_after_the_retries(
    location: Location, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    monkeypatch.setenv("SOURCES__LINK_ASSETS__BASE_URL", f"http://127.0.0.1:{port}")
    register(location, 1)
    result = location.clicks("1")
    assert not result.success
    assert "clicks of domain 1: the API gave no whole answer" in failure_text(result)
    assert "SOURCES__LINK_ASSETS__BASE_URL" in failure_text(result)
    assert waits == [0.01, 0.02, 0.04]


def test_a_refused_key_is_named_by_its_setting_and_not_tried_again(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", "k3y-that-nobody-may-see")
    result = location.links()
    assert not result.success
    assert "links, page 1: the API answered 401 Unauthorized" in failure_text(result)
    assert "SOURCES__LINK_ASSETS__API_KEY" in failure_text(result)
    assert len(sandbox.requests) == 1


def test_a_backfill_loads_in_chunks_of_the_configured_size(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["chunks"], shown["pages"], shown["rows_loaded"]) == (3, 3, 40)
    assert "resumed_from_page" not in shown
    assert pages_asked(sandbox) == [1, 2, 3]
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_a_run_that_failed_midway_is_resumed_where_it_stopped(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    sandbox.faults = [Fault(page=3, status=503, times=None)]
    assert not location.clicks("1").success
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(30,)]
    sandbox.faults.clear()
    sandbox.reset_log()
    assert location.clicks("1").success
    assert pages_asked(sandbox) == [3]
    shown = location.click_metadata("1")
    assert (shown["resumed_from_page"], shown["pages"], shown["rows_loaded"]) == (3, 1, 10)
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


@pytest.mark.long
def test_a_full_refresh_starts_over_in_spite_of_a_kept_place(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()
    assert location.clicks("1", full_refresh=True).success
    assert pages_asked(sandbox) == [1, 2, 3]
    assert "resumed_from_page" not in location.click_metadata("1")
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_a_full_refresh_goes_on_where_it_failed_but_done_again_it_reads_all_again(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    sandbox.faults = [Fault(page=3, status=403)]
    failed = location.clicks("1", full_refresh=True)
    assert not failed.success
    sandbox.reset_log()
    retried = location.retry("clicks_job", failed.run_id)
    assert pages_asked(sandbox) == [3]
    assert location.click_metadata("1")["resumed_from_page"] == 3
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CLICKS_ORDER", "newest_first")
    location.retry("clicks_job", retried)
    assert pages_asked(sandbox) == [3, 1, 2, 3]


@pytest.mark.parametrize("status", mostly_long([410, 400, 404, 422], 1))
def test_a_refused_page_token_is_told_and_the_domain_read_from_the_beginning(
    status: int, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()
    sandbox.faults = [Fault(page=3, status=status)]
    result = location.clicks("1")
    assert result.success
    assert "clicks of domain 1: the API no longer knows the page token" in said(location, result)
    assert pages_asked(sandbox) == [3, 1, 2, 3]
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)
    shown = location.click_metadata("1")
    assert shown["rows_loaded"] == 40
    assert "resumed_from_page" not in shown


ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "403": ({"status": 403}, "page 3: the API answered 403 Forbidden"),
    "503": ({"status": 503}, "page 3: the API answered 503 Service Unavailable"),
    "reset": ({"connection": "reset"}, "(ConnectionError)"),
    "HTML": ({"raw": b"<p>", "content_type": "text/html"}, "page 3: the answer is not JSON"),
    "401": ({"status": 401}, "page 3: the API answered 401 Unauthorized"),
    "402": ({"status": 402}, "page 3: the API answered 402 Payment Required"),
    "405": ({"status": 405}, "page 3: the API answered 405 Method Not Allowed"),
    "418": ({"status": 418}, "page 3: the API answered 418"),
    "429": ({"status": 429}, "page 3: the API answered 429 Too Many Requests"),
    "500": ({"status": 500}, "page 3: the API answered 500 Internal Server Error"),
    "501": ({"status": 501}, "page 3: the API answered 501 Not Implemented"),
    "302": ({"status": 302, "headers": {"Location": "/"}}, "page 3: the API answered 302 Found"),
    "no list": ({"raw": b'{"error": "token"}'}, "has no list under 'data'"),
    "cut short": ({"connection": "short_body"}, "(ChunkedEncodingError)"),
    "broken gzip": ({"gzip": "broken"}, "(ContentDecodingError)"),
}
RETRIED = {"503", "reset", "429", "500", "cut short", "broken gzip"}


@pytest.mark.parametrize("answer", mostly_long(ANSWERS, 4))
def test_a_kept_place_that_brings_no_page_is_told_and_the_domain_read_from_the_beginning(
    answer: str, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()
    tries = 4 if answer in RETRIED else 1
    how, reason = ANSWERS[answer]
    sandbox.faults = [Fault(page=3, times=tries, **how)]
    result = location.clicks("1")
    assert result.success
    assert pages_asked(sandbox) == [*[3] * tries, 1, 2, 3]
    told = "clicks of domain 1: no page came for the page token that an earlier run left ("
    (line,) = [line for line in said(location, result).splitlines() if told in line]
    assert reason in line
    assert "reading from the first page again" in line
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)
    assert "resumed_from_page" not in location.click_metadata("1")


@pytest.mark.parametrize("status", [403, 503])
def test_a_place_is_kept_if_the_first_page_does_not_come_either(
    status: int, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()
    sandbox.faults = [Fault(status=status, times=None)]
    result = location.clicks("1")
    assert f"domain 1, page 1: the API answered {status}" in failure_text(result)
    assert "page token that an earlier run left (clicks of domain 1, page 3" in said(
        location, result
    )
    tries = 4 if status == 503 else 1
    assert pages_asked(sandbox) == [*[3] * tries, *[1] * tries]
    sandbox.faults.clear()
    sandbox.reset_log()
    assert location.clicks("1").success
    assert pages_asked(sandbox) == [3]
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_a_page_after_the_kept_place_that_fails_fails_the_run(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()
    sandbox.faults = [Fault(page=3, status=403)]
    assert "page 3: the API answered 403" in failure_text(location.clicks("1"))
    assert pages_asked(sandbox) == [2, 3]


def test_a_run_that_another_overtakes_goes_on_from_where_that_one_is(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    load_chunk, others = ClicksLoader._load_chunk, [load_clicks]

    def overtaken_once(loader: ClicksLoader, domain: int, read: ClicksRead, *more: Any) -> None:
        if read.stats.pages and others:
            others.pop()(domain)
        load_chunk(loader, domain, read, *more)

    monkeypatch.setattr(ClicksLoader, "_load_chunk", overtaken_once)
    result = location.clicks("1")
    assert result.success
    assert "clicks of domain 1: another run has loaded it meanwhile" in said(location, result)
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_an_api_that_refuses_every_page_token_fails_the_run_instead_of_reading_in_circles(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    sandbox.faults = [Fault(page=2, status=422, times=5)]
    result = location.clicks("1")
    assert not result.success
    assert "clicks of domain 1, page 2: the API answered 422" in failure_text(result)
    assert pages_asked(sandbox) == [1, 2, 1, 2]


def test_what_fails_in_noting_what_a_domain_came_to_does_not_stop_the_others(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1, 2, 3)
    one_by_one = replace(configuration.SETTINGS, domains_at_once=1)
    monkeypatch.setattr(configuration, "SETTINGS", one_by_one)

    def forget(_: RequestRecord) -> None:
        location.instance.delete_dynamic_partition("domain", "3")

    sandbox.on_request = forget
    result = location.clicks("1", "3")
    assert not result.success
    assert "Partition range 1 to 3 is" in failure_text(result)
    assert loaded_clicks() == expected_world(world_of(sandbox))


def test_what_a_domain_came_to_is_not_left_out_without_a_word(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1, 2)

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("the instance cannot be reached")

    monkeypatch.setattr(dg.AssetExecutionContext, "add_asset_metadata", fail)
    result = location.clicks("1", "2")
    assert not result.success
    assert "the instance cannot be reached" in failure_text(result)


COUNTS = (
    "rows_loaded",
    "rows_new",
    "rows_already_there",
    "rows_total",
    "dagster/partition_row_count",
    "dagster/row_count",
)


def counts(location: Location, domain: str) -> tuple[Any, ...]:
    """The numbers of rows on a domain's latest materialization."""
    return tuple(location.click_metadata(domain)[name] for name in COUNTS)


def test_a_materialization_tells_new_rows_from_those_that_were_there(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 1, 2, 3)
    sandbox.clicks = {1: world_clicks(world_of(sandbox), 1), 2: [], 3: []}
    assert location.clicks("1", "2").success
    assert counts(location, "1") == (40, 40, 0, 40, 40, 40)
    assert counts(location, "2") == (0, 0, 0, 0, 0, 40)
    assert location.clicks("1").success
    assert counts(location, "1") == (40, 0, 40, 40, 40, 40)
    more = [{"dt": "2026-03-02T00:00:00Z", "path": f"/{number}"} for number in range(5)]
    sandbox.clicks = {**sandbox.clicks, 1: [*more, *sandbox.clicks[1][:10]], 2: more[:2]}
    assert location.clicks("1", "3").success
    assert counts(location, "1") == (15, 5, 10, 45, 45, 47)
    assert counts(location, "2") == (2, 2, 0, 2, 2, 47)
    assert counts(location, "3") == (0, 0, 0, 0, 0, 47)


def test_a_row_delivered_twice_in_a_run_is_new_once(location: Location, sandbox: Sandbox) -> None:
    register(location, 1)
    listed = world_clicks(world_of(sandbox), 1)[:20]
    sandbox.clicks = {1: [*listed, *listed[10:15]]}
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["rows_new"], shown["rows_already_there"], shown["rows_total"]) == (20, 0, 20)


def test_domains_of_a_run_that_fails_for_others_show_what_is_new_too(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 1, 2)
    sandbox.faults.append(Fault(path="/v1/domain/2", status=503, times=None))
    assert not location.clicks("1", "2").success
    assert counts(location, "1") == (40, 40, 0, 40, 40, 40)


def test_the_newest_click_has_an_age_even_if_a_load_brought_none(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 1)
    newest = datetime.now(UTC) - timedelta(hours=7)
    sandbox.clicks = {1: [{"dt": newest.isoformat(), "path": "/a"}]}
    assert location.clicks("1").success
    sandbox.clicks = {1: []}
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert "last_click" not in shown
    assert 7 <= shown["newest_click_age_hours"] < 8


def test_how_often_clicks_are_counted_does_not_grow_with_the_domains(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1, 2, 3)
    assert location.clicks("1", "3").success
    queries: list[str] = []

    class Counting(Reader):
        def rows(self, query: str) -> Any:
            queries.append(query)
            return super().rows(query)

    @contextmanager
    def counting() -> Iterator[Reader]:
        with reader_module.reading() as reader:
            yield Counting(reader._client)

    monkeypatch.setattr(row_counts, "reading", counting)
    assert location.clicks("1").success
    of_one = len(queries)
    queries.clear()
    assert location.clicks("1", "3").success
    assert len(queries) == of_one == 3


def test_clicks_that_cannot_be_counted_are_loaded_all_the_same(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1)

    def fail(*_: Any) -> None:
        raise ValueError("no count")

    monkeypatch.setattr(row_counts.ClickCounts, "_count", fail)
    result = location.clicks("1")
    assert result.success
    assert "rows_total" not in location.click_metadata("1")
    assert "The clicks could not be counted: ValueError in fail" in said(location, result)
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_links_tell_new_ones_deleted_ones_and_all(location: Location, sandbox: Sandbox) -> None:
    listed = world_of(sandbox).links()

    def load(links: list[dict[str, Any]]) -> list[Any]:
        sandbox.links = links
        result = location.links()
        assert result.success
        (materialized,) = result.asset_materializations_for_node("links")
        names = (*COUNTS[:4], "rows_deleted", "dagster/row_count")
        return [materialized.metadata[name].value for name in names]

    assert load(listed[:12]) == [12, 12, 0, 12, 0, 12]
    assert load(listed[:12]) == [12, 0, 12, 12, 0, 12]
    assert load(listed[2:14]) == [12, 2, 10, 14, 2, 14]
