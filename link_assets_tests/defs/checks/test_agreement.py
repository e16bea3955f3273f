"""The check `agrees_with_service`: daily clicks by people, here and by the service's own count."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from link_assets.defs.checks.agreement import SETTLING, service_counts
from link_assets.defs.checks.last_loads import LastLoad, LastLoads
from link_assets.sandbox import Fault, Sandbox, serve
from link_assets.sandbox import ShortIoSwitches as Switches
from link_assets.settings import ApiSettings
from link_assets.source.dialects.short_io import ShortIoDialect
from link_assets_tests.defs.checks.evaluated import checked
from link_assets_tests.support import Location, mostly_long, rows

COUNTS = "/statistics/domain/{}/by_interval"
DAY = datetime.now(UTC).date() - timedelta(days=2)
"""A day within the lookback of three, even if midnight comes before the end of the test."""


def click(number: int, day: date = DAY, human: bool = True) -> dict[str, Any]:
    return {"dt": f"{day}T12:00:{number:02}.000Z", "path": "/a", "st": 302, "human": human}


@pytest.fixture
def sandbox() -> Sandbox:
    """Short.io with two domains, of people and others."""
    clicks = [click(1), click(2), click(3, human=False), click(4, DAY - timedelta(days=200))]
    return Sandbox(
        api="short_io",
        domains=[{"id": domain, "hostname": f"go{domain}.example"} for domain in (1, 2)],
        links=[],
        clicks={1: clicks, 2: clicks[:1]},
        switches=Switches(cache_seconds=0),
    )


@pytest.fixture
def location(
    sandbox: Sandbox, location: Location, api: str, monkeypatch: pytest.MonkeyPatch
) -> Location:
    """The code location after a load of both domains."""
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API", "short_io")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", f"{api}/statistics")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__MAX_RETRIES", "0")
    assert location.links().success
    assert location.clicks("1", "2").success
    sandbox.reset_log()
    return location


def found(location: Location) -> dg.AssetCheckEvaluation:
    return checked(location)["clicks.agrees_with_service"]


def numbers(evaluation: dg.AssetCheckEvaluation, *names: str) -> list[Any]:
    return [evaluation.metadata[name].value for name in names]


JUDGED = ("judged", "not_judged", "days", "differing")


SPELLINGS = [
    Switches(statistics_key="clickStatistics", empty_days="zero"),
    Switches(),
    Switches(before_inclusive=True, after_inclusive=False),
]


@pytest.mark.parametrize("switches", mostly_long(SPELLINGS, 1))
def test_a_whole_load_agrees_and_takes_one_request_a_domain(
    switches: Switches, location: Location, sandbox: Sandbox
) -> None:
    sandbox.switches = switches
    agreeing = found(location)
    assert agreeing.passed, agreeing.description
    assert numbers(agreeing, *JUDGED) == [2, 0, 6, 0]
    assert [record.path for record in sandbox.requests] == [COUNTS.format(1), COUNTS.format(2)]


@pytest.mark.long
def test_a_day_that_differs_is_named_with_both_numbers(location: Location) -> None:
    rows("DELETE FROM {dataset}.clicks WHERE domain_id = 1 AND dt >= '2026-01-01' AND human")
    rows(f"UPDATE {{dataset}}.clicks SET dt = '{DAY - timedelta(days=150)}' WHERE domain_id = 2")
    differing = found(location)
    assert (differing.passed, differing.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(differing.description).startswith(
        f"The service counts other clicks: domain 1 (go1.example) had 0 clicks by people on "
        f"{DAY}, the service counts 2; domain 2 (go2.example) had 0 clicks by people on {DAY}, "
        "the service counts 1. Load these"
    )
    assert numbers(differing, *JUDGED) == [2, 0, 6, 2]
    assert numbers(differing, "problem_domains") == ["1, 2"]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"status": 402, "body": '{"error": "Team plan"}'}, "the API says: Team plan"),
    ({"status": 404}, "check SOURCES__LINK_ASSETS__STATISTICS_URL and"),
    ({"status": 429}, "the API answered 429"),
    ({"raw": b"<html>"}, "the answer is not JSON"),
    ({"raw": b'{"success": false, "error": "no"}'}, "no chart of clicks under"),
    ({"connection": "reset"}, "Check that SOURCES__LINK_ASSETS__STATISTICS_URL is right"),
]


@pytest.mark.long
@pytest.mark.parametrize("case", mostly_long(REFUSALS, 1), ids=lambda case: case[1])
def test_a_domain_whose_counts_the_api_refuses_is_not_judged_and_the_others_are(
    case: tuple[dict[str, Any], str], location: Location, sandbox: Sandbox
) -> None:
    fault, reason = case
    sandbox.faults = [Fault(path=COUNTS.format(1), times=None, **fault)]
    rows("DELETE FROM {dataset}.clicks WHERE human")
    differing = found(location)
    told = str(differing.description)
    assert told.startswith(
        "The service counts other clicks: domain 2 (go2.example) had 0 clicks by"
    )
    assert "1 domain judged. 1 domain not judged: daily clicks of domain 1 (go1.example): " in told
    assert reason in told
    assert numbers(differing, *JUDGED) == [1, 1, 3, 1]
    assert reason in numbers(differing, "not_answered")[0]["1"]


@pytest.mark.long
def test_without_any_answer_or_a_key_nothing_is_judged_and_the_reason_told(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults = [Fault(path="/statistics", times=None, status=404)]
    assert str(found(location).description).startswith("Not judged: daily clicks of domain 1 (go1")
    monkeypatch.delenv("SOURCES__LINK_ASSETS__API_KEY")
    assert str(found(location).description).startswith("Not judged: No API key: set ")


def test_the_days_are_those_that_were_over_and_settled_when_a_domains_last_load_began(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API", "short_io")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CLICKS_LOOKBACK_DAYS", "0")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", sandbox.api_key)
    midnight = datetime(2026, 3, 2, tzinfo=UTC) + SETTLING
    loads = {
        "1": LastLoad(midnight + timedelta(seconds=9), {"seconds": 5.0}),
        "2": LastLoad(midnight + timedelta(seconds=9), {"seconds": 20.0}),
        # of a run that went on for hours with other domains
        "5": LastLoad(midnight + timedelta(hours=9), {"began": midnight.timestamp() - 1}),
        "3": LastLoad(midnight, {"resumed_from_page": 7}),
    }
    with serve(sandbox) as url:
        monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", f"{url}/statistics")
        service = service_counts(LastLoads("clicks", [*loads, "4"], loads, 25))
    before = [date(2026, 2, 28)]
    assert service.days == {"1": [date(2026, 3, 1)], "2": before, "5": before}


def test_days_whose_clicks_are_not_kept_are_not_asked_for(
    sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API", "short_io")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", f"{api}/statistics")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__KEEP_CLICKS_DAYS", "45")
    noon = datetime.now(UTC).replace(hour=12)
    loads = {str(days): LastLoad(noon - timedelta(days=days)) for days in (40, 44, 60)}
    service = service_counts(LastLoads("clicks", [*loads], loads, 25))
    asked = {domain: len(days) for domain, days in service.days.items()}
    # of the three days before each load; a domain that was loaded 60 days ago is not asked for
    assert asked == {"40": 3, "44": 1}


DAILY = ShortIoDialect(ApiSettings(base_url="http://api.invalid", api_key="key")).daily_people(
    1, date(2026, 2, 1), date(2026, 2, 3)
)


@pytest.mark.parametrize("key", ["clicksStatistics", "clickStatistics"])
@pytest.mark.parametrize("day", ["2026-02-01T00:00:00.000Z", "2026-02-01", 1769904000000])
@pytest.mark.parametrize("clicks", ["12", 12])
def test_a_point_is_read_however_its_day_and_number_are_spelled(
    key: str, day: Any, clicks: Any
) -> None:
    points = [{"x": day, "y": clicks}, {"x": "2026-02-02T01:00:00+01:00", "y": None}]
    for chart in (points, {"datasets": [{"data": points}]}):
        counts = DAILY.by_day({key: chart})
        assert counts == {date(2026, 2, 1): 12, date(2026, 2, 2): 0}


@pytest.mark.parametrize("chart", [{"datasets": []}, {"datasets": [{"data": []}]}, []])
def test_a_chart_without_points_has_no_clicks(chart: Any) -> None:
    assert DAILY.by_day({"clicksStatistics": chart}) == {}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"clicksStatistics": None},
        {"clicksStatistics": {"datasets": ["x"]}},
        {"clicksStatistics": [{"x": "2026-02-01"}]},
        {"clicksStatistics": [{"x": None, "y": "1"}]},
        {"clicksStatistics": [{"x": "soon", "y": "1"}]},
        {"clicksStatistics": [{"x": "2026-02-01", "y": "many"}]},
        {"clicksStatistics": ["x"]},
    ],
)
def test_an_answer_without_counts_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"chart"):
        DAILY.by_day(answer)
