"""The sandbox serves Short.io's last clicks, with every trap that callers fell into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from link_assets.sandbox import Sandbox, ShortIoSwitches, World
from link_assets.sandbox.short_io import served_clicks, served_links
from link_assets_tests.sandbox.caller import ALL, Caller, click

Start = Callable[..., Caller]
Serving = Callable[[Sandbox], Caller]
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)  # a Sunday
HOURS = [click(f"2026-02-10T{hour:02}:00:00.000Z") for hour in range(5, -1, -1)]
TIMES = [row["dt"] for row in HOURS]


def world_of(world: World | None = None, **switches: Any) -> Sandbox:
    return Sandbox(world or World(), api="short_io", switches=ShortIoSwitches(**switches))


def given(*clicks: Any) -> dict[str, Any]:
    """Clicks of domain 1 that the sandbox is given."""
    return {"clicks": {1: list(clicks)}}


def moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["dt"])


def times(rows: list[dict[str, Any]]) -> list[str]:
    return [row["dt"] for row in rows]


def day(number: int, month: int = 3) -> dict[str, Any]:
    return click(f"2026-{month:02}-{number:02}T12:00:00.000Z")


# The listing


def test_clicks_are_a_bare_list_newest_first_of_a_hundred_or_as_many_as_asked_for(
    serving: Serving,
) -> None:
    sandbox = world_of()
    caller, everything = serving(sandbox), served_clicks(sandbox, 1)
    assert caller.clicks(1, **ALL) == everything[:100]
    assert caller.clicks(1, **ALL, limit=400) == everything
    assert len(everything) == 400
    assert [*map(moment, everything)] == sorted(map(moment, everything), reverse=True)


def test_going_back_by_date_finds_all_clicks_if_the_last_millisecond_is_read_again(
    serving: Serving,
) -> None:
    sandbox = world_of()
    caller, found, before = serving(sandbox), Counter[str](), "2030-01-01T00:00:00Z"
    while page := caller.clicks(1, **ALL, limit=30, beforeDate=before):
        oldest = page[-1]["dt"] if len(page) == 30 else ""
        found.update(repr(row) for row in page if row["dt"] != oldest)
        before = (moment(page[-1]) + timedelta(milliseconds=bool(oldest))).isoformat()
    assert found == Counter(map(repr, served_clicks(sandbox, 1)))


def test_before_and_after_leave_their_own_time_out_unless_the_switch_lets_it_in(
    short_io: Start,
) -> None:
    dates = {"afterDate": TIMES[4], "beforeDate": TIMES[1]}
    expected = {(False, False): [2, 3], (True, False): [1, 2, 3], (False, True): [2, 3, 4]}
    for (before, after), hours in expected.items():
        caller = short_io(given(*HOURS), before_inclusive=before, after_inclusive=after)
        assert caller.clicks(1, **ALL, **dates) == [HOURS[n] for n in hours]


@pytest.mark.parametrize(("inclusive", "newest"), [(True, 1), (False, 2)])
def test_a_period_ends_with_its_last_time_or_before_it(
    short_io: Start, inclusive: bool, newest: int
) -> None:
    caller = short_io(given(*HOURS), end_inclusive=inclusive)
    dates = {"startDate": TIMES[3], "endDate": TIMES[1]}
    assert caller.clicks(1, period="custom", **dates) == HOURS[newest:4]


def test_more_than_the_most_is_cut_or_refused(short_io: Start) -> None:
    assert len(short_io(max_limit=7).clicks(1, **ALL, limit=8)) == 7
    refusing = short_io(max_limit=7, over_limit="refuse")
    assert len(refusing.clicks(1, **ALL, limit=7)) == 7
    answer = refusing.post("/statistics/domain/1/last_clicks", limit=8)
    assert (answer.status_code, answer.json()["message"]) == (400, "body/limit must be <= 7")


def test_pages_can_be_short_although_more_follow(serving: Serving) -> None:
    sandbox = world_of(short_pages=True)
    caller, everything = serving(sandbox), served_clicks(sandbox, 1)
    assert caller.clicks(1, **ALL, limit=9) == everything[:4]
    assert caller.clicks(1, **ALL, limit=1) == everything[:1]


def test_clicks_of_one_millisecond_can_change_their_order_between_requests(
    serving: Serving,
) -> None:
    sandbox = world_of(shuffle_ties=True, cache_seconds=0)
    caller, everything = serving(sandbox), served_clicks(sandbox, 1)
    answers = [caller.clicks(1, **ALL, limit=400) for _ in range(2)]
    assert answers[0] != answers[1]
    assert Counter(map(repr, answers[0])) == Counter(map(repr, answers[1]))
    assert [times(answer) for answer in answers] == [times(everything)] * 2
    cut = Counter(repr(caller.clicks(1, **ALL, limit=13)[-1]) for _ in range(30))
    assert len(cut) > 1


# Periods and dates


@pytest.mark.parametrize(
    ("period", "dates"),
    [
        ("today", ["03-15"]),
        ("yesterday", ["03-14"]),
        ("week", ["03-15", "03-14", "03-09"]),
        ("month", ["03-15", "03-14", "03-09", "03-08", "03-07"]),
        ("lastmonth", ["02-14", "02-13"]),
        ("last7", ["03-15", "03-14", "03-09", "03-08"]),
        ("last30", ["03-15", "03-14", "03-09", "03-08", "03-07", "02-14", "02-13"]),
        ("total", ["03-15", "03-14", "03-09", "03-08", "03-07", "02-14", "02-13", "01-31"]),
        (None, ["03-15", "03-14", "03-09", "03-08", "03-07", "02-14", "02-13"]),
    ],
)
def test_a_period_is_days_up_to_now_and_thirty_of_them_if_none_is_given(
    short_io: Start, period: str | None, dates: list[str]
) -> None:
    march = [day(n) for n in (7, 8, 9, 14, 15)]
    rows = given(day(31, 1), day(13, 2), day(14, 2), *march)
    body = {"period": period} if period else {}
    found = times(short_io(rows, clock=lambda: NOW).clicks(1, **body))
    assert [text[5:10] for text in found] == dates


def test_without_a_custom_period_start_and_end_are_ignored(short_io: Start) -> None:
    caller = short_io(given(day(31, 1), day(14)), clock=lambda: NOW)
    dates = {"startDate": "2020-01-01T00:00:00Z", "endDate": "2026-03-01T00:00:00Z"}
    assert times(caller.clicks(1, **dates)) == ["2026-03-14T12:00:00.000Z"]


def test_the_total_ignores_every_date(short_io: Start) -> None:
    dates = {"startDate": TIMES[2], "endDate": TIMES[2], "beforeDate": TIMES[4]}
    assert short_io(given(*HOURS)).clicks(1, period="total", **dates) == HOURS


def test_the_total_can_be_empty(short_io: Start) -> None:
    caller = short_io(given(*HOURS), total_is_empty=True)
    assert caller.clicks(1, period="total") == []
    assert caller.clicks(1, **ALL) == HOURS


def test_a_bare_date_is_the_start_of_its_day(short_io: Start) -> None:
    rows = [click(f"2026-02-{text}.000Z") for text in ("10T23:59:59", "10T00:00:00", "09T23:59:59")]
    caller = short_io(given(*rows))
    assert caller.clicks(1, period="custom", endDate="2026-02-10") == rows[1:]
    assert caller.clicks(1, period="custom", startDate="2026-02-10") == rows[:2]


@pytest.mark.parametrize("name", ["startDate", "endDate", "beforeDate", "afterDate"])
@pytest.mark.parametrize("text", ["2026-02-10T00:00:00", "yesterday", "", 5, "20260210"])
def test_a_time_without_a_zone_is_refused(short_io: Start, name: str, text: Any) -> None:
    answer = short_io().post("/statistics/domain/1/last_clicks", period="custom", **{name: text})
    assert answer.status_code == 400
    assert answer.json()["message"] == f'body/{name} must match format "date-time"'
    assert answer.json()["code"] == "FST_ERR_VALIDATION"


def test_in_a_time_zone_the_digits_count_and_their_offset_does_not(short_io: Start) -> None:
    caller = short_io(given(*HOURS))
    dates = {"startDate": "2026-02-10T10:00:00Z", "endDate": "2026-02-10T11:00:00-07:00"}
    tokyo = caller.clicks(1, period="custom", tz="Asia/Tokyo", **dates)
    assert times(tokyo) == ["2026-02-10T11:00:00.000+09:00", "2026-02-10T10:00:00.000+09:00"]
    assert [*map(moment, tokyo)] == [*map(moment, HOURS[3:5])]
    assert caller.clicks(1, period="custom", tz="UTC", **dates) == []


def test_in_utc_an_offset_counts(short_io: Start) -> None:
    end = "2026-02-10T03:00:00+02:00"
    assert short_io(given(*HOURS)).clicks(1, period="custom", endDate=end) == HOURS[4:]


def test_times_follow_the_zones_summer_time_and_the_days_of_a_period_too(short_io: Start) -> None:
    rows = given(click("2026-03-15T03:30:00.000Z"), click("2026-07-01T00:00:00.000Z"))
    caller = short_io(rows, clock=lambda: NOW)
    zoned = caller.clicks(1, period="total", tz="America/New_York")
    assert times(zoned) == ["2026-06-30T20:00:00.000-04:00", "2026-03-14T23:30:00.000-04:00"]
    assert caller.clicks(1, period="today", tz="America/New_York") == []


@pytest.mark.parametrize("tz", ["Mars/Base", "", 5, "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(short_io: Start, tz: Any) -> None:
    answer = short_io().post("/statistics/domain/1/last_clicks", tz=tz)
    assert (answer.status_code, answer.json()["message"]) == (400, "body/tz must be a time zone")


def test_rows_can_be_in_a_zone_that_nobody_asked_for(serving: Serving) -> None:
    sandbox = world_of(dt_zone="Asia/Kolkata")
    rows = serving(sandbox).clicks(1, **ALL)
    assert {row["dt"][-6:] for row in rows} == {"+05:30"}
    assert rows == served_clicks(sandbox, 1)[:100]
    assert [*map(moment, rows)] == [*map(moment, served_clicks(world_of(), 1)[:100])]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"limit": 0}, "body/limit must be >= 1"),
        ({"limit": "10"}, "body/limit must be integer"),
        ({"limit": True}, "body/limit must be integer"),
        ({"period": "decade"}, "body/period must be equal to one of the allowed values: today"),
        ({"include": []}, "body/include must be object"),
        ({"exclude": {"paths": "/"}}, "body/exclude/paths must be array"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    short_io: Start, body: dict[str, Any], message: str
) -> None:
    answer = short_io().post("/statistics/domain/1/last_clicks", **body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize("data", [None, "{", "[1]", b"\xff"])
def test_a_body_must_be_an_object(short_io: Start, data: Any) -> None:
    caller = short_io()
    url = f"{caller.url}/statistics/domain/1/last_clicks"
    answer = caller.session.post(url, data=data, timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (400, "body must be object")


# Filters


@pytest.mark.parametrize(
    ("name", "values", "field", "expected"),
    [
        ("human", False, "human", [False]),
        ("statuses", [404], "st", [404]),
        ("paths", ["/", "/*"], "path", ["/", "/*"]),
        ("countries", ["IN", "KE"], "country", ["India", "Kenya"]),
        ("browsers", ["Firefox"], "browser", ["Firefox"]),
        ("methods", ["HEAD"], "method", ["HEAD"]),
    ],
)
def test_clicks_can_be_included_and_excluded(
    serving: Serving, name: str, values: Any, field: str, expected: list[Any]
) -> None:
    sandbox = world_of()
    caller, everything = serving(sandbox), served_clicks(sandbox, 1)
    matching = [row for row in everything if row[field] in expected]
    others = [row for row in everything if row[field] not in expected]
    assert matching
    assert caller.clicks(1, **ALL, limit=400, include={name: values}) == matching
    assert caller.clicks(1, **ALL, limit=400, exclude={name: values}) == others
    assert caller.clicks(1, **ALL, limit=3, include={name: values}) == matching[:3]


def test_filters_hold_together_and_unknown_ones_are_ignored(serving: Serving) -> None:
    sandbox = world_of()
    people = {"human": True, "statuses": [404], "moods": ["good"]}
    found = serving(sandbox).clicks(1, **ALL, limit=400, include=people)
    assert found == [r for r in served_clicks(sandbox, 1) if r["human"] and r["st"] == 404]


# The cache, and clicks that are not there yet


def test_an_identical_request_is_answered_from_the_cache(serving: Serving) -> None:
    sandbox = Sandbox(clicks={1: [HOURS[5]]}, api="short_io")
    caller = serving(sandbox)
    assert caller.clicks(1, **ALL) == [HOURS[5]]
    assert sandbox.clicks
    sandbox.clicks[1].append(HOURS[0])
    assert caller.clicks(1, **ALL) == [HOURS[5]]
    assert caller.clicks(1, **ALL, limit=99) == [HOURS[0], HOURS[5]]


def test_the_cache_forgets_with_time(short_io: Start) -> None:
    rows = given(HOURS[5])
    caller = short_io(rows, cache_seconds=0.05)
    caller.clicks(1, **ALL)
    rows["clicks"][1].append(HOURS[0])
    while len(found := caller.clicks(1, **ALL)) == 1:
        pass
    assert found == [HOURS[0], HOURS[5]]


def test_an_error_is_not_kept_in_the_cache(serving: Serving) -> None:
    sandbox = world_of(gated=frozenset({1}))
    caller = serving(sandbox)
    assert caller.post("/statistics/domain/1/last_clicks", **ALL).status_code == 402
    sandbox.switches = ShortIoSwitches()
    assert len(caller.clicks(1, **ALL)) == 100


def test_withheld_clicks_are_missing_until_they_are_released(serving: Serving) -> None:
    withheld = {1: {399, 390, 0}}
    sandbox = world_of(withheld=withheld, cache_seconds=0)
    caller, complete = serving(sandbox), served_clicks(world_of(), 1)
    missing = caller.clicks(1, **ALL, limit=400)
    assert missing == [row for n, row in enumerate(complete[::-1]) if n not in withheld[1]][::-1]
    assert served_clicks(sandbox, 1) == missing
    assert len(caller.clicks(2, **ALL, limit=400)) == 400
    withheld[1].clear()
    assert caller.clicks(1, **ALL, limit=400) == complete


def test_young_clicks_are_not_indexed_yet(short_io: Start) -> None:
    now = [datetime(2026, 2, 10, 4, 30, tzinfo=UTC)]
    caller = short_io(given(*HOURS), indexing_seconds=3600, clock=lambda: now[0], cache_seconds=0)
    assert caller.clicks(1, **ALL) == HOURS[2:]
    now[0] += timedelta(minutes=30)
    assert caller.clicks(1, **ALL) == HOURS[1:]


# The rows


def test_rows_have_what_the_service_sends() -> None:
    rows = served_clicks(world_of(), 1)
    old, new = rows[-1].keys(), rows[0].keys()
    assert new - old == {"geoname_id", "utm_term", "utm_content", "ja4"}
    assert not old - new
    assert all(row["dt"].endswith("Z") for row in rows)
    assert {name for row in rows for name, value in row.items() if value is None} == {"ab_path"}
    assert {row["country"] for row in rows} > {"India", ""}
    assert {type(row["goal_completed"]) for row in rows} == {bool}


@pytest.mark.parametrize(("kind", "goals"), [("null", {None}), ("absent", {"absent"})])
def test_goals_are_null_or_absent_by_the_switch(kind: str, goals: set[Any]) -> None:
    rows = served_clicks(world_of(goal_completed=kind), 1)
    assert {row.get("goal_completed", "absent") for row in rows} == goals


def test_some_milliseconds_have_several_clicks_and_some_clicks_are_alike_in_every_field() -> None:
    rows = served_clicks(world_of(), 1)
    assert Counter(Counter(times(rows)).values())[5] >= 15
    assert Counter(Counter(map(repr, rows)).values())[3] == 20


def test_clicks_are_on_the_root_the_wildcard_what_is_not_there_and_links() -> None:
    sandbox = world_of()
    rows, paths = served_clicks(sandbox, 1), {link["path"] for link in served_links(sandbox, 1)}
    statuses = {row["path"]: row["st"] for row in rows}
    assert (statuses["/"], statuses["/*"], statuses["/robots.txt"]) == (302, 404, 404)
    found = {row["path"] for row in rows if row["st"] != 404} - {"/"}
    assert {path[1:].lower() for path in found} == {path.lower() for path in paths}
    assert all(row["lcpath"] == row["path"].lower() for row in rows)


def test_paths_are_as_visitors_typed_them_where_case_does_not_count() -> None:
    typed = []
    for domain in (1, 2):
        links = {f"/{link['path']}" for link in served_links(world_of(), domain)}
        rows = served_clicks(world_of(), domain)
        typed.append({r["path"] for r in rows if r["st"] != 404} - links - {"/"})
    assert typed[0]
    assert not typed[1]


def test_a_click_leads_to_the_target_of_its_link() -> None:
    sandbox = world_of(link_fields_missing=frozenset({"originalURL"}))
    for domain in (1, 2, 3):
        links = {f"/{x['path']}": x["originalURL"] for x in served_links(world_of(), domain)}
        rows = [r for r in served_clicks(sandbox, domain) if r["path"] in links]
        assert len(rows) > 300
        assert all(row["url"] == links[row["path"]] for row in rows)


@pytest.mark.parametrize(
    ("hosts", "host"), [("punycode", "xn--g3-fka.example.com"), ("unicode", "gö3.example.com")]
)
def test_international_hosts_are_written_as_the_switch_says(hosts: str, host: str) -> None:
    assert {row["host"] for row in served_clicks(world_of(hosts=hosts), 3)} == {host}


def test_paths_can_be_percent_encoded() -> None:
    plain, encoded = (served_clicks(world_of(encoded_paths=x), 1) for x in (False, True))
    assert [unquote(row["path"]) for row in encoded] == [row["path"] for row in plain]
    paths = {row["path"] for row in encoded}
    assert {"/two%20words-4", "/%C3%84pfel-2", "/50%25-off-6", "/a%2520b-10", "/*"} <= paths
    assert all(row["lcpath"] == row["path"].lower() for row in encoded)


# The world grows


@pytest.mark.parametrize("domain", [1, 2, 3, 4])
def test_a_grown_world_has_newer_clicks_in_front_of_the_same_ones(domain: int) -> None:
    for clicks in (7, 60, 71, 73, 75):
        small = World(clicks_per_domain=clicks)
        before = served_clicks(world_of(small), domain)
        after = served_clicks(world_of(small.grown(30)), domain)
        assert after[30:] == before
        assert min(map(moment, after[:30])) > small.end
        assert [*map(moment, after)] == sorted(map(moment, after), reverse=True)


def test_an_answer_has_the_clicks_of_the_moment(serving: Serving) -> None:
    sandbox = world_of(World(clicks_per_domain=60))
    caller = serving(sandbox)
    assert len(caller.clicks(1, **ALL)) == 60
    assert sandbox.world
    sandbox.world = sandbox.world.grown(5)
    assert len(caller.clicks(1, **ALL, limit=99)) == 65


def test_a_page_of_a_million_clicks_makes_no_other_clicks(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    click_of = World.click

    def counted(world: World, domain: int, number: int) -> dict[str, Any]:
        made.append(number)
        return click_of(world, domain, number)

    monkeypatch.setattr(World, "click", counted)
    caller = serving(world_of(World(clicks_per_domain=1_000_000)))
    rows = caller.clicks(1, **ALL, limit=50, beforeDate="2026-02-10T00:00:00Z")
    assert len(rows) == len(made) == 50


# Given rows


def test_given_clicks_are_served_newest_first_whatever_their_order(short_io: Start) -> None:
    rows = [HOURS[3], HOURS[0], {**HOURS[3], "path": "/b"}, HOURS[5]]
    expected = [HOURS[0], HOURS[3], rows[2], HOURS[5]]
    assert short_io(given(*rows)).clicks(1, **ALL) == expected


def test_a_row_that_does_not_say_when_is_at_the_time_of_the_one_before_it(short_io: Start) -> None:
    odd = [HOURS[0], None, {"dt": "?"}, HOURS[1], "text", HOURS[2]]
    caller = short_io(given(*odd))
    assert caller.clicks(1, **ALL) == odd
    assert caller.clicks(1, **ALL, beforeDate=TIMES[0]) == odd[3:]
    assert caller.clicks(1, period="total", tz="Asia/Tokyo")[1:3] == odd[1:3]
