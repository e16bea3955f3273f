"""The sandbox serves Short.io's counts, its rate limit and its plans."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from link_assets.sandbox import Sandbox, ShortIoSwitches, World
from link_assets.sandbox.short_io import served_clicks, served_links
from link_assets_tests.sandbox.caller import ALL, Caller, click

Start = Callable[..., Caller]
Serving = Callable[[Sandbox], Caller]
DAYS = {"period": "custom", "startDate": "2026-02-01", "endDate": "2026-03-01"}
CLICKS = "/statistics/domain/1/last_clicks"


def world_of(**switches: Any) -> Sandbox:
    return Sandbox(World(), api="short_io", switches=ShortIoSwitches(**switches))


def people_by_day(sandbox: Sandbox, domain: int) -> dict[str, str]:
    days = Counter(row["dt"][:10] for row in served_clicks(sandbox, domain) if row["human"])
    return {f"{day}T00:00:00.000Z": str(count) for day, count in days.items()}


# Counts


def test_days_have_the_count_of_their_people_as_text(serving: Serving) -> None:
    sandbox = world_of()
    days = serving(sandbox).days(1, period="total")
    assert days == people_by_day(sandbox, 1)
    assert len(days) == 29
    assert list(days) == sorted(days)


def test_days_are_of_the_period_and_of_the_zone(short_io: Start) -> None:
    rows = [click(f"2026-02-{text}:00:00.000Z") for text in ("10T23", "10T01", "09T01")]
    caller = short_io({"clicks": {1: rows}})
    assert caller.days(1, **{**DAYS, "startDate": "2026-02-10"}) == {
        "2026-02-10T00:00:00.000Z": "2"
    }
    assert caller.days(1, **DAYS, tz="Asia/Tokyo") == {
        "2026-02-09T00:00:00.000+09:00": "1",
        "2026-02-10T00:00:00.000+09:00": "1",
        "2026-02-11T00:00:00.000+09:00": "1",
    }


@pytest.mark.parametrize(("kind", "counts"), [("absent", ["1", "1"]), ("zero", ["1", "0", "1"])])
def test_days_without_people_are_absent_or_zero(
    short_io: Start, kind: str, counts: list[str]
) -> None:
    bot = click("2026-02-02T00:00:00Z", human=False)
    rows = [click("2026-02-01T00:00:00Z"), bot, click("2026-02-03T00:00:00Z")]
    caller = short_io({"clicks": {1: rows}}, empty_days=kind)
    assert list(caller.days(1, **DAYS).values()) == counts


def test_the_key_of_the_days_is_a_switch(short_io: Start) -> None:
    caller = short_io(statistics_key="clickStatistics")
    for path in ("/statistics/domain/1/by_interval", "/statistics/domain/1"):
        answer = caller.post(path, **DAYS).json()
        assert answer["clickStatistics"]["datasets"][0]["data"]
        assert "clicksStatistics" not in answer


def test_an_interval_other_than_a_day_is_refused(short_io: Start) -> None:
    answer = short_io().post("/statistics/domain/1/by_interval", clicksChartInterval="hour")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("body/clicksChartInterval must be equal to one")


def test_totals_count_bots_as_well_and_can_be_got_and_posted(serving: Serving) -> None:
    sandbox = world_of()
    caller = serving(sandbox)
    got = caller.get("/statistics/domain/1", period="total").json()
    people = sum(row["human"] for row in served_clicks(sandbox, 1))
    assert (got["clicks"], got["humanClicks"], got["links"]) == (400, people, 12)
    assert people < 400
    days = got["clicksStatistics"]["datasets"][0]["data"]
    assert sum(int(point["y"]) for point in days) == people
    assert caller.post("/statistics/domain/1", period="total").json() == got


def test_the_links_clicked_by_people_are_counted_and_others_absent(serving: Serving) -> None:
    links = [
        {"id": f"lnk_{path}", "path": path, "DomainId": 1, "createdAt": n}
        for n, path in enumerate(("a", "B", "bots", "none"))
    ]
    clicks = [
        click(f"2026-02-0{n}T00:00:00Z", path=path, human=path != "/bots")
        for n, path in enumerate(("/a", "/A", "/b", "/bots", "/", "/other"), start=1)
    ]
    domains = [{"id": 1, "hostname": "a.example", "caseSensitive": False}]
    sandbox = Sandbox(links=links, clicks={1: clicks}, domains=domains, api="short_io")
    caller, path = serving(sandbox), "/statistics/domain/1/link_clicks"
    ids = "lnk_a,lnk_B,lnk_bots,lnk_none,lnk_unknown"
    assert caller.get(path, ids=ids).json() == {"lnk_a": 2, "lnk_B": 1}
    assert caller.get(path, ids="lnk_B").json() == {"lnk_B": 1}
    since = {"startDate": "2026-02-02", "endDate": "2026-02-02T12:00:00Z"}
    assert caller.get(path, ids=ids, **since).json() == {"lnk_a": 1}
    domains[0]["caseSensitive"] = True
    assert caller.get(path, ids=ids).json() == {"lnk_a": 1}


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("domain", [1, 2, 3])
def test_links_are_counted_however_their_paths_are_written(
    serving: Serving, encoded: bool, domain: int
) -> None:
    sandbox = world_of(encoded_paths=encoded)
    ids = ",".join(link["id"] for link in served_links(sandbox, domain))
    path = f"/statistics/domain/{domain}/link_clicks"
    counts = serving(sandbox).get(path, ids=ids).json()
    on_links = [r for r in served_clicks(sandbox, domain) if r["st"] != 404 and r["path"] != "/"]
    assert sum(counts.values()) == sum(row["human"] for row in on_links)


def test_counts_lack_what_is_not_indexed_yet(serving: Serving) -> None:
    sandbox = world_of(withheld={1: range(200, 400)})
    got = serving(sandbox).get("/statistics/domain/1", period="total").json()
    assert got["clicks"] == 200


# The rate limit


def test_all_statistics_share_the_limit_of_the_key_and_the_api_has_none(short_io: Start) -> None:
    caller = short_io(rate_limit=4)
    paths = [CLICKS, "/statistics/domain/2/last_clicks", "/statistics/domain/3/by_interval"]
    answers = [caller.post(path, **ALL) for path in paths]
    answers += [caller.get("/statistics/domain/1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    limited = answers[-1]
    assert limited.headers["x-ratelimit-limit"] == "4"
    assert limited.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(limited.headers["x-ratelimit-reset"]) <= 60
    assert limited.json()["error"] == "Too Many Requests"
    assert "x-ratelimit-limit" not in answers[0].headers
    assert caller.get("/api/domains").status_code == 200


def test_requests_that_are_not_let_in_do_not_count(short_io: Start) -> None:
    caller = short_io(rate_limit=1)
    caller.session.headers["Authorization"] = "wrong"
    assert [caller.get("/statistics/domain/1").status_code for _ in range(2)] == [401, 401]
    caller.session.headers["Authorization"] = "sandbox-key"
    assert caller.get("/statistics/domain/1").status_code == 200


def test_the_reset_says_when_the_limit_begins_anew(short_io: Start) -> None:
    caller = short_io(rate_limit=1, rate_window=0.1, rate_reset="fraction")
    while (answer := caller.get("/statistics/domain/1")).status_code == 200:
        pass
    wait = float(answer.headers["x-ratelimit-reset"])
    assert 0 < wait <= 0.1
    time.sleep(wait + 0.001)
    assert caller.get("/statistics/domain/1").status_code == 200


def test_the_reset_can_be_a_time(short_io: Start) -> None:
    caller, began = short_io(rate_limit=0, rate_reset="epoch"), time.time()
    answer = caller.get("/statistics/domain/1")
    assert began < int(answer.headers["x-ratelimit-reset"]) <= time.time() + 61


def test_answers_that_are_let_in_can_say_what_is_left(short_io: Start) -> None:
    caller = short_io(rate_limit=3, rate_headers=True)
    left = [caller.post(CLICKS, **ALL).headers["x-ratelimit-remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]


# Plans


@pytest.mark.parametrize("status", [402, 403])
def test_a_plan_without_clicks_is_told_by_domain(short_io: Start, status: int) -> None:
    caller = short_io(gated=frozenset({1}), gate_status=status)
    answer = caller.post(CLICKS, **ALL)
    assert answer.status_code == status
    assert answer.json() == {
        "error": "Raw clicks are not included in your plan. Upgrade to the Team plan"
    }
    assert len(caller.clicks(2, **ALL)) == 60
    assert caller.get("/statistics/domain/1").status_code == 200


def test_a_plan_can_leave_out_the_clicks_of_every_domain(short_io: Start) -> None:
    caller = short_io(gated="all")
    paths = [f"/statistics/domain/{n}/last_clicks" for n in (1, 2, 3, 4)]
    assert {caller.post(path, **ALL).status_code for path in paths} == {402}
