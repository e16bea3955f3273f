"""The report's figures, against counts that Python makes of what the API serves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse import report_figures as module
from link_assets.warehouse.click_figures import ALL, Count, Leader
from link_assets.warehouse.reader import reading
from link_assets.warehouse.report_figures import ReportFigures, report_figures
from link_assets_tests.truth import world_clicks
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.destinations.test_postgres import port, server
from link_assets_tests.warehouse.helpers import load_clicks, load_links

SERVER = (port, server)
"""Fixtures, for pytest to find here."""
TODAY = date(2026, 6, 1)
FIELDS = {"countries": "country", "referrers": "refhost", "browsers": "browser", "systems": "os"}


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[needs_postgres, pytest.mark.long])],
    autouse=True,
)
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, api: str) -> None:
    """One kind of warehouse after the other, empty."""
    if request.param == "postgres":
        monkeypatch.setenv("DESTINATION_TYPE", "postgres")
        address = request.getfixturevalue("server")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)


def click(time: str, **more: Any) -> dict[str, Any]:
    return {"dt": time, "path": "/a", "st": 302, "human": True, **more}


def load(sandbox: Sandbox, clicks: dict[int, list[Any]], links: list[Any] | None = None) -> None:
    sandbox.clicks, sandbox.links = clicks, links or []
    load_links()
    for domain in clicks:
        load_clicks(domain)


def figures(domains: Iterable[int] | None = None, days: int | None = None) -> ReportFigures:
    chosen = None if domains is None else list(domains)
    with reading() as reader:
        found = report_figures(reader, TODAY, chosen, days)
    assert found is not None
    return found


def count(clicks: Iterable[dict[str, Any]]) -> Count:
    people = [bool(click["human"]) for click in clicks]
    return Count(people.count(True), people.count(False))


def by(clicks: Iterable[dict[str, Any]], field: str) -> dict[str | None, Count]:
    groups: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for one in clicks:
        groups[one.get(field) or None].append(one)
    return {name: count(group) for name, group in groups.items()}


def day_of(click: dict[str, Any]) -> date:
    return datetime.fromisoformat(click["dt"]).astimezone(UTC).date()


def test_every_figure_is_that_of_the_clicks_that_the_api_serves(sandbox: Sandbox) -> None:
    load_links()
    assert sandbox.world
    served = {domain: world_clicks(sandbox.world, domain) for domain in (1, 2, 3)}
    for domain in served:
        load_clicks(domain)
    found = figures()
    all_clicks = [click for clicks in served.values() for click in clicks]
    for domain, clicks in {ALL: all_clicks, **served}.items():
        assert found.totals[domain] == count(clicks)
        on_days = Counter(map(day_of, clicks))
        first = found.period.first
        series = {first + timedelta(i): c.clicks for i, c in enumerate(found.series[domain])}
        assert {day: clicks for day, clicks in series.items() if clicks} == on_days
        for name, field in FIELDS.items():
            leaders = {leader.name: leader.counted for leader in found.leading[name][domain]}
            assert leaders == by(clicks, field)
    assert (found.period.first, found.period.last) == (
        min(map(day_of, all_clicks)),
        max(map(day_of, all_clicks)),
    )
    assert found.outside == 0


def test_links_are_counted_by_the_documented_join(sandbox: Sandbox) -> None:
    links = [
        {
            "id": f"{domain}",
            "idString": f"{domain}",
            "path": "Promo",
            "DomainId": domain,
            "title": f"On {domain}",
            "shortURL": f"https://go{domain}.example/Promo?key=secret",
        }
        for domain in (1, 2)
    ]
    clicks = [
        click("2026-03-01T00:00:00Z", path="/promo?email=a@b.example"),
        click("2026-03-01T00:00:01Z", path="/PROMO/#x", human=False),
        click("2026-03-01T00:00:02Z", path="/promo", st=404),
        click("2026-03-01T00:00:03Z", path="/elsewhere"),
    ]
    load(sandbox, {1: clicks, 2: clicks[:1]}, links)
    found = figures().leading["links"]
    first = Leader("https://go1.example/Promo", Count(1, 1), "On 1")
    second = Leader("https://go2.example/Promo", Count(1, 0), "On 2")
    assert set(found[1]) == {first, Leader(None, Count(2, 0))}
    assert set(found[2]) == {second}
    assert set(found[ALL]) == {first, second, Leader(None, Count(2, 0))}
    assert [leader for leader in found[ALL] if leader.name] == [first, second]


def test_without_a_table_of_links_everything_else_is_counted(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click("2026-03-01T00:00:00Z")]}
    load_clicks(1)
    found = figures()
    assert found.leading["links"] == {}
    assert found.totals[ALL] == Count(1, 0)


def test_days_are_those_of_utc_whatever_the_zone_of_the_session(sandbox: Sandbox) -> None:
    times = ["2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999Z", "2026-03-02T00:00:00Z"]
    load(sandbox, {1: [click(time) for time in times]})
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        with reading() as reader:
            reader.rows(f"SET TimeZone = '{zone}'")
            found = report_figures(reader, TODAY)
        assert found
        assert [c.clicks for c in found.series[1]] == [2, 1]
        assert (found.period.first, found.period.last) == (date(2026, 3, 1), date(2026, 3, 2))


def test_days_end_with_the_newest_click_and_what_lies_outside_is_told(sandbox: Sandbox) -> None:
    days = ["01", "02", "10", "11"]
    load(sandbox, {1: [click(f"2026-03-{day}T12:00:00Z") for day in days]})
    found = figures(days=2)
    assert (found.period.first, found.period.last) == (date(2026, 3, 10), date(2026, 3, 11))
    assert (found.totals[ALL].clicks, found.outside) == (2, 2)
    assert figures(days=90).period.first == date(2026, 3, 1)


@pytest.mark.long
def test_clicks_of_the_future_do_not_stretch_the_period(sandbox: Sandbox) -> None:
    times = ["2026-03-01T00:00:00Z", f"{TODAY}T23:59:59Z", "2026-06-02T00:00:00Z", "2999-01-01"]
    load(sandbox, {1: [click(time) for time in times], 2: [click("2999-01-01T00:00:00Z")]})
    found = figures()
    assert (found.period.last, found.totals[ALL].clicks, found.outside) == (TODAY, 2, 3)


@pytest.mark.parametrize("time", ["2026-06-02T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_where_all_clicks_are_of_the_future_there_are_no_figures(
    sandbox: Sandbox, time: str
) -> None:
    load(sandbox, {1: [click(time)]})
    with reading() as reader:
        assert report_figures(reader, TODAY) is None
        assert report_figures(reader, TODAY, [1], 1) is None


@pytest.mark.parametrize("days", [None, 1, 100_000])
def test_a_click_at_the_beginning_of_the_calendar_is_in_a_report(
    sandbox: Sandbox, days: int | None
) -> None:
    load(sandbox, {1: [click("0001-01-01T00:00:00Z"), click("9999-12-31T23:59:59.999999Z")]})
    found = figures(days=days)
    assert (found.period.first, found.period.last) == (date.min, date.min)
    assert (found.series[1], found.outside) == ([Count(1, 0)], 1)


def test_a_long_period_goes_by_weeks_that_begin_on_mondays_and_is_bounded(
    sandbox: Sandbox,
) -> None:
    times = ["2024-01-03", "2024-01-07", "2024-01-08", "2026-03-01"]
    load(sandbox, {1: [click(f"{time}T12:00:00Z") for time in ["1971-01-01", *times]]})
    found = figures()
    assert found.period.first.weekday() == 0
    assert (found.period.step, found.period.points) == (7, module.POINTS)
    monday = found.period.first
    weeks = {monday + timedelta(7 * i): c.clicks for i, c in enumerate(found.series[1]) if c.clicks}
    assert weeks == {date(2024, 1, 1): 2, date(2024, 1, 8): 1, date(2026, 2, 23): 1}
    assert found.outside == 1


@pytest.mark.long
def test_what_is_read_is_bounded_and_what_is_left_out_counts_for_all(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    monkeypatch.setattr(module, "LEADING", 1)
    many = [
        click(f"2026-03-01T00:00:{i:02}Z", country=country)
        for i, country in enumerate(["Chad", "Chad", "Peru", None, None, None])
    ]
    load(sandbox, {1: many[:1], 2: many, 3: many[:3]})
    found = figures()
    assert found.listed == [2, 3]
    assert list(found.totals) == [ALL, 2, 3, 1]
    assert set(found.leading["countries"]) == {ALL, 2, 3}
    assert set(found.leading["countries"][ALL]) == {
        Leader("Chad", Count(5, 0)),
        Leader(None, Count(3, 0)),
    }


def test_a_referrer_is_told_without_its_query_and_a_click_not_judged_is_not_by_people(
    sandbox: Sandbox,
) -> None:
    referrers = ["a.example", "a.example?token=secret", "a.example#secret", " "]
    clicks = [
        click(f"2026-03-01T00:00:0{i}Z", refhost=referrer, human=None)
        for i, referrer in enumerate(referrers)
    ]
    load(sandbox, {1: clicks})
    expected = {Leader("a.example", Count(0, 3)), Leader(None, Count(0, 1))}
    assert set(figures().leading["referrers"][1]) == expected


def test_where_nothing_was_loaded_there_are_no_figures(sandbox: Sandbox) -> None:
    with reading() as reader:
        assert report_figures(reader, TODAY) is None
    load(sandbox, {1: [click("2026-03-01T00:00:00Z")]})
    with reading() as reader:
        assert report_figures(reader, TODAY, [2]) is None
