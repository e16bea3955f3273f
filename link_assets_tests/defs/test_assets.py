"""The assets, from the API to the warehouse."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.defs.loads import moments, pages_asked, register, world_of
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.truth import (
    expected_world,
    loaded_clicks,
    loaded_clicks_with_keys,
    world_clicks,
)

pytestmark = pytest.mark.usefixtures("bounded")


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


@pytest.mark.long
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


@pytest.mark.long
def test_a_domain_whose_clicks_are_all_older_than_another_domains_loads_in_full(
    location: Location, sandbox: Sandbox
) -> None:
    world = world_of(sandbox)
    assert max(moments(world_clicks(world, 3))) < min(moments(world_clicks(world, 1)))
    register(location, 1, 3)
    assert location.clicks("1").success
    assert location.clicks("3").success
    assert loaded_clicks() == expected_world(world, 1, 3)


def test_one_failing_domain_leaves_the_others_loaded(location: Location, sandbox: Sandbox) -> None:
    assert location.links().success
    sandbox.faults.append(Fault(path="/v1/domain/2", status=503, times=None))
    result = location.clicks("1", "3")
    assert not result.success
    assert "1 of 3 domains failed" in failure_text(result)
    told = "clicks of domain 2 (go2.example.com), page 1: the API answered 503"
    assert told in failure_text(result)
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
