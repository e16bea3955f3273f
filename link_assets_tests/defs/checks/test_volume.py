"""The check `usual_volume`: domains with far fewer clicks than usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dagster as dg
import pytest

from link_assets.defs import configuration
from link_assets.defs.checks import freshness
from link_assets.defs.checks.volume import volume
from link_assets.defs.domain_names import DomainNames
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
    REMEDIES,
    by_the_guide,
    checked,
    numbers,
)
from link_assets_tests.support import Location, rows


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


UNUSUAL = "The last whole day brought far fewer clicks than usual: {}."


@pytest.mark.parametrize(
    ("daily", "problem"),
    [
        ({}, ""),
        ({"1": [100] * 15}, ""),
        ({"1": [29] + [100] * 14}, "domain 1 had 29 instead of about 100"),
        ({"1": [30] + [100] * 14}, ""),
        ({"1": [0] + [100] * 14}, "domain 1 had 0 instead of about 100"),
        ({"1": [0] + [20] * 14}, "domain 1 had 0 instead of about 20"),
        ({"1": [0] + [19] * 14}, ""),
        ({"1": [0] * 15}, ""),
        ({"1": [0] + [1000] * 6 + [0] * 8}, ""),
        ({"1": [0] + [1000] * 8 + [0] * 6}, "domain 1 had 0 instead of about 1000"),
        ({"1": [6] + [20] * 7 + [21] * 7}, "domain 1 had 6 instead of about 20.5"),
        ({"1": [1000] + [100] * 14}, ""),
        (
            {"1": [9] + [40] * 14, "2": [40] * 15, "3": [0] + [50] * 14},
            "domain 1 had 9 instead of about 40; domain 3 had 0 instead of about 50",
        ),
    ],
)
def test_a_day_is_unusual_below_the_share_of_the_median_of_a_busy_domain(
    daily: dict[str, list[int]], problem: str
) -> None:
    finding = volume(daily)
    assert finding.problem == (UNUSUAL.format(problem) if problem else "")
    assert bool(finding.remedy) == bool(problem)


@pytest.mark.parametrize(
    ("share", "yesterday", "low"),
    [(0, 0, False), (0.5, 50, False), (0.51, 50, True), (1, 99, True), (0.07, 7, False)],
)
def test_the_share_below_which_a_day_is_unusual_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, share: float, yesterday: int, low: bool
) -> None:
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, volume_share=share)
    )
    found = volume({"1": [yesterday] + [100] * 14})
    numbers = {"judged": 1, "not_judged": 0, "low": int(low), "lowest_share": yesterday / 100}
    told = {"low_domains": {"1": f"{yesterday} instead of about 100"}} if low else {}
    assert found.metadata == numbers | told


def clicks_on(day: datetime, *times: str) -> list[dict[str, Any]]:
    """Clicks at these times of a day in UTC, each at a path of its own."""
    date = day.date().isoformat()
    return [{"path": f"/{date}/{i}", "dt": f"{date}T{at}"} for i, at in enumerate(times)]


def clicks_by_day(now: datetime, yesterday: Sequence[str], usual: int) -> list[dict[str, Any]]:
    """`usual` clicks on each of 14 days, these times of yesterday, and many before and after."""
    days = [now - timedelta(days=back) for back in range(17)]
    busy, noon = ["00:00:00Z"] * 90, ["12:00:00Z"] * usual
    listed = clicks_on(days[0], *busy) + clicks_on(days[1], *yesterday)
    listed += [click for day in days[2:16] for click in clicks_on(day, *noon)]
    return listed + clicks_on(days[16], *busy)


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time that checks take for now from here on, so that no midnight comes in between."""
    stopped = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return stopped.astimezone(tz)

    monkeypatch.setattr(freshness, "datetime", Clock)
    return stopped


def test_a_domain_of_unusual_volume_is_named_with_its_host_and_kept_by_its_id() -> None:
    names = DomainNames({"7": "go.example.com"})
    found = volume({"7": [0, *[50] * 14]}, names=names)
    assert (
        "clicks than usual: domain 7 (go.example.com) had 0 instead of about 50." in found.problem
    )
    assert found.domains == [*found.metadata["low_domains"]] == ["7"]


@pytest.mark.long
def test_domains_with_far_fewer_clicks_yesterday_are_named_with_both_numbers(
    location: Location, sandbox: Sandbox, stopped_clock: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = ["00:00:00Z", "23:59:59.999Z", "02:00:00+01:00", "21:00:00-02:00"]
    at_threshold = ["12:00:00Z"] * 9
    days = {1: (edges, 30), 2: (at_threshold, 30), 3: (at_threshold[1:], 30), 4: ([], 40)}
    days |= {5: ([], 19)}
    now = stopped_clock
    sandbox.clicks = {domain: clicks_by_day(now, *day) for domain, day in days.items()}
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, [str(domain) for domain in days])
    assert location.clicks("1", "5").success
    expected = {
        "1": "4 instead of about 30",
        "3": "8 instead of about 30",
        "4": "0 instead of about 40",
    }
    found = checked(location)
    assert not found["clicks.usual_volume"].passed
    low = numbers(found, "clicks.usual_volume")
    assert low.pop("low_domains") == expected
    assert low == {
        "judged": 4,
        "not_judged": 1,
        "low": 3,
        "lowest_share": 0,
        "problem_domains": "1, 3, 4",
    }
    listed = "; ".join(f"domain {domain} had {told}" for domain, told in expected.items())
    told = str(found["clicks.usual_volume"].description)
    assert told.startswith(f"{UNUSUAL.format(listed)} {REMEDIES['usual_volume']}")
    monkeypatch.setattr(configuration, "SETTINGS", replace(configuration.SETTINGS, volume_share=0))
    assert checked(location)["clicks.usual_volume"].passed


@pytest.mark.long
def test_a_load_that_resumed_is_not_judged_by_its_volume(
    location: Location, sandbox: Sandbox, stopped_clock: datetime
) -> None:
    sandbox.clicks = {1: clicks_by_day(stopped_clock, [], 40)}
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, ["1"])
    assert location.clicks("1").success
    assert not checked(location)["clicks.usual_volume"].passed
    resumed = dg.AssetMaterialization(
        CLICKS_KEY, partition="1", metadata={"rejected_rows": 0, "resumed_from_page": 2}
    )
    location.instance.report_runless_asset_event(resumed)
    assert checked(location)["clicks.usual_volume"].passed


@pytest.mark.long
def test_no_volume_is_judged_without_recent_clicks(loaded: Location) -> None:
    assert rows("SELECT count(*) > 0 FROM {dataset}.clicks") == [(True,)]
    found = checked(loaded)
    told = "No domain could be judged; 3 with too few clicks to judge (under 20 a day)."
    assert found["clicks.usual_volume"].description == f"{told} Looked at all 3 domains."
    assert numbers(found, "clicks.usual_volume") == {"judged": 0, "not_judged": 3, "low": 0}
