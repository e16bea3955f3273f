"""An API that limits the rate is waited for, by all threads of a run together."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest, Request, Response, Session

from link_assets.sandbox import Fault, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source import rate_limits
from link_assets.source.http import Connections, new_connections
from link_assets.source.rate_limits import MOST_WAITS, RateLimits, StoppedWaiting
from link_assets_tests.defs.loads import register, said
from link_assets_tests.source.test_pages import problem_of, read_links
from link_assets_tests.support import INSTANCE, Location, failure_text
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse.helpers import wait_until

API = "SOURCES__LINK_ASSETS__"
PROJECT = Path(__file__).parents[2]
WORLD = World(domains=3, links_per_domain=5, clicks_per_domain=12)
HOST = "statistics.example.com"
WAITS = re.compile(
    r"The API limits the rate: waiting ([\d.e+]+) seconds before the next request to (\S+)\. "
    r"Other programs that use the same key share this limit\."
)


@pytest.fixture
def sandbox() -> Sandbox:
    """Three domains of four pages of clicks; three pages of links."""
    return Sandbox(world=WORLD, page_size=3)


@pytest.fixture
def once(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No retries: what is sent again is sent again because the API said when."""
    monkeypatch.setenv(f"{API}MAX_RETRIES", "0")


@pytest.fixture
def logs_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster shows the project's logs, as the configuration that comes with it says."""
    shipped = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    monkeypatch.setitem(INSTANCE, "python_logs", shipped["python_logs"])


def limited(reset: str = "0.3", **more: Any) -> Fault:
    return Fault(status=429, headers={"x-ratelimit-reset": reset}, **more)


def request_of(api: str, sandbox: Sandbox) -> PreparedRequest:
    return Request("GET", f"{api}/v1/links", {"Authorization": sandbox.api_key}).prepare()


def waits(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """The seconds and the host of each wait that was logged."""
    return WAITS.findall("\n".join(record.getMessage() for record in caplog.records))


# What an answer says


def answer(status: int, headers: Mapping[str, str]) -> Response:
    response = Response()
    response.request = Request("GET", f"https://{HOST}/clicks").prepare()
    response.status_code = status
    response.headers.update(headers)
    return response


def answered(status: int, headers: Mapping[str, str]) -> RateLimits:
    """Limits that have seen an answer, and are stopped so that nothing waits."""
    limits = RateLimits(1)
    limits.look_at(answer(status, headers))
    limits.stop()
    return limits


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time that it is and stays, in seconds since 1970."""
    now = time.time()
    clock = SimpleNamespace(time=lambda: now, monotonic=lambda: now)
    monkeypatch.setattr(rate_limits, "time", clock)
    return now


def seconds_told(
    caplog: pytest.LogCaptureFixture, status: int = 429, **headers: str
) -> float | None:
    """How long the next request would wait, as the log has it; None if it would not."""
    caplog.clear()
    limits = answered(status, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        limits.wait(HOST)
    except StoppedWaiting:
        ((seconds, host),) = waits(caplog)
        assert host == HOST
        return float(seconds)
    return None


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("48", 48), (" 48 ", 48), ("1.5", 1.5), ("0", 0.1), ("-3", 0.1), ("601", 600), ("1e9", 600)],
)
def test_a_reset_is_a_number_of_seconds_within_bounds(
    caplog: pytest.LogCaptureFixture, stopped_clock: float, reset: str, seconds: float
) -> None:
    assert seconds_told(caplog, x_ratelimit_reset=reset) == seconds


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_large_reset_is_a_time(
    caplog: pytest.LogCaptureFixture, stopped_clock: float, unit: int
) -> None:
    in_five_minutes = str((stopped_clock + 300) * unit)
    assert seconds_told(caplog, x_ratelimit_reset=in_five_minutes) == 300
    assert seconds_told(caplog, x_ratelimit_reset=str(1_700_000_000 * unit)) == 0.1


def test_a_reset_may_be_a_date(caplog: pytest.LogCaptureFixture, stopped_clock: float) -> None:
    time = stopped_clock + 300
    iso = datetime.fromtimestamp(time, UTC).isoformat()
    dates = [formatdate(time, usegmt=True), iso, iso.replace("+00:00", "Z"), iso[:-6]]
    for date in dates:
        seconds = seconds_told(caplog, x_ratelimit_reset=date)
        assert seconds is not None, date
        assert 298 <= seconds <= 300


def test_retry_after_wins_where_it_can_be_read(
    caplog: pytest.LogCaptureFixture, stopped_clock: float
) -> None:
    date = formatdate(stopped_clock + 500, usegmt=True)
    dated = seconds_told(caplog, x_ratelimit_reset="48", Retry_After=date)
    assert dated is not None
    assert 48 < dated <= 500
    assert seconds_told(caplog, x_ratelimit_reset="48", Retry_After="24") == 24
    for unreadable in ("soon", "", "9" * 5000):
        assert seconds_told(caplog, x_ratelimit_reset="48", Retry_After=unreadable) == 48


def test_without_a_readable_reset_nothing_waits_here(
    caplog: pytest.LogCaptureFixture, stopped_clock: float
) -> None:
    assert seconds_told(caplog, Retry_After="24") is None
    for unreadable in ("", "soon", "nan", "inf", "-inf", "48, 48", "48s", "0x30"):
        assert seconds_told(caplog, x_ratelimit_reset=unreadable) is None


def test_an_answer_that_used_up_the_limit_makes_the_next_request_wait(
    caplog: pytest.LogCaptureFixture, stopped_clock: float
) -> None:
    assert seconds_told(caplog, 200, x_ratelimit_remaining="0", x_ratelimit_reset="48") == 48
    for remaining in ("1", "59", "", "none"):
        headers = {"x_ratelimit_remaining": remaining, "x_ratelimit_reset": "48"}
        assert seconds_told(caplog, 200, **headers) is None
    assert seconds_told(caplog, 200, x_ratelimit_reset="48") is None
    assert seconds_told(caplog, 200, x_ratelimit_remaining="0") is None


@given(st.text(), st.text(), st.text(), st.sampled_from([200, 429]))
def test_whatever_the_headers_say_is_no_error(
    reset: str, retry_after: str, remaining: str, status: int
) -> None:
    headers = {"X-RateLimit-Reset": reset, "X-RateLimit-Remaining": remaining}
    answered(status, headers)
    answered(status, {"X-RateLimit-Reset": "1", "Retry-After": retry_after})


def test_of_several_waits_at_once_the_longest_counts_and_one_is_told(
    caplog: pytest.LogCaptureFixture, stopped_clock: float
) -> None:
    limits = answered(429, {"x-ratelimit-reset": "30"})
    for seconds in ("48", "24"):
        limits.look_at(answer(429, {"x-ratelimit-reset": seconds}))
        with pytest.raises(StoppedWaiting):
            limits.wait(HOST)
    assert waits(caplog) == [("48", HOST)]


def test_other_hosts_do_not_wait() -> None:
    limits = answered(429, {"x-ratelimit-reset": "48"})
    limits.wait("api.example.com")
    with limits.turn("api.example.com"):
        pass


# Requests


def test_a_limited_request_is_sent_again_after_the_time_and_is_no_retry(
    once: None, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults += [limited("0.3", page=2), limited("0.4", page=3)]
    assert len(read_links()) == 15
    times = {record.page: record.time for record in sandbox.requests}
    first = next(record.time for record in sandbox.requests if record.page == 2)
    assert times[2] - first >= 0.3
    assert [record.page for record in sandbox.requests] == [1, 2, 2, 3, 3, 4, 5]
    assert len(waits(caplog)) == 2


def test_the_request_after_an_answer_that_used_up_the_limit_is_held_back(
    api: str, sandbox: Sandbox
) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.3"}
    sandbox.faults.append(Fault(status=200, headers=headers, body="{}"))
    request, connections = request_of(api, sandbox), Connections()
    assert connections.send(request).content == b"{}"
    assert b"links" in connections.send(request).content
    connections.close()
    first, second = sandbox.requests
    assert second.time - first.time >= 0.3


@pytest.mark.parametrize("retries", [0, 2])
def test_a_limit_without_end_is_an_error_after_so_many_waits(
    sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    monkeypatch.setenv(f"{API}MAX_RETRIES", str(retries))
    monkeypatch.setattr(rate_limits, "SHORTEST_SECONDS", 0.001)
    sandbox.faults.append(limited("0", times=None))
    problem = problem_of(read_links)
    assert "links, page 1: the API answered 429 Too Many Requests" in problem
    assert f"still limits the rate after all retries; set {API}REQUESTS_PER_SECOND" in problem
    assert len(sandbox.requests) == 1 + MOST_WAITS + retries


def test_only_waits_in_a_row_are_counted(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}MAX_RETRIES", "1")
    monkeypatch.setattr(rate_limits, "SHORTEST_SECONDS", 0.001)
    often = limited("0", page=2, times=MOST_WAITS)
    sandbox.faults += [often, Fault(page=2, status=503), limited("0", page=2, times=MOST_WAITS)]
    assert len(read_links()) == 15


@pytest.mark.parametrize("reset", [None, "soon"])
def test_a_limit_that_says_no_time_is_retried_like_other_failures(
    once: None, sandbox: Sandbox, reset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"x-ratelimit-reset": reset} if reset else {}
    sandbox.faults.append(Fault(status=429, headers=headers, times=2))
    assert "the API answered 429" in problem_of(read_links)
    assert len(sandbox.requests) == 1
    monkeypatch.setenv(f"{API}MAX_RETRIES", "1")
    assert len(read_links()) == 15


@pytest.mark.parametrize(("connections", "per_second"), [(1, None), (5, None), (2, 1000)])
def test_nobody_sends_before_the_time_and_one_tells(
    api: str,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    connections: int,
    per_second: float | None,
) -> None:
    settings = replace(api_settings(), max_connections=connections, requests_per_second=per_second)
    sandbox.faults.append(limited("0.8"))
    with Session() as session, ThreadPoolExecutor(5) as threads:
        session.mount("http://", new_connections(settings))
        session.headers["Authorization"] = sandbox.api_key
        answers = threads.map(session.get, [f"{api}/v1/links"] * 5)
        assert [answer.status_code for answer in answers] == [200] * 5
    (refused,) = [record for record in sandbox.requests if record.status == 429]
    assert len(sandbox.requests) == 6
    assert len(waits(caplog)) == 1
    since_start = time.time() - time.monotonic()
    (known,) = [r.created - since_start for r in caplog.records if WAITS.match(r.getMessage())]
    early = [record for record in sandbox.requests if known < record.time < refused.time + 0.8]
    assert len(early) < connections, "only what was on its way already may arrive"


def test_closed_connections_do_not_wait_on(
    api: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.append(limited("60"))
    connections = Connections()
    request = request_of(api, sandbox)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(connections.send, request)
        wait_until(lambda: bool(waits(caplog)))
        connections.close()
        with pytest.raises(StoppedWaiting):
            waiting.result(timeout=30)
    with pytest.raises(StoppedWaiting):
        connections.send(request)
    assert len(sandbox.requests) == 1


def test_connections_that_need_not_wait_send_on_when_waits_are_stopped(
    api: str, sandbox: Sandbox
) -> None:
    connections = Connections()
    connections.stop_waiting()
    assert connections.send(request_of(api, sandbox)).status_code == 200
    connections.close()


# Runs


def test_a_run_waits_once_for_all_domains_and_says_so_in_its_log(
    logs_shown: None, once: None, location: Location, sandbox: Sandbox
) -> None:
    register(location, 1, 2, 3)
    sandbox.faults.append(limited("0.5", path="/v1/domain/2"))
    result = location.clicks("1", "3")
    assert result.success
    assert loaded_clicks() == expected_world(WORLD)
    log = said(location, result)
    assert len(WAITS.findall(log)) == 1
    assert sandbox.api_key not in log


def test_a_stopped_run_does_not_wait_on(
    location: Location, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    register(location, 1, 2)
    sandbox.faults.append(limited("60", page=2))

    def stop() -> None:
        wait_until(lambda: bool(waits(caplog)))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    stopping = threading.Thread(target=stop)
    stopping.start()
    result = location.clicks("1", "2")
    stopping.join(timeout=30)
    assert not result.success
    assert "Interrupted" in failure_text(result)
