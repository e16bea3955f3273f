"""The figures of domains' latest clicks, against counts in Python, in each warehouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse.click_figures import ALL, Leader
from link_assets.warehouse.reader import reading
from link_assets.warehouse.recent_clicks import LEADING, recent_by_day, recent_leaders
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.destinations.test_postgres import port, server
from link_assets_tests.warehouse.helpers import load_clicks, load_links

SERVER = (port, server)
"""Fixtures, for pytest to find here."""
NEWEST = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
TODAY = NEWEST.date()
FUTURE = ["2026-03-02T00:00:00Z", "2099-06-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
PATHS = ["a", "B", "c", "d", "e", "f", "gone"]
WINDOW = 10


def clicks(domain: int) -> list[dict[str, Any]]:
    """Clicks each five hours up to an hour after a midnight, some of them before the last days."""
    return [
        {
            "dt": (NEWEST - timedelta(hours=5 * n, days=100 * (domain - 1))).isoformat(),
            "path": f"/{PATHS[n * n % 7]}",
            "st": 302,
            "human": [True, False, None, True][n % 4],
            "country": ["DE", "FR", "", None, "US"][n * n % 5],
            "refhost": [f"news.example?visitor={n}", None][n % 2],
        }
        for n in range(80)
    ]


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[needs_postgres, pytest.mark.long])],
    autouse=True,
)
def warehouse(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, api: str
) -> None:
    """One kind of warehouse after the other, with two domains, in a session of another zone."""
    monkeypatch.setenv("PGTZ", "Pacific/Auckland")
    if request.param == "postgres":
        monkeypatch.setenv("DESTINATION_TYPE", "postgres")
        address = request.getfixturevalue("server")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    sandbox.links = [
        {"id": f"{domain}{path}", "path": path, "DomainId": domain, "shortURL": short(domain, path)}
        for domain in (1, 2)
        for path in PATHS[:-1]
    ]
    future = [clicks(1)[0] | {"dt": time, "path": "/gone", "country": "XX"} for time in FUTURE]
    sandbox.clicks = {1: [*future, *clicks(1)], 2: clicks(2), 3: future}
    load_links()
    load_clicks(1)
    load_clicks(2)
    load_clicks(3)


def short(domain: int, path: str) -> str:
    return f"https://go{domain}.example/{path}"


def latest(domain: int) -> list[dict[str, Any]]:
    days = [datetime.fromisoformat(click["dt"]).date() for click in clicks(domain)]
    first = max(days) - timedelta(days=WINDOW - 1)
    return [click for click, day in zip(clicks(domain), days, strict=True) if day >= first]


def by_day(some: list[dict[str, Any]], people: bool) -> Counter[Any]:
    return Counter(
        datetime.fromisoformat(click["dt"]).date()
        for click in some
        if bool(click["human"]) == people
    )


def test_days_are_counted_up_to_each_domains_newest_click_that_is_not_of_the_future() -> None:
    with reading() as reader:
        found = recent_by_day(reader, TODAY, [1, 2, 3], WINDOW)
        of_all = recent_by_day(reader, TODAY, ALL, WINDOW)
    assert set(found) == {1, 2}
    for domain, recent in found.items():
        assert domain
        assert Counter(recent.people) == by_day(latest(domain), people=True)
        assert Counter(recent.others) == by_day(latest(domain), people=False)
        assert recent.last == (NEWEST - timedelta(days=100 * (domain - 1))).date()
    assert of_all == {ALL: found[1]}


@pytest.mark.long
def test_what_leads_is_counted_among_the_same_clicks() -> None:
    with reading() as reader:
        found = recent_leaders(reader, TODAY, [1, 2], WINDOW)
    for domain in (1, 2):
        some = latest(domain)
        links = Counter(c["path"][1:] for c in some if c["path"] != "/gone")
        expected = {short(domain, path): clicks for path, clicks in links.items()}
        assert named(found["links"][domain]) == ordered(expected)
        countries = Counter(click["country"] for click in some if click["country"])
        assert named(found["countries"][domain]) == ordered(countries)
        referred = sum(bool(click["refhost"]) for click in some)
        assert named(found["referrers"][domain]) == [("news.example", referred)]


def named(leaders: Sequence[Leader]) -> list[tuple[str, int]]:
    """Those of which a name is known, with their clicks."""
    return [(leader.name, leader.counted.clicks) for leader in leaders if leader.name]


def ordered(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:LEADING]
