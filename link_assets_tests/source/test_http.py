"""Limits towards the API, which hold for all domains of a run together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from link_assets.sandbox import Fault, Sandbox, World
from link_assets.sandbox.app import RequestRecord
from link_assets.settings import api_settings
from link_assets.source.http import CONNECT_SECONDS, Connections, new_session
from link_assets_tests.support import Location, failure_text
from link_assets_tests.truth import expected_world, loaded_clicks

API = "SOURCES__LINK_ASSETS__"
WORLD = World(domains=4, links_per_domain=2, clicks_per_domain=20)


@pytest.fixture
def sandbox() -> Sandbox:
    """Four domains of five pages."""
    return Sandbox(world=WORLD, page_size=4)


def load_everything(location: Location) -> None:
    location.instance.add_dynamic_partitions("domain", ["1", "2", "3", "4"])
    assert location.clicks("1", "4").success
    assert loaded_clicks() == expected_world(WORLD)


def test_no_more_connections_are_open_than_allowed(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    unanswered: list[int] = []

    def count(_: RequestRecord) -> None:
        unanswered.append(sum(record.status is None for record in sandbox.requests))

    sandbox.latency, sandbox.on_request = 0.2, count
    monkeypatch.setenv(f"{API}MAX_CONNECTIONS", "2")
    load_everything(location)
    assert len(unanswered) == 20
    assert max(unanswered) <= 2


def test_a_body_that_cannot_be_decoded_gives_its_connection_back(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = {"Content-Encoding": "gzip"}
    fault = Fault(page=2, raw=b"x" * 50_000, headers=spoilt, times=None)
    sandbox.faults = [replace(fault, path=f"/v1/domain/{domain}") for domain in (1, 2)]
    monkeypatch.setenv(f"{API}MAX_CONNECTIONS", "1")
    location.instance.add_dynamic_partitions("domain", ["1", "2", "3", "4"])
    result = location.clicks("1", "4")
    assert "2 of 4 domains failed" in failure_text(result)
    assert failure_text(result).count("no whole answer (ContentDecodingError)") == 2
    assert loaded_clicks() == expected_world(WORLD, 3, 4)


@pytest.mark.long
def test_no_more_requests_are_sent_in_a_second_than_allowed(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}REQUESTS_PER_SECOND", "10")
    load_everything(location)
    times = sorted(record.time for record in sandbox.requests)
    assert len(times) == 20
    # what is sent evenly arrives nearly so
    assert min(late - early for early, late in zip(times, times[10:], strict=False)) > 0.8


@pytest.mark.parametrize(("timeout", "connect"), [(60, CONNECT_SECONDS), (2, 2)])
def test_connecting_may_take_less_time_than_answering(
    api: str, sandbox: Sandbox, timeout: int, connect: int
) -> None:
    given: list[Any] = []

    class Noting(HTTPAdapter):
        def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
            given.append(options["timeout"])
            return super().send(request, *arguments, **options)

    settings = replace(api_settings(), timeout_seconds=timeout)
    with new_session(settings, Noting()) as session:
        session.get(f"{api}/v1/links")
    assert given == [(connect, timeout)]


@pytest.mark.long
@pytest.mark.parametrize("fault", [None, Fault(status=403, times=None)], ids=["loaded", "failed"])
def test_a_run_closes_its_connections(
    fault: Fault | None, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connections] = []
    closed: list[Connections] = []
    sandbox.faults = [fault] if fault else []
    make, close = Connections.__init__, Connections.close

    def made(self: Connections, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        opened.append(self)

    def ended(self: Connections) -> None:
        close(self)
        closed.append(self)

    monkeypatch.setattr(Connections, "__init__", made)
    monkeypatch.setattr(Connections, "close", ended)
    location.instance.add_dynamic_partitions("domain", ["1", "2"])
    assert location.links().success is not bool(fault)
    assert location.clicks("1", "2").success is not bool(fault)
    assert len(opened) == 2
    assert closed == opened
