"""What a materialization shows: rows loaded, new and already there, pages, ages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from link_assets.defs import configuration
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY
from link_assets.sandbox import Fault, RequestRecord, Sandbox, World
from link_assets.warehouse import row_counts
from link_assets_tests.defs.loads import moments, recorded_queries, register, said, world_of
from link_assets_tests.support import Location, failure_text
from link_assets_tests.truth import (
    expected_world,
    loaded_clicks,
    world_clicks,
)

pytestmark = pytest.mark.usefixtures("bounded")

NUMBERS_OF_REQUESTS = {
    "requests",
    "retries",
    "seconds_fetching",
    "seconds_waiting",
    "seconds_writing",
}


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


@pytest.mark.long
def test_requests_and_what_took_the_time_are_counted(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    register(location, 1)
    sandbox.faults = [Fault(path="/v1/domain/1", status=503, times=2, page=2)]
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["pages"], shown["requests"], shown["retries"]) == (3, 5, 2)
    assert len(sandbox.requests) == 5
    assert 0 < shown["seconds_fetching"] < shown["seconds"]
    assert 0 < shown["seconds_writing"] < shown["seconds"]
    assert 0 <= shown["seconds_waiting"] < shown["seconds"]


@pytest.mark.long
@pytest.mark.parametrize(
    "sandbox",
    [
        Sandbox(world=World(links_per_domain=5)),
        pytest.param(
            Sandbox(world=World(links_per_domain=5), api="short_io"), marks=pytest.mark.long
        ),
    ],
    ids=["guide", "short_io"],
)
def test_links_show_the_requests_of_all_listings_under_the_names_of_clicks(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.faults, sandbox.latency = [Fault(status=503)], 0.02
    result = location.links()
    assert result.success
    domains, links = result.asset_materializations_for_node("links")
    shown: dict[str, Any] = {name: value.value for name, value in links.metadata.items()}
    assert (shown["requests"], shown["retries"]) == (len(sandbox.requests), 1)
    assert 0 < shown["seconds_fetching"] < shown["seconds"]
    assert 0 < shown["seconds_writing"] < shown["seconds"]
    assert 0 <= shown["seconds_waiting"] < shown["seconds"]
    assert not domains.metadata.keys() & NUMBERS_OF_REQUESTS
    register(location, 1)
    assert location.clicks("1").success
    assert shown.keys() & location.click_metadata("1").keys() >= NUMBERS_OF_REQUESTS


@pytest.mark.long
def test_an_error_in_adding_a_domains_metadata_does_not_stop_the_others(
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


def test_new_rows_and_rows_already_there_are_counted_apart(
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


@pytest.mark.long
def test_a_row_delivered_twice_in_a_run_is_new_once(location: Location, sandbox: Sandbox) -> None:
    register(location, 1)
    listed = world_clicks(world_of(sandbox), 1)[:20]
    sandbox.clicks = {1: [*listed, *listed[10:15]]}
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["rows_new"], shown["rows_already_there"], shown["rows_total"]) == (20, 0, 20)


@pytest.mark.long
def test_loaded_domains_of_a_failed_run_show_what_is_new(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 1, 2)
    sandbox.faults.append(Fault(path="/v1/domain/2", status=503, times=None))
    assert not location.clicks("1", "2").success
    assert counts(location, "1") == (40, 40, 0, 40, 40, 40)


@pytest.mark.long
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


@pytest.mark.long
def test_clicks_of_the_future_are_counted_apart_from_the_newest(
    location: Location, sandbox: Sandbox
) -> None:
    register(location, 1, 2)
    now = datetime.now(UTC)
    times = [now - timedelta(hours=7), now + timedelta(days=2), datetime.max.replace(tzinfo=UTC)]
    clicks = [{"dt": time.isoformat(), "path": "/a"} for time in times]
    sandbox.clicks = {1: clicks, 2: clicks[1:]}
    assert location.clicks_and_days("1", "2").success
    for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
        first, second = (materialized(location, key, domain) for domain in "12")
        assert first["newest_click"] == times[0].timestamp()
        assert 7 <= first["newest_click_age_hours"] < 8
        assert first["clicks_of_the_future"] == second["clicks_of_the_future"] == 2
        assert "newest_click" not in second
        assert "newest_click_age_hours" not in second


def materialized(location: Location, key: dg.AssetKey, domain: str) -> dict[str, Any]:
    """The values on the latest materialization of a domain."""
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[domain])
    (record,) = location.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.mark.long
def test_the_number_of_counting_queries_does_not_grow_with_the_domains(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(location, 1, 2, 3)
    assert location.clicks("1", "3").success
    queries = recorded_queries(monkeypatch, row_counts)
    assert location.clicks("1").success
    of_one = len(queries)
    queries.clear()
    assert location.clicks("1", "3").success
    assert len(queries) == of_one == 5


@pytest.mark.long
def test_clicks_are_loaded_even_if_they_cannot_be_counted(
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


@pytest.mark.long
def test_links_are_counted_as_new_deleted_and_in_all(location: Location, sandbox: Sandbox) -> None:
    listed = world_of(sandbox).links()

    def load(links: list[dict[str, Any]]) -> list[Any]:
        sandbox.links = links
        result = location.links()
        assert result.success
        _, materialized = result.asset_materializations_for_node("links")
        names = (*COUNTS[:4], "rows_deleted", "dagster/row_count")
        return [materialized.metadata[name].value for name in names]

    assert load(listed[:12]) == [12, 12, 0, 12, 0, 12]
    assert load(listed[:12]) == [12, 0, 12, 12, 0, 12]
    assert load(listed[2:14]) == [12, 2, 10, 14, 2, 14]
