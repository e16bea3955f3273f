"""A domain of which only new clicks are read is read whole now and then: what was missed counts."""

from __future__ import annotations

from typing import Any

import pytest

from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.defs.loads import register, said, world_of
from link_assets_tests.support import Location, rows
from link_assets_tests.truth import world_clicks

API = "SOURCES__LINK_ASSETS__"
ALWAYS_DUE = "0.000000001"


@pytest.fixture(autouse=True)
def only_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{API}CLICKS_ORDER", "newest_first")
    monkeypatch.setenv(f"{API}CLICKS_LOOKBACK_DAYS", "1")


@pytest.fixture
def clicks(sandbox: Sandbox, location: Location) -> list[dict[str, Any]]:
    """The clicks of domain 1 as the API lists them: the first run did not get the oldest."""
    listed = world_clicks(world_of(sandbox), 1)[::-1]
    sandbox.clicks = {1: listed[:-1]}
    register(location, 1)
    assert location.clicks("1").success
    sandbox.clicks = {1: listed}
    return listed


def loaded() -> int:
    ((count,),) = rows("SELECT count(*) FROM {dataset}.clicks")
    return count


def test_an_old_click_is_found_when_all_pages_are_due_and_counted_as_missed(
    location: Location, clicks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.clicks("1").success
    only_new = location.click_metadata("1")
    assert (loaded(), only_new["pages"]) == (len(clicks) - 1, 2)
    assert "full_read" not in only_new
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", ALWAYS_DUE)
    result = location.clicks("1")
    shown = location.click_metadata("1")
    assert (loaded(), shown["pages"]) == (len(clicks), 3)
    assert (shown["full_read"], shown["clicks_missed"]) == (True, 1)
    assert "1 click had been missed" in said(location, result)
    assert location.clicks("1").success
    assert location.click_metadata("1")["clicks_missed"] == 0


@pytest.mark.long
def test_new_clicks_of_a_full_read_were_not_missed(
    location: Location,
    clicks: list[dict[str, Any]],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", ALWAYS_DUE)
    newer = {**clicks[0], "dt": "2026-03-02T00:00:00.000Z"}
    sandbox.clicks = {1: [newer, *clicks[:-1]]}
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["rows_new"], shown["full_read"], shown["clicks_missed"]) == (1, True, 0)


@pytest.mark.long
def test_what_was_missed_counts_although_another_run_ends_the_read(
    location: Location,
    clicks: list[dict[str, Any]],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    middle = len(clicks) * 2 // 3
    sandbox.clicks = {1: [*clicks[:middle], *clicks[middle + 1 :]]}
    rows(f"DELETE FROM {{dataset}}.clicks WHERE dt = '{clicks[middle]['dt']}'")
    sandbox.clicks = {1: clicks}
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", ALWAYS_DUE)
    monkeypatch.setenv(f"{API}CHUNK_ROWS", "1")
    sandbox.faults = [Fault(page=3, status=401)]
    assert not location.clicks("1").success
    assert loaded() == len(clicks) - 1
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", "7")
    assert location.clicks("1").success
    shown = location.click_metadata("1")
    assert (shown["rows_new"], shown["resumed_from_page"]) == (1, 3)
    assert (shown["full_read"], shown["clicks_missed"]) == (True, 2)


@pytest.mark.long
def test_zero_days_are_never(
    location: Location, clicks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", "0")
    assert location.clicks("1").success
    assert loaded() == len(clicks) - 1


@pytest.mark.long
def test_an_api_that_is_always_read_whole_has_nothing_to_count(
    location: Location, clicks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"{API}CLICKS_ORDER")
    monkeypatch.setenv(f"{API}FULL_READ_DAYS", ALWAYS_DUE)
    assert location.clicks("1").success
    assert loaded() == len(clicks)
    assert "full_read" not in location.click_metadata("1")
