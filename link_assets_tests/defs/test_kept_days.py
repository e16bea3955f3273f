"""Old clicks are neither loaded nor kept where a setting says so; the days that they made are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.defs.checks.evaluated import checked
from link_assets_tests.defs.loads import register
from link_assets_tests.defs.test_daily_clicks import shown
from link_assets_tests.support import Location, rows
from link_assets_tests.truth import loaded_days
from link_assets_tests.warehouse.test_link_join import click

API = "SOURCES__LINK_ASSETS__"
KEPT = f"{API}KEEP_CLICKS_DAYS"
AGES = [*range(0, 30, 10), 59, 60, 61, 62, 200, 400]
"""Of clicks, in days."""


def days_ago(days: int) -> datetime:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon - timedelta(days=days)


def aged(days: int) -> dict[str, Any]:
    return click("/promo") | {"dt": days_ago(days).isoformat(), "human": True}


def ages(table: str, time: str) -> list[int]:
    """How many days ago the rows of domain 1 in a table are of, the newest first."""
    found = rows(f"SELECT {time} FROM {{dataset}}.{table} WHERE domain_id = 1")
    today = datetime.now(UTC).date()
    days = (t.astimezone(UTC).date() if isinstance(t, datetime) else t for (t,) in found)
    return sorted((today - day).days for day in days)


@pytest.fixture
def listed(sandbox: Sandbox, location: Location) -> list[dict[str, Any]]:
    """The clicks of domain 1 as the API lists them, newest first."""
    clicks = [aged(days) for days in AGES]
    sandbox.clicks, sandbox.page_size = {1: clicks}, 2
    register(location, 1)
    return clicks


def test_old_clicks_are_deleted_and_not_loaded_again_and_their_days_stay(
    location: Location, listed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.clicks_and_days("1").success
    assert ages("clicks", "dt") == ages("daily_clicks", "day") == AGES
    monkeypatch.setenv(KEPT, "60")
    assert location.clicks_and_days("1").success
    # of 61 days ago: a day is deleted a day after its clicks are no longer loaded
    assert ages("clicks", "dt") == [days for days in AGES if days <= 61]
    assert ages("daily_clicks", "day") == AGES
    assert shown(location, "1")["clicks_deleted"] == 3
    clicks = location.click_metadata("1")
    assert (clicks["rows_loaded"], clicks["rows_too_old"]) == (5, 4)
    assert location.clicks("1", full_refresh=True).success
    assert location.clicks_and_days("1").success
    assert "clicks_deleted" not in shown(location, "1")
    assert ages("clicks", "dt") == [days for days in AGES if days <= 61]
    assert ages("daily_clicks", "day") == AGES
    assert checked(location)["daily_clicks.totals_agree"].passed


def test_nothing_is_deleted_of_a_domain_while_it_is_read(
    location: Location,
    sandbox: Sandbox,
    listed: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.clicks = {1: listed, 2: listed}
    register(location, 2)
    monkeypatch.setenv(f"{API}CHUNK_ROWS", "1")
    for kept, page in (("0", 4), ("60", 5)):
        monkeypatch.setenv(KEPT, kept)
        sandbox.faults = [Fault(path="/v1/domain/1/link_clicks", page=page, status=401)]
        assert not location.clicks_and_days("1", "2").success
    assert ages("clicks", "dt") == ages("daily_clicks", "day") == AGES[:8]
    # to the end as it began, though clicks are kept for less since
    assert location.clicks_and_days("1", "2").success
    assert shown(location, "1")["clicks_deleted"] == 3
    assert ages("daily_clicks", "day") == AGES


@pytest.mark.long
def test_clicks_that_come_back_leave_a_day_as_it_was(
    location: Location, listed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.clicks_and_days("1").success
    monkeypatch.setenv(KEPT, "60")
    assert location.clicks_and_days("1").success
    before = loaded_days()
    monkeypatch.setenv(KEPT, "0")
    listed.insert(-1, aged(400) | {"ua": "late"})
    assert location.clicks_and_days("1").success
    assert ages("clicks", "dt") == [*AGES, 400]
    assert loaded_days() == before
    assert checked(location)["daily_clicks.totals_agree"].passed


@pytest.mark.long
def test_days_that_were_never_computed_are_before_their_clicks_go(
    location: Location, listed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.clicks("1").success
    monkeypatch.setenv(KEPT, "60")
    assert location.clicks_and_days("1").success
    assert ages("daily_clicks", "day") == AGES


def test_a_listing_of_the_newest_first_is_read_to_the_oldest_day_that_is_kept(
    location: Location, listed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}CLICKS_ORDER", "newest_first")
    monkeypatch.setenv(KEPT, "60")
    assert location.clicks_and_days("1").success
    assert ages("clicks", "dt") == [days for days in AGES if days <= 60]
    # two clicks a page: the fourth has none that is kept
    assert location.click_metadata("1")["pages"] == 4


@pytest.mark.long
def test_a_table_of_days_of_an_earlier_version_gets_the_column(
    location: Location, listed: list[dict[str, Any]]
) -> None:
    assert location.clicks_and_days("1").success
    rows("ALTER TABLE {dataset}.daily_clicks DROP COLUMN clicks_deleted")
    assert checked(location)["daily_clicks.totals_agree"].passed
    assert location.clicks_and_days("1").success
    assert rows("SELECT DISTINCT clicks_deleted FROM {dataset}.daily_clicks") == [(False,)]
