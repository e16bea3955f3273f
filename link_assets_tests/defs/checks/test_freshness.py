"""The check `fresh`: what is late, and by how much."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from link_assets.defs import configuration
from link_assets.defs.checks.freshness import lateness
from link_assets.defs.checks.last_loads import LastLoad, LastLoads
from link_assets.defs.domain_names import DomainNames
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY, LINKS_KEY
from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
    by_the_guide,
    checked,
    materialized_at,
    troubles,
)
from link_assets_tests.support import Location


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


HOURS = {"1": 2.0, "2": 27.0, "3": 5.0}


def load(hours: float) -> LastLoad:
    """A load so many hours ago."""
    return LastLoad(at=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("expected", "loads", "problem"),
    [
        (["1"], {"1": load(0)}, ""),
        (["1"], {"1": load(25)}, ""),
        (["1"], {"1": load(-1)}, ""),
        (["1", "2"], {"1": load(26), "2": load(1)}, "Not fresh: domain 1 is late by 1.0 hours."),
        (["1"], {"1": load(25.5)}, "Not fresh: domain 1 is late by 30 minutes."),
        (["1"], {"1": load(25 + 1 / 60)}, "Not fresh: domain 1 is late by 1 minute."),
        (["1"], {"1": load(25.001)}, "Not fresh: domain 1 is late by less than a minute."),
        (["1"], {"1": load(97.25)}, "Not fresh: domain 1 is late by 72.2 hours."),
        (["1", "2"], {"1": load(1)}, "Not fresh: domain 2 was never loaded."),
        (
            ["1", "2", "3"],
            {"2": load(30), "3": load(2)},
            "Not fresh: domain 2 is late by 5.0 hours; domain 1 was never loaded.",
        ),
        ([], {}, "No domain is known."),
    ],
)
def test_lateness_names_what_is_late_and_by_how_much_and_what_was_never_loaded(
    expected: list[str], loads: dict[str, LastLoad], problem: str
) -> None:
    finding = lateness(LastLoads("clicks", expected, loads, 25), NOW)
    assert finding.problem == problem
    assert bool(finding.remedy) == bool(problem)


def test_lateness_is_given_as_numbers_too() -> None:
    last = LastLoads("clicks", ["1", "2", "3"], {"1": load(26.5), "3": load(1)}, 25)
    finding = lateness(last, NOW)
    assert finding.metadata == {
        "judged": 3,
        "late": 1,
        "never_loaded": 1,
        "window_hours": 25,
        "late_by_hours": {"1": 1.5},
        "oldest_load_age_hours": 26.5,
    }
    assert finding.domains == ["1", "2"]


def test_lateness_and_the_ages_of_clicks_are_told_by_domain_and_host() -> None:
    loads = {d: replace(load(h), metadata={"newest_click_age_hours": 1}) for d, h in HOURS.items()}
    names = DomainNames({"1": "go.example.com", "2": "café.example"})
    finding = lateness(LastLoads("clicks", [*loads], loads, 25, names=names), NOW)
    assert finding.problem == "Not fresh: domain 2 (café.example) is late by 2.0 hours."
    assert finding.looked_at.endswith(
        "The newest click is 3.0 hours old for domain 1 (go.example.com),"
        " up to 28.0 hours for domain 2 (café.example)."
    )
    assert finding.metadata["late_by_hours"] == {"2": 2.0}


@pytest.mark.parametrize("hours", [7, 100])
def test_clicks_of_the_future_are_counted_and_hide_no_age(hours: int) -> None:
    newest = NOW - timedelta(hours=hours)
    metadata = {"newest_click": newest.timestamp(), "clicks_of_the_future": 2}
    last = LastLoads("clicks", ["1"], {"1": replace(load(1), metadata=metadata)}, 25)
    finding = lateness(last, NOW)
    assert finding.metadata["newest_click_age_hours_max"] == hours
    assert finding.metadata["clicks_of_the_future"] == 2
    assert finding.looked_at.endswith("old. 2 clicks dated in the future left out.")


@pytest.mark.parametrize(
    "metadata",
    [
        {"newest_click_age_hours": -70_000_000.0},
        {"newest_click_age_hours": -635550.53},
        {"last_click": datetime.max.replace(tzinfo=UTC).timestamp()},
        {"clicks_of_the_future": 1},
    ],
)
def test_where_all_that_is_known_is_of_the_future_there_is_no_age(
    metadata: dict[str, float],
) -> None:
    finding = lateness(
        LastLoads("clicks", ["1"], {"1": replace(load(1), metadata=metadata)}, 25), NOW
    )
    assert "newest_click_age_hours_max" not in finding.metadata
    assert "The newest click" not in finding.looked_at


@pytest.mark.parametrize(
    "metadata",
    [
        {"newest_click": datetime.min.replace(tzinfo=UTC).timestamp()},
        {"newest_click_age_hours": 70_000_000.0},
    ],
)
def test_a_click_at_the_beginning_of_the_calendar_has_an_age(metadata: dict[str, float]) -> None:
    age = replace(load(1), metadata=metadata).newest_click_age(NOW)
    assert age == NOW - datetime.min.replace(tzinfo=UTC)


def test_a_click_that_is_still_to_come_today_is_not_of_the_future() -> None:
    metadata = {"newest_click": (NOW + timedelta(hours=11)).timestamp()}
    assert replace(load(0), metadata=metadata).newest_click_age(NOW) == timedelta()


def test_one_stale_or_missing_domain_fails_freshness_while_the_others_are_fresh(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=35, minutes=3)
    loaded.instance.add_dynamic_partitions(PARTITIONS_NAME, ["4", "5"])
    for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
        materialized_at(loaded.instance, long_ago, asset_key=key, partition="5")
    late = "Not fresh: domain 5 is late by 10.1 hours; domain 4 was never loaded. "
    expected = {"clicks.fresh": late, "daily_clicks.fresh": late}
    assert troubles(checked(loaded)) == expected
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1,2,3,5")
    patient = replace(configuration.SETTINGS, clicks_fresh_hours=36)
    monkeypatch.setattr(configuration, "SETTINGS", patient)
    assert troubles(checked(loaded)) == {}


@pytest.mark.long
def test_links_loaded_too_long_ago_are_late(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=35, minutes=3)
    materialized_at(loaded.instance, long_ago, asset_key=LINKS_KEY, metadata={"rejected_rows": 0})
    assert troubles(checked(loaded)) == {"links.fresh": "Not fresh: links is late by 10.1 hours. "}
    patient = replace(configuration.SETTINGS, links_fresh_hours=36)
    monkeypatch.setattr(configuration, "SETTINGS", patient)
    assert troubles(checked(loaded)) == {}


def test_an_allow_list_that_admits_no_domain_is_not_fresh(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "99")
    fresh = checked(loaded)["clicks.fresh"]
    assert not fresh.passed
    assert "LINK_ASSETS__DOMAINS" in str(fresh.description)
