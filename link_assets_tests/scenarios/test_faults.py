"""Tables of what can go wrong, and what the warehouse and the user get from each of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from link_assets.contract import CLICKS, LINKS, DataType, Table
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, RequestRecord, Sandbox, World, serve
from link_assets.warehouse.reader import reading
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.truth import (
    expected_clicks,
    expected_world,
    loaded_clicks,
)

# Answers: each fault hits page 2 of 3 of a domain of its own, all of them in the same run

WORLD = World(domains=40, clicks_per_domain=6, links_per_domain=1)


@dataclass(frozen=True)
class Trouble:
    """A fault in a domain's listing, how often its page is asked for, and what the run says."""

    name: str
    fault: Fault
    asked: int
    told: str = ""


def page_2(**how: Any) -> Fault:
    return Fault(page=2, **how)


def always(**how: Any) -> Fault:
    return Fault(page=2, times=None, **how)


def same_token() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Has every page lead to where the first one leads."""
    first: list[str] = []

    def lead(page: dict[str, Any]) -> dict[str, Any]:
        first.append(page["nextPageToken"])
        return {**page, "nextPageToken": first[0]}

    return lead


# what stands first is the one of domain 1
AS_TEXT = Fault(
    page=3, content_type="text/plain", raw=json.dumps({"data": WORLD.clicks(1, 4, 6)}).encode()
)
PASSING = [
    Trouble("the content type of JSON is wrong", AS_TEXT, 1),
    Trouble("429 once", page_2(status=429), 2),
    Trouble("500 once", page_2(status=500), 2),
    Trouble("502 once", page_2(status=502), 2),
    Trouble("503 once", page_2(status=503), 2),
    Trouble("504 once", page_2(status=504), 2),
    Trouble("503 three times", page_2(status=503, times=3), 4),
    Trouble("reset", page_2(connection="reset"), 2),
    Trouble("reset amid the body", page_2(connection="reset_mid_body"), 2),
    Trouble("body cut short", page_2(connection="short_body"), 2),
    Trouble("stall", page_2(connection="stall", seconds=20), 2),
    Trouble("gzip", page_2(gzip=True), 1),
    Trouble("gzip broken once", page_2(gzip="broken"), 2),
]
NO_JSON = ", page 2: the answer is not JSON (content type "
NO_LIST = ", page 2: the answer has no list under 'data' (found: "
NO_WHOLE = ": the API gave no whole answer ("
LASTING = [
    Trouble("429", page_2(status=429, times=4), 4, ", page 2: the API answered 429 Too Many"),
    Trouble("500", page_2(status=500, times=4), 4, ", page 2: the API answered 500 Internal"),
    Trouble("502", page_2(status=502, times=4), 4, ", page 2: the API answered 502 Bad Gateway"),
    Trouble("503", page_2(status=503, times=4), 4, ", page 2: the API answered 503 Service Un"),
    Trouble("504", page_2(status=504, times=4), 4, ", page 2: the API answered 504 Gateway Ti"),
    Trouble("401", page_2(status=401), 1, ", page 2: the API answered 401 Unauthorized (the"),
    Trouble("403", page_2(status=403), 1, ", page 2: the API answered 403 Forbidden (the API"),
    Trouble("reset", always(connection="reset"), 4, f"{NO_WHOLE}ConnectionError)"),
    Trouble("reset amid", always(connection="reset_mid_body"), 4, NO_WHOLE),
    Trouble("cut short", always(connection="short_body"), 4, NO_WHOLE),
    Trouble("stall", always(connection="stall", seconds=20), 4, NO_WHOLE),
    Trouble("gzip", always(gzip="broken"), 4, f"{NO_WHOLE}ContentDecodingError)"),
    Trouble("HTML", page_2(raw=b"<p>", content_type="text/html"), 1, f"{NO_JSON}text/html, 3 "),
    Trouble("HTML as JSON", page_2(raw=b"<p>"), 1, f"{NO_JSON}application/json, 3 bytes)"),
    Trouble("cut JSON", page_2(raw=b'{"data": [{}'), 1, f"{NO_JSON}application/json, 12 bytes)"),
    Trouble("nothing", page_2(raw=b""), 1, f"{NO_JSON}application/json, 0 bytes)"),
    Trouble("no object", page_2(raw=b"[]"), 1, ", page 2: the answer is JSON but not an object"),
    Trouble("no key", page_2(raw=b'{"links": []}'), 1, f"{NO_LIST}no such key)"),
    Trouble("null", page_2(raw=b'{"data": null}'), 1, f"{NO_LIST}null)"),
    Trouble("text", page_2(raw=b'{"data": "[]"}'), 1, f"{NO_LIST}text)"),
    Trouble("an object", page_2(raw=b'{"data": {}}'), 1, f"{NO_LIST}an object)"),
    Trouble(
        "a token again",
        Fault(times=None, replace=same_token()),
        1,
        ", page 2: its nextPageToken came a second time",
    ),
    Trouble(
        "a token that is a list",
        page_2(raw=b'{"data": [], "nextPageToken": []}'),
        1,
        ", page 2: its nextPageToken is neither text nor null (found: a list)",
    ),
]
TROUBLES = dict(enumerate([*PASSING, *LASTING], start=1))
"""By domain. The domains after the last one have no trouble."""
FAILING = list(TROUBLES)[len(PASSING) :]
LAST = len(TROUBLES) + 2


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(world=WORLD, page_size=2)


def faults() -> list[Fault]:
    """The faults, unused, each in its domain."""
    return [replace(t.fault, path=f"/v1/domain/{domain}") for domain, t in TROUBLES.items()]


def asked(sandbox: Sandbox, domain: int, page: int | None) -> int:
    path = f"/v1/domain/{domain}/link_clicks"
    return sum(record.path == path and record.page == page for record in sandbox.requests)


def bounded(sandbox: Sandbox) -> None:
    """Ends a run that reads without end."""
    assert len(sandbox.requests) < 500


def reasons(told: str) -> dict[int, str]:
    """What a failed run says about each domain."""
    lines = (re.fullmatch(r"clicks of domain (\d+)(.*)", line) for line in told.splitlines())
    return {int(line[1]): line[2] for line in lines if line}


@pytest.mark.long
def test_each_fault_costs_only_its_own_domain_until_it_is_gone(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__TIMEOUT_SECONDS", "2")
    location.instance.add_dynamic_partitions("domain", [str(d) for d in range(1, LAST + 1)])
    sandbox.faults = faults()
    sandbox.on_request = lambda _: bounded(sandbox)
    result = location.clicks("1", str(LAST))
    whole = [domain for domain in range(1, LAST + 1) if domain not in FAILING]
    assert loaded_clicks() == expected_world(WORLD, *whole)
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == set(map(str, whole))
    often = {t.name: asked(sandbox, domain, t.fault.page or 2) for domain, t in TROUBLES.items()}
    assert often == {t.name: t.asked for t in TROUBLES.values()}
    assert not result.success
    told = failure_text(result)
    assert told.startswith(f"{len(FAILING)} of {LAST} domains failed; the others are loaded.\n")
    found = reasons(told)
    assert sorted(found) == FAILING
    assert [found[d] for d in FAILING if not found[d].startswith(TROUBLES[d].told)] == []
    sandbox.faults.clear()
    assert location.clicks(str(FAILING[0]), str(FAILING[-1])).success
    assert loaded_clicks() == expected_world(WORLD, *range(1, LAST + 1))


# Pages: `a1 b2 | c3` are two pages, the clicks a and b and then c, at minutes 1, 2 and 3

PAGES = [
    ("one row", "a1", "a1"),
    ("no row", "", ""),
    ("one row a page", "a1 | b2 | c3", "a1 b2 c3"),
    ("an empty page in the middle", "a1 b2 | | c3", "a1 b2 c3"),
    ("empty pages at the ends", "| a1 b2 |", "a1 b2"),
    ("a row again on the next page", "a1 b2 | b2 c3", "a1 b2 c3"),
    ("a page again", "a1 b2 | a1 b2 | c3", "a1 b2 c3"),
    ("a row again two pages on", "a1 b2 | c3 | a1", "a1 b2 c3"),
    ("two alike on one page", "a1 a1 b2", "a1 a1 b2"),
    ("two alike, and that page again", "a1 a1 | a1 a1", "a1 a1"),
    ("one time on a page", "a1 b1 c1 | d2", "a1 b1 c1 d2"),
    ("one time across a boundary", "a1 b2 | c2 d3", "a1 b2 c2 d3"),
    ("one time throughout", "a1 b1 | c1 d1 | e1", "a1 b1 c1 d1 e1"),
    ("oldest first", "a1 b2 | c3", "a1 b2 c3"),
    ("newest first", "c3 b2 | a1", "a1 b2 c3"),
    ("no order", "b2 | c3 a1", "a1 b2 c3"),
]


def spelled(clicks: str) -> list[dict[str, Any]]:
    return [
        {"path": f"/{name[0]}", "dt": f"2026-02-01T12:{name[1:]:0>2}:00Z"}
        for name in clicks.split()
    ]


def serve_pages(sandbox: Sandbox, domain: int, pages: Sequence[list[Any]]) -> None:
    """Has the domain's listing come in exactly these pages."""
    sandbox.page_size = 1
    sandbox.clicks = {**(sandbox.clicks or {}), domain: [None] * len(pages)}
    for number, page in enumerate(pages, start=1):
        path, held = f"/v1/domain/{domain}", {"data": page}
        sandbox.faults.append(
            Fault(path, number, times=None, replace=lambda answer, held=held: {**answer, **held})
        )


def test_clicks_arrive_once_however_they_are_spread_over_pages(api: str, sandbox: Sandbox) -> None:
    for domain, (_, pages, _) in enumerate(PAGES, start=1):
        serve_pages(sandbox, domain, [spelled(page) for page in pages.split("|")])
        load_clicks(domain)
    clicks = [spelled(stored) for _, _, stored in PAGES]
    found: dict[int, list[str]] = {domain: [] for domain in range(1, len(PAGES) + 1)}
    query = "SELECT domain_id, path[2:] || minute(dt) FROM {dataset}.clicks ORDER BY 1, 2"
    for domain, click in rows(query):
        found[domain].append(click)
    names = [name for name, _, _ in PAGES]
    assert {n: " ".join(f) for n, f in zip(names, found.values(), strict=True)} == {
        name: stored for name, _, stored in PAGES
    }
    assert loaded_clicks() == expected_clicks(dict(enumerate(clicks, start=1)))
    assert rows("SELECT count(*) FROM {dataset}.rejected_rows") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize("shifting", [True, False], ids=["pages shift", "pages stay"])
def test_clicks_added_while_paging_cost_none_and_come_with_the_next_load(
    api: str, sandbox: Sandbox, shifting: bool
) -> None:
    worlds = [WORLD.grown(new) for new in range(20)]

    def serve_world(world: World) -> None:
        sandbox.world = world
        sandbox.clicks = {1: world.clicks(1, 0, 99)} if shifting else None

    def one_more(_: RequestRecord) -> None:
        serve_world(worlds[len(sandbox.requests) - 1])

    sandbox.on_request = one_more
    load_clicks(1)
    assert loaded_clicks() == expected_world(WORLD, 1)
    assert len(sandbox.requests) > 2
    now = worlds[len(sandbox.requests) - 1]
    sandbox.on_request = None
    load_clicks(1)
    assert loaded_clicks() == expected_world(now, 1)


REVISIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"goal_completed": None}, {"goal_completed": "sale"}),
    ({"goal_completed": "sale"}, {"goal_completed": "refund"}),
    ({"goal_completed": "sale"}, {"goal_completed": None}),
    ({"human": True}, {"human": False}),
    ({"human": None}, {"human": True}),
    ({"human": False}, {}),
    ({}, {"human": True, "goal_completed": "sale"}),
    ({"browser": "A", "os": "B"}, {"browser": "C", "os": None, "country": "NZ", "city": "D"}),
]


def test_a_click_revised_later_is_the_same_click_with_its_new_values(
    api: str, sandbox: Sandbox
) -> None:
    click = {"dt": "2026-02-01T12:00:00Z", "ip": "192.0.2.1"}
    before = [{**click, "path": f"/{i}", **old} for i, (old, _) in enumerate(REVISIONS)]
    after = [{**click, "path": f"/{i}", **new} for i, (_, new) in enumerate(REVISIONS)]
    keys = "SELECT path, click_id FROM {dataset}.clicks ORDER BY path"
    sandbox.clicks = {1: before}
    load_clicks(1)
    known = rows(keys)
    sandbox.clicks = {1: after}
    load_clicks(1)
    assert loaded_clicks() == expected_clicks({1: after})
    assert rows(keys) == known


# Rows: all of a table in one listing, loaded once


@dataclass(frozen=True)
class Refused:
    """The row is in `rejected_rows`, with this reason."""

    reason: str


@dataclass(frozen=True)
class Case:
    """A row, and what its column holds afterwards or why it is refused."""

    name: str
    row: Any
    column: str
    expected: Any


MISSING = object()
MEGABYTE = "\u00fc" * 2**19
ODD = "\U0001f600 \u05e9\u05dc\u05d5\u05dd \u202e\u0627 e\u0301 \u0001 '\"; DROP TABLE clicks; --"
NUL = "is text with a NUL character, which not every warehouse can hold"
HALF = "half \ud83d a pair"
NAN, INF = float("nan"), float("inf")

# the value of a field of this type, and what its column holds; times as UTC text
READ: list[tuple[DataType, Any, Any]] = [
    ("text", None, None),
    ("text", MISSING, None),
    ("text", "", ""),
    ("text", " ", " "),
    ("text", ODD, ODD),
    ("text", MEGABYTE, MEGABYTE),
    ("text", 302, "302"),
    ("text", 2**70, str(2**70)),
    ("text", -0.1, "-0.1"),
    ("text", NAN, "NaN"),
    ("text", -INF, "-Infinity"),
    ("text", True, "true"),
    *[(kind, empty, None) for kind in ("text", "bigint", "bool") for empty in ([], {})],
    ("bigint", None, None),
    ("bigint", MISSING, None),
    ("bigint", "", None),
    ("bigint", 0, 0),
    ("bigint", 2**63 - 1, 2**63 - 1),
    ("bigint", -(2**63), -(2**63)),
    ("bigint", "9223372036854775807", 2**63 - 1),
    ("bigint", " 302 ", 302),
    ("bigint", 302.0, 302),
    ("bool", None, None),
    ("bool", MISSING, None),
    ("bool", " ", None),
    ("bool", False, False),
    ("bool", "True", True),
    ("bool", "0", False),
    ("bool", 1, True),
    ("timestamp", "2026-02-01T12:00:00.123Z", "2026-02-01 12:00:00.123"),
    ("timestamp", "2026-02-01T12:00:00+05:30", "2026-02-01 06:30:00"),
    ("timestamp", "2026-02-01T12:00:00-0800", "2026-02-01 20:00:00"),
    ("timestamp", "2026-02-01 12:00:00.5", "2026-02-01 12:00:00.5"),
    ("timestamp", "2026-02-01", "2026-02-01 00:00:00"),
    ("timestamp", "20260201T120000Z", "2026-02-01 12:00:00"),
    ("timestamp", "2026-02-01T12:00:00.123456789Z", "2026-02-01 12:00:00.123456"),
    ("timestamp", "2024-02-29T12:00:00Z", "2024-02-29 12:00:00"),
    ("timestamp", "1969-12-31T23:59:59.9999999Z", "1969-12-31 23:59:59.999999"),
    ("timestamp", "1583-01-01T00:00:00Z", "1583-01-01 00:00:00"),
    ("timestamp", "0001-01-01T00:00:00Z", "0001-01-01 00:00:00"),
    ("timestamp", "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
    ("timestamp", "9999-12-31T23:59:59+00:01", "9999-12-31 23:58:59"),
]
CALENDAR = "is a date and time outside the calendar"
# the value of a field of this type, and why the row is refused
REFUSED: list[tuple[DataType, Any, str]] = [
    ("text", {"a": 1}, "is an object, not text"),
    ("text", "nul\x00", NUL),
    ("text", ["a"], "is a list, not text"),
    ("text", HALF, "is text with half a surrogate pair, not valid Unicode"),
    ("bigint", "many", "is text, not a whole number"),
    ("bigint", MEGABYTE, "is text, not a whole number"),
    ("bigint", 1.5, "is a floating-point number, not a whole number"),
    ("bigint", 1e300, "is a floating-point number, not a whole number"),
    ("bigint", NAN, "is a floating-point number, not a whole number"),
    ("bigint", INF, "is a floating-point number, not a whole number"),
    ("bigint", 2**63, "is a whole number beyond 64 bits"),
    ("bigint", -(2**63) - 1, "is a whole number beyond 64 bits"),
    ("bigint", 2**64, "is a whole number beyond 64 bits"),
    ("bigint", str(2**63), "is a whole number beyond 64 bits"),
    ("bigint", True, "is true or false, not a whole number"),
    ("bigint", {"a": 1}, "is an object, not a whole number"),
    ("bigint", [302], "is a list, not a whole number"),
    ("bool", "perhaps", "is text, not true or false"),
    ("bool", HALF, "is text, not true or false"),
    ("bool", 2, "is a whole number, not true or false"),
    ("bool", 1.0, "is a floating-point number, not true or false"),
    ("bool", {"a": 1}, "is an object, not true or false"),
    ("bool", [None], "is a list, not true or false"),
    ("timestamp", "yesterday", "is text, not an ISO 8601 date and time"),
    ("timestamp", "2026-02", "is text, not an ISO 8601 date and time"),
    ("timestamp", "01/02/2026", "is text, not an ISO 8601 date and time"),
    ("timestamp", "12026-02-01T12:00:00Z", "is text, not an ISO 8601 date and time"),
    ("timestamp", HALF, "is text, not an ISO 8601 date and time"),
    ("timestamp", "2026-02-29T12:00:00Z", CALENDAR),
    ("timestamp", "2026-02-01T25:00:00Z", CALENDAR),
    ("timestamp", "0000-12-31T23:59:59Z", CALENDAR),
    ("timestamp", "0001-01-01T00:00:00+00:01", CALENDAR),
    ("timestamp", "9999-12-31T23:59:59-00:01", CALENDAR),
    ("timestamp", 1769947200, "is a whole number, not an ISO 8601 date and time"),
    ("timestamp", 1769947200.5, "is a floating-point number, not an ISO 8601 date and time"),
    ("timestamp", "1769947200000", "is text, not an ISO 8601 date and time"),
    ("timestamp", False, "is true or false, not an ISO 8601 date and time"),
    ("timestamp", {"a": 1}, "is an object, not an ISO 8601 date and time"),
    ("timestamp", [""], "is a list, not an ISO 8601 date and time"),
]
# the value of a field that the guide does not know, and what its column holds
UNKNOWN: list[tuple[Any, Any]] = [
    (None, None),
    ("", ""),
    (ODD, ODD),
    (MEGABYTE, MEGABYTE),
    (0, "0"),
    (2**63, str(2**63)),
    (-(10**30), str(-(10**30))),
    (0.1, "0.1"),
    (1e300, "1e+300"),
    (NAN, "NaN"),
    (INF, "Infinity"),
    (False, "false"),
    ([], "[]"),
    ([1, "a", None, [2**70]], f'[1,"a",null,[{2**70}]]'),
    ({}, "{}"),
    ({"b": {"a": [{}]}, "a": None}, '{"a":null,"b":{"a":[{}]}}'),
    ({"id": 1, "_dlt_id": "x"}, '{"_dlt_id":"x","id":1}'),
    ([HALF], '["half \\ud83d a pair"]'),
    ({"a\x00": "\x00"}, '{"a\\u0000":"\\u0000"}'),
    ("\x00", Refused(f"extra: {NUL}")),
    (HALF, Refused("extra: is text with half a surrogate pair, not valid Unicode")),
]
NOT_ROWS: list[Any] = [None, True, 7, 1.5, "row", [], ["row"], [{"id": "a", "dt": "2026-02-01"}]]

CLICK = {"host": "go.example", "dt": "2026-02-01T12:00:00Z"}
# changes to a click, a column, and what it holds or why the row is refused
CLICK_ROWS: list[tuple[dict[str, Any], str, Any]] = [
    ({"dt": None}, "", Refused("dt: is missing")),
    ({"dt": MISSING}, "", Refused("dt: is missing")),
    ({"dt": ""}, "", Refused("dt: is missing")),
    ({"dt": " \t"}, "", Refused("dt: is missing")),
    ({"dt": []}, "", Refused("dt: is missing")),
    ({"dt": {}}, "", Refused("dt: is missing")),
    ({"dt": None, "st": [1]}, "", Refused("dt: is missing; st: is a list, not a whole number")),
    ({"human": 3, "ua": [1]}, "", Refused("ua: is a list, not text; human: is a whole number, ")),
    ({"host": None}, "host", None),
    ({"ip": MEGABYTE, "ua": ODD}, "ip", MEGABYTE),
    ({"id": "of the API"}, "id", "of the API"),
    ({"ua": "\uf026"}, "ua", "\uf026"),
    ({"\ud800": HALF}, "", Refused("\\ud800: is text with half a surrogate pair, not valid Uni")),
]
LINK = {"originalURL": "https://x.example"}
NO_ID = Refused("id: is missing, and so is idString")
LINK_ROWS: list[tuple[dict[str, Any], str, Any]] = [
    ({"id": None}, "", NO_ID),
    ({"id": MISSING}, "", NO_ID),
    ({"id": "", "idString": ""}, "", NO_ID),
    ({"id": {}}, "", NO_ID),
    ({"id": {"a": 1}}, "", Refused("id: is an object, not text")),
    ({"id": [], "idString": "spare 4"}, "id", "spare 4"),
    ({"createdAt": []}, "created_at", None),
    ({"id": "\x00"}, "", Refused(f"id: {NUL}")),
    ({"tags": ["a\x00"]}, "", Refused(f"tags: {NUL}")),
    ({"User": {"name": "\x00"}}, "", Refused(f"User.name: {NUL}")),
    ({"tags": ""}, "tags", []),
    ({"tags": {}}, "tags", []),
    ({"tags": "  "}, "tags", []),
    ({"Owner": ""}, "owner__id", None),
    ({"Owner": []}, "owner__id", None),
    ({"User": " "}, "user__id", None),
    ({"User": []}, "user__id", None),
    ({"id": ["a"], "idString": "spare"}, "", Refused("id: is a list, not text")),
    ({"id": HALF}, "", Refused("id: is text with half a surrogate pair, not valid Unicode")),
    ({"id": None, "idString": "spare 1"}, "id", "spare 1"),
    ({"id": MISSING, "idString": "spare 2"}, "id", "spare 2"),
    ({"id": "", "idString": "spare 3"}, "id", "spare 3"),
    ({"id": 7}, "id", "7"),
    ({"id": 2**70}, "id", str(2**70)),
    ({"id": "7.0"}, "id", "7.0"),
    ({"id": ODD}, "id", ODD),
    ({"id": MEGABYTE}, "id", MEGABYTE),
    ({"createdAt": None}, "created_at", None),
    ({"createdAt": ""}, "created_at", None),
    ({"tags": None}, "tags", []),
    ({"tags": ["b", "a", "b", "", None, [], {}, ODD, MEGABYTE, 1, 2**70, 1.5, True]}, "tags", None),
    ({"tags": "one"}, "", Refused("tags: is text, not a list")),
    ({"tags": {"a": 1}}, "", Refused("tags: is an object, not a list")),
    ({"tags": [["a"]]}, "", Refused("tags: is a list, not text")),
    ({"tags": ["a", HALF]}, "", Refused("tags: is text with half a surrogate pair, not valid ")),
    ({"Owner": None}, "owner__id", None),
    ({"Owner": {}}, "owner__id", None),
    ({"Owner": {"id": "7", "name": 7}}, "owner__id", 7),
    ({"Owner": {"team": {"id": [1]}}}, "owner__team", '{"id":[1]}'),
    ({"User": {"email": ODD}}, "user__email", ODD),
    ({"utmTerm": "\uf0272026-02-01"}, "", Refused("utmTerm: is text that dlt reserves for typed")),
    ({"extra": "\uf0261.5"}, "", Refused("extra: is text that dlt reserves for typed values")),
    ({"Owner": "me"}, "", Refused("Owner: is text, not an object")),
    ({"User": [{"id": 7}]}, "", Refused("User: is a list, not an object")),
    ({"Owner": {"id": 2**63}}, "", Refused("Owner.id: is a whole number beyond 64 bits")),
    ({"Owner": {"name": {"a": 1}}}, "", Refused("Owner.name: is an object, not text")),
    ({"Owner": {"name": {}}}, "owner__name", None),
    ({"User": {"x": HALF}}, "", Refused("User.x: is text with half a surrogate pair, not valid ")),
]
TAGS = ["b", "a", "b", "", ODD, MEGABYTE, "1", str(2**70), "1.5", "true"]

TYPED: dict[str, dict[DataType, tuple[str, str]]] = {
    "clicks": {
        "text": ("ua", "ua"),
        "bigint": ("st", "st"),
        "bool": ("human", "human"),
        "timestamp": ("dt", "dt"),
    },
    "links": {
        "text": ("utmTerm", "utm_term"),
        "bigint": ("OwnerId", "owner_id"),
        "bool": ("archived", "archived"),
        "timestamp": ("createdAt", "created_at"),
    },
}
"""A documented field of each type, and its column."""
MARKER = {"clicks": "path", "links": "title"}
"""The field whose text tells the rows of a listing apart."""


@cache
def cases(table: str) -> list[Case]:
    """Every row of a table's listing."""
    base, special = (CLICK, CLICK_ROWS) if table == "clicks" else (LINK, LINK_ROWS)
    fields = TYPED[table]
    changes = [
        *(({fields[kind][0]: value}, fields[kind][1], held) for kind, value, held in READ),
        *(
            ({fields[kind][0]: value}, "", Refused(f"{fields[kind][0]}: {why}"))
            for kind, value, why in REFUSED
        ),
        *(({"extra": value}, "extra", held) for value, held in UNKNOWN),
        *special,
    ]
    made = [_case(table, base, number, *change) for number, change in enumerate(changes)]
    return [*made, *(Case(repr(r), r, "", Refused("is not an object")) for r in NOT_ROWS)]


def _case(
    table: str, base: dict[str, Any], number: int, change: dict[str, Any], column: str, held: Any
) -> Case:
    name = f"{number} {', '.join(f'{k!a} = {brief(v)}' for k, v in change.items())}"
    row = {**base, "id": f"link {number}", MARKER[table]: name, **change}
    if table == "clicks" and "id" not in change:
        del row["id"]
    given = {field: value for field, value in row.items() if value is not MISSING}
    return Case(name, given, column, TAGS if column == "tags" and held is None else held)


def brief(value: Any) -> str:
    """The value, short enough to be read in a report."""
    text = "nothing" if value is MISSING else ascii(value)
    return text if len(text) < 100 else f"{text[:20]}... of {len(text)}"


def outcomes(table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """The marker and the columns of every row of a table, times as UTC text."""
    times = (f.column for f in table.columns if f.data_type == "timestamp")
    changed = (f"CAST({t} AT TIME ZONE 'UTC' AS VARCHAR) AS {t}" for t in times)
    with reading() as reader:
        columns = reader.columns(table.name)
        query = f"SELECT * REPLACE ({', '.join(changed)}) FROM {{dataset}}.{table.name}"
        for values in reader.rows(query):
            row = dict(zip(columns, values, strict=True))
            yield row[MARKER[table.name]], row


def tags_by_link() -> dict[str, list[str]]:
    query = "SELECT _dlt_root_id, value FROM {dataset}.links__tags ORDER BY _dlt_list_idx"
    found: dict[str, list[str]] = {}
    for link, tag in rows(query):
        found.setdefault(link, []).append(tag)
    return found


def payload(row: Any) -> str:
    return json.dumps(row, sort_keys=True)


def rejections(table: str, condition: str = "TRUE") -> list[tuple[str, str]]:
    """Payload and reason of every rejected row of a table."""
    found = rows(
        "SELECT payload, reason FROM {dataset}.rejected_rows"
        f" WHERE resource = '{table}' AND {condition}"
    )
    return [(payload(json.loads(row)), reason) for row, reason in found]


@dataclass(frozen=True)
class Listings:
    """What became of the listings of all cases: rows by marker, reasons by payload."""

    loaded: Mapping[str, Mapping[str, Mapping[str, Any]]]
    rejected: Mapping[str, Mapping[str, str]]
    counts: Mapping[str, tuple[int, int]]

    def outcome(self, table: str, case: Case) -> Any:
        """The reason for which the row was refused, or what its column holds."""
        refused = self.rejected[table].get(payload(case.row))
        row = self.loaded[table].get(case.name)
        if refused is not None and row is None:
            return Refused(refused)
        return row.get(case.column, "no such column") if row else "no such row"


@contextmanager
def configured(folder: Path, api: Sandbox) -> Iterator[None]:
    """The folder as the working folder, with the sandbox as the API."""
    with pytest.MonkeyPatch.context() as patch, serve(api) as url:
        patch.chdir(folder)
        patch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        patch.setenv("SOURCES__LINK_ASSETS__API_KEY", api.api_key)
        yield


@pytest.fixture(scope="module", params=[1000, 1], ids=["one page", "a page each"])
def listings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Listings:
    """The listings of both tables, loaded once.

    A value alone on its page takes the way of pages without trouble; among others it does not.
    """
    served = {table: [case.row for case in cases(table)] for table in MARKER}
    api = Sandbox(links=served["links"], clicks={1: served["clicks"]}, page_size=request.param)
    with configured(tmp_path_factory.mktemp("rows"), api):
        load_links()
        load_clicks(1)
        tables = {table.name: list(outcomes(table)) for table in (LINKS, CLICKS)}
        tags = tags_by_link()
        for _, row in tables["links"]:
            row["tags"] = tags.get(row["_dlt_id"], [])
        refused = {table: rejections(table) for table in MARKER}
    return Listings(
        {table: dict(found) for table, found in tables.items()},
        {table: dict(found) for table, found in refused.items()},
        {table: (len(tables[table]), len(refused[table])) for table in MARKER},
    )


@pytest.mark.parametrize("table", MARKER)
def test_every_row_is_loaded_as_it_reads_or_kept_with_the_reason(
    listings: Listings, table: str
) -> None:
    found = {case.name: shown(listings.outcome(table, case), case) for case in cases(table)}
    assert found == {case.name: shown(case.expected, case) for case in cases(table)}


@pytest.mark.parametrize("table", MARKER)
def test_no_row_of_a_listing_is_lost_or_doubled(listings: Listings, table: str) -> None:
    refused = sum(isinstance(case.expected, Refused) for case in cases(table))
    assert listings.counts[table] == (len(cases(table)) - refused, refused)


def shown(outcome: Any, case: Case) -> str:
    """An outcome as a report shows it; of reasons, as much as the case gives."""
    if isinstance(outcome, Refused) and isinstance(case.expected, Refused):
        return outcome.reason[: len(case.expected.reason)]
    return f"{brief(outcome)} ({type(outcome).__name__}, {hash(str(outcome))})"


# Names: fields that the guide does not know, all in one row

OWN = r"__x[0-9a-f]{8}"
NAMES: list[tuple[str, str]] = [
    ("newField", f"new_field{OWN}"),
    ("NewField", f"new_field{OWN}"),
    ("new-field", f"new_field{OWN}"),
    ("new field", f"new_field{OWN}"),
    ("new_field", "new_field"),
    ("secondField", "second_field"),
    ("ID2", "id2"),
    ("", f"x{OWN}"),
    (" ", f"x{OWN}"),
    ("-", f"x{OWN}"),
    ("'\"; DROP TABLE clicks; --", "_drop_table_clicksxxx"),
    ("select", "select"),
    ("{dataset}", "_datasetx"),
    ("%s", "_s"),
    ("1st", "_1st"),
    ("x" * 300, r"x{20,}\w{1,8}x{20,}"),
    ("x" * 299 + "y", r"x{20,}\w{1,8}x{20,}y"),
    ("\u00fcber", "_ber"),
    ("\u540d\u524d", f"x{OWN}"),
    ("\u4f4f\u6240", f"x{OWN}"),
    ("\U0001f600", f"x{OWN}"),
    ("\u05e9\u05dd", f"x{OWN}"),
    ("nul\x00byte", "nul_byte"),
    ("half\ud800", "half_ud800"),
    ("a.b", f"a_b{OWN}"),
    ("a__b", f"a_b{OWN}"),
    ("_dlt", f"_dlt{OWN}"),
    ("_dlt_id", f"_dlt_id{OWN}"),
    ("_dlt_load_id", f"_dlt_load_id{OWN}"),
    ("_dlt_root_id", f"_dlt_root_id{OWN}"),
    ("_dlt_list_idx", f"_dlt_list_idx{OWN}"),
    ("value", "value"),
]
OTHER_COLUMNS = {
    "clicks": ["domain_id", "click_id", "HOST", "utmSource", "Dt"],
    "links": ["deleted_at", "owner_id", "Tags", "owner", "owner__id", "Owner.id", "IdString"],
}
"""Names that would be taken for one of the table's columns."""


def test_each_unknown_field_has_a_column_of_its_own(api: str, sandbox: Sandbox) -> None:
    fields = {name: f"the value of {name!a}" for name, _ in NAMES}
    people = {name: f"of a person: {value}" for name, value in fields.items()}
    other = {t: {n: f"other: {n}" for n in names} for t, names in OTHER_COLUMNS.items()}
    click, link = {**CLICK, **fields, **other["clicks"]}, {**LINK, **fields, **other["links"]}
    sandbox.clicks = {1: [{**click, "path": "names"}]}
    sandbox.links = [{**link, "id": "a", "title": "names", "Owner": {**people, "id": 7}}]
    load_clicks(1)
    load_links()
    assert rows("SELECT payload FROM {dataset}.rejected_rows") == []
    for table in (CLICKS, LINKS):
        ((_, row),) = outcomes(table)
        columns = {value: column for column, value in row.items() if value is not None}
        unlike = {n: columns.get(fields[n]) for n, p in NAMES if not fits(p, columns, fields[n])}
        assert unlike == {}
        told_apart = [columns[value] for value in other[table.name].values()]
        assert [name for name in told_apart if not re.search(f"{OWN}$", name)] == []
    owned = {name: columns.get(value, "nowhere") for name, value in people.items()}
    assert [name for name, column in owned.items() if not column.startswith("owner__")] == []
    assert (row["owner__id"], row["id"], row["deleted_at"]) == (7, "a", None)


def fits(pattern: str, columns: Mapping[str, str], value: str) -> bool:
    return bool(re.fullmatch(pattern, columns.get(value, "")))


@pytest.mark.long
def test_fields_that_come_later_are_null_in_the_rows_before(api: str, sandbox: Sandbox) -> None:
    later = {"extra": {"a": [1]}, "list": [1, 2], "'; --": 2**70}
    sandbox.clicks = {1: [{**CLICK, "path": "old"}]}
    sandbox.links = [{**LINK, "id": "old", "title": "old"}]
    load_clicks(1)
    load_links()
    before = {table: list(outcomes(table)) for table in (CLICKS, LINKS)}
    sandbox.clicks = {1: [{**CLICK, "path": "new", **later}]}
    sandbox.links = [{**LINK, "id": "new", "title": "new", **later}]
    load_clicks(1)
    load_links()
    for table in (CLICKS, LINKS):
        found = dict(outcomes(table))
        added = dict.fromkeys(set(found["new"]) - set(before[table][0][1]))
        assert found["old"] == {**before[table][0][1], **added}
        assert {found["new"][column] for column in added} == {'{"a":[1]}', "[1,2]", str(2**70)}


# Anything at all

TEXTS = st.text(st.characters(codec=None, categories=None), max_size=4)  # type: ignore[arg-type]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
SPELLED = st.sampled_from(["", "1", "true", "2026-02-01", "0001-01-01T00:00:00+02:00", "\uf026"])
JSON = st.recursive(
    SCALARS | SPELLED,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=3,
)
UNKNOWN_NAMES = ["extra", "newField", "new_field", "", "'; --", "_dlt_id", "\ud800", "Dt", "owner"]
IDS = st.sampled_from(["a", "b", "c", "", "'", "\x01", "\U0001f600", 7, 7.5, True, None, [], HALF])
PEOPLE = st.none() | st.dictionaries(st.sampled_from(["id", "name", "extra"]), SPELLED, max_size=1)


def some_rows(table: Table, **likely: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """A listing: rows with `likely` fields, others of the table that read, and some of any kind."""
    fields = [f for f in table.fields if "." not in f.name and f.name not in likely]
    values = [(kind, v) for kind, v, _ in READ if v is not MISSING and v is not MEGABYTE]
    fitting = [(f.name, value) for f in fields for kind, value in values if kind == f.data_type]
    readable = st.lists(st.sampled_from(fitting), max_size=4).map(dict)
    names = st.sampled_from(UNKNOWN_NAMES)
    unknown = st.dictionaries(names, JSON, max_size=2)
    anything = st.dictionaries(names | st.sampled_from([f.name for f in fields]), JSON, max_size=1)
    known = st.tuples(readable, st.fixed_dictionaries(likely), unknown)
    row = known.map(lambda parts: parts[0] | parts[1] | parts[2])
    odd = st.tuples(row, anything).map(lambda parts: parts[0] | parts[1])
    # two alike are always rejected: each counts, and the table of those has all of its columns
    listing = st.lists(row | odd | anything | JSON, min_size=8, max_size=24)
    return listing.map(lambda rows: [*rows, None, None])


CLICK_LISTINGS = some_rows(CLICKS, dt=st.sampled_from(["2026-02-01T12:00:00Z", "2026-02-01"]))
LINK_LISTINGS = some_rows(LINKS, id=IDS, Owner=PEOPLE, tags=st.lists(SPELLED, max_size=3))
FEW = settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # looking for smaller listings would take minutes
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
MANY = settings(FEW, max_examples=50)
LATEST = "_dlt_load_id = (SELECT max(load_id) FROM {dataset}._dlt_loads)"


def accepted(table: str, listing: Iterable[Any]) -> list[Any]:
    """The rows that the latest load did not reject; those that it did are all there."""
    listed = [payload(row) for row in listing]
    kept = Counter(row for row, _ in rejections(table, LATEST))
    assert kept == Counter(row for row in listed if row in kept)
    return [json.loads(row) for row in listed if row not in kept]


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value in (None, [], {}) else json.dumps(value)


def contents(*tables: str) -> list[list[tuple[Any, ...]]]:
    """All that tables hold, apart from which load brought it."""
    query = "SELECT * EXCLUDE ({}) FROM {{dataset}}.{}"
    without = {"links": "_dlt_load_id, _dlt_id", "links__tags": "_dlt_id, _dlt_parent_id"}
    without["links__tags"] += ", _dlt_root_id"
    return [
        sorted(rows(query.format(without.get(table, "_dlt_load_id"), table)), key=repr)
        for table in tables
    ]


def clicks_add_up(sandbox: Sandbox, listing: list[Any]) -> None:
    sandbox.page_size, sandbox.clicks = 100, {1: listing}
    load_clicks(1)
    loaded = rows(f"SELECT click_id FROM {{dataset}}.clicks WHERE {LATEST}")
    assert len(set(loaded)) == len(loaded) == len(accepted("clicks", listing))
    once = contents("clicks", "rejected_rows")
    load_clicks(1)
    assert contents("clicks", "rejected_rows") == once


def links_add_up(sandbox: Sandbox, listing: list[Any]) -> None:
    sandbox.page_size, sandbox.links = 100, listing
    load_links()
    loaded = [id for (id,) in rows(f"SELECT id FROM {{dataset}}.links WHERE {LATEST}")]
    links = accepted("links", listing)
    ids = {as_text(link.get("id")) or as_text(link.get("idString")) for link in links}
    assert sorted(loaded) == sorted(ids)
    once = contents("links", "links__tags", "rejected_rows")
    load_links()
    assert contents("links", "links__tags", "rejected_rows") == once


@FEW
@given(CLICK_LISTINGS)
def test_any_clicks_are_loaded_or_kept_and_again_changes_nothing(
    api: str, sandbox: Sandbox, listing: list[Any]
) -> None:
    clicks_add_up(sandbox, listing)


@FEW
@given(LINK_LISTINGS)
def test_any_links_are_loaded_or_kept_and_again_changes_nothing(
    api: str, sandbox: Sandbox, listing: list[Any]
) -> None:
    links_add_up(sandbox, listing)


@pytest.mark.long
@MANY
@given(CLICK_LISTINGS, LINK_LISTINGS)
def test_many_clicks_and_links_are_loaded_or_kept_and_again_changes_nothing(
    api: str, sandbox: Sandbox, clicks: list[Any], links: list[Any]
) -> None:
    clicks_add_up(sandbox, clicks)
    links_add_up(sandbox, links)
