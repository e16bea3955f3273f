"""Chunks, resuming, full refreshes: where the loader of clicks begins and goes on."""

from __future__ import annotations

from typing import Any

import pytest

from link_assets import domain_loads
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import api_settings
from link_assets.source.resume import ClicksRead
from link_assets_tests.children import load_clicks
from link_assets_tests.defs.loads import pages_asked, register, said, world_of
from link_assets_tests.support import Location, failure_text, mostly_long, rows
from link_assets_tests.truth import (
    expected_world,
    loaded_clicks,
)

pytestmark = pytest.mark.usefixtures("bounded")


def stop_after_one_chunk(domain: int) -> None:
    """Loads a domain's first chunk and goes away, as a killed run does."""
    with (
        domain_loads.open_loads(api_settings(), [domain]) as loads,
        loads.begin(domain, ClicksRead()) as chunks,
    ):
        chunks.load()


def leave_a_position(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, rows_of_a_chunk: int
) -> None:
    """Loads the first chunk of domain 1, as a run that is killed then does, and empties the log."""
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", str(rows_of_a_chunk))
    register(location, 1)
    stop_after_one_chunk(1)
    sandbox.reset_log()


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
def test_a_full_refresh_starts_over_although_a_position_is_saved(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_position(location, sandbox, monkeypatch, rows_of_a_chunk=30)
    assert location.clicks("1", full_refresh=True).success
    assert pages_asked(sandbox) == [1, 2, 3]
    assert "resumed_from_page" not in location.click_metadata("1")
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


@pytest.mark.long
def test_a_retry_of_a_full_refresh_resumes_and_a_later_one_reads_all_again(
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
def test_a_refused_page_token_is_logged_and_the_domain_read_from_the_first_page(
    status: int, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_position(location, sandbox, monkeypatch, rows_of_a_chunk=30)
    sandbox.faults = [Fault(page=3, status=status)]
    result = location.clicks("1")
    assert result.success
    message = "clicks of domain 1: the API no longer knows the position to resume from"
    assert message in said(location, result)
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


@pytest.mark.long
@pytest.mark.parametrize("answer", mostly_long(ANSWERS, 2))
def test_a_saved_position_that_brings_no_page_is_logged_and_the_domain_read_anew(
    answer: str, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_position(location, sandbox, monkeypatch, rows_of_a_chunk=30)
    tries = 4 if answer in RETRIED else 1
    how, reason = ANSWERS[answer]
    sandbox.faults = [Fault(page=3, times=tries, **how)]
    result = location.clicks("1")
    assert result.success
    assert pages_asked(sandbox) == [*[3] * tries, 1, 2, 3]
    told = "clicks of domain 1: no page came for the position that an earlier run left ("
    (line,) = [line for line in said(location, result).splitlines() if told in line]
    assert reason in line
    assert "reading from the first page again" in line
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)
    assert "resumed_from_page" not in location.click_metadata("1")


@pytest.mark.long
@pytest.mark.parametrize("status", mostly_long([403, 503], 1))
def test_a_saved_position_stays_if_the_first_page_fails_as_well(
    status: int, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_position(location, sandbox, monkeypatch, rows_of_a_chunk=30)
    sandbox.faults = [Fault(status=status, times=None)]
    result = location.clicks("1")
    assert f"domain 1, page 1: the API answered {status}" in failure_text(result)
    assert "position that an earlier run left (clicks of domain 1, page 3" in said(location, result)
    tries = 4 if status == 503 else 1
    assert pages_asked(sandbox) == [*[3] * tries, *[1] * tries]
    sandbox.faults.clear()
    sandbox.reset_log()
    assert location.clicks("1").success
    assert pages_asked(sandbox) == [3]
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


@pytest.mark.long
def test_a_failing_page_after_the_saved_position_fails_the_run(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_position(location, sandbox, monkeypatch, rows_of_a_chunk=15)
    sandbox.faults = [Fault(page=3, status=403)]
    assert "page 3: the API answered 403" in failure_text(location.clicks("1"))
    assert pages_asked(sandbox) == [2, 3]


@pytest.mark.long
def test_a_run_continues_from_where_a_concurrent_run_has_come(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    fetch, others = domain_loads.fetch_chunk, [load_clicks]

    def overtaken_once(
        settings: Any, domain: int, read: ClicksRead, *more: Any, **named: Any
    ) -> Any:
        if read.stats.pages and others:
            others.pop()(domain)
        return fetch(settings, domain, read, *more, **named)

    monkeypatch.setattr(domain_loads, "fetch_chunk", overtaken_once)
    result = location.clicks("1")
    assert result.success
    assert "clicks of domain 1: another run has loaded it meanwhile" in said(location, result)
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


@pytest.mark.long
def test_an_api_that_refuses_every_page_token_fails_the_run_after_one_restart(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    sandbox.faults = [Fault(page=2, status=422, times=5)]
    result = location.clicks("1")
    assert not result.success
    assert "clicks of domain 1, page 2: the API answered 422" in failure_text(result)
    assert pages_asked(sandbox) == [1, 2, 1, 2]
