"""The sandbox speaks the guide's contract, and breaks it exactly as asked."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from link_assets.contract import CLICK_FACTS, CLICKS, LINKS
from link_assets.sandbox import Fault, Sandbox, World, run, serve

LINKS_PATH, CLICKS_PATH = "/v1/links", "/v1/domain/1/link_clicks"
SMALL = World(clicks_per_domain=40)


class Client:
    """A caller with the key, of a sandbox that is being served."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "sandbox-key"

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=5)

    def pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        page = self.get(path, **params).json()
        yield page
        while token := page["nextPageToken"]:
            page = self.get(path, pageToken=token, **params).json()
            yield page

    def rows(self, path: str, **params: Any) -> list[Any]:
        key = "links" if path == LINKS_PATH else "data"
        return [row for page in self.pages(path, **params) for row in page[key]]


Start = Callable[[Sandbox], Client]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as servers:
        yield lambda sandbox: Client(servers.enter_context(serve(sandbox)))


def moment(click: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(click["dt"])


def facts(click: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(click[name] for name in CLICK_FACTS)


# The contract


def test_links_come_under_their_key_with_a_count_and_a_token(start: Start) -> None:
    client = start(Sandbox(World(domains=3, links_per_domain=4), page_size=5))
    first, second, third = client.pages(LINKS_PATH)
    assert [set(page) for page in (first, second, third)] == [
        {"count", "links", "nextPageToken"}
    ] * 3
    assert [len(page["links"]) for page in (first, second, third)] == [5, 5, 2]
    assert first["count"] == 12
    assert isinstance(first["nextPageToken"], str)
    assert third["nextPageToken"] is None


def test_clicks_come_under_their_key_with_a_token(start: Start) -> None:
    client = start(Sandbox(SMALL, page_size=20))
    first, last = client.pages(CLICKS_PATH)
    assert set(first) == set(last) == {"data", "nextPageToken"}
    assert last["nextPageToken"] is None


@pytest.mark.parametrize("page_size", [1, 7, 40, 41, 1000])
def test_all_pages_together_have_every_click_once_newest_first(
    start: Start, page_size: int
) -> None:
    client = start(Sandbox(SMALL, page_size=page_size))
    rows = client.rows(CLICKS_PATH)
    assert rows == SMALL.clicks(1, 0, 40)
    assert len({facts(row) for row in rows}) == 40
    assert [moment(row) for row in rows] == sorted(map(moment, rows), reverse=True)


def test_all_pages_together_have_every_link_once_newest_first(start: Start) -> None:
    rows = start(Sandbox(World(), page_size=7)).rows(LINKS_PATH)
    assert rows == World().links()
    assert len({row["id"] for row in rows}) == 36
    assert [row["createdAt"] for row in rows] == sorted(
        (r["createdAt"] for r in rows), reverse=True
    )


def test_a_page_holds_150_rows_or_as_many_as_asked_for(start: Start) -> None:
    client = start(Sandbox(World(clicks_per_domain=1200)))
    assert len(client.get(CLICKS_PATH).json()["data"]) == 150
    assert len(client.get(CLICKS_PATH, limit=1000).json()["data"]) == 1000
    assert len(client.rows(CLICKS_PATH, limit=500)) == 1200


@pytest.mark.parametrize("key", [None, "wrong", "Bearer sandbox-key"])
@pytest.mark.parametrize("path", [LINKS_PATH, CLICKS_PATH])
def test_only_the_raw_key_is_let_in(start: Start, path: str, key: str | None) -> None:
    sandbox = Sandbox(SMALL)
    client = start(sandbox)
    headers = {"Authorization": key} if key else {}
    answer = requests.get(client.url + path, headers=headers, timeout=5)
    assert answer.status_code == 401
    assert answer.json()["error"] == "Unauthorized"
    assert [record.authorized for record in sandbox.requests] == [False]


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/v1/domain/99/link_clicks", {}, 404),
        ("/v1/domain/x/link_clicks", {}, 404),
        ("/v1/other", {}, 404),
        ("/", {}, 404),
        (CLICKS_PATH, {"pageToken": "garbled"}, 400),
        (CLICKS_PATH, {"pageToken": ""}, 400),
        (CLICKS_PATH, {"pageToken": "WyJhIiwgMSwgInh4Il0="}, 400),
        (CLICKS_PATH, {"limit": 0}, 400),
        (CLICKS_PATH, {"limit": 1001}, 400),
        (LINKS_PATH, {"limit": "many"}, 400),
    ],
)
def test_a_request_it_cannot_answer_is_refused_in_json(
    start: Start, path: str, params: dict[str, Any], status: int
) -> None:
    answer = start(Sandbox(SMALL)).get(path, **params)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message"}


def test_a_token_is_good_for_its_own_listing_only(start: Start) -> None:
    client = start(Sandbox(SMALL, page_size=10))
    token = client.get(CLICKS_PATH).json()["nextPageToken"]
    assert client.get("/v1/domain/2/link_clicks", pageToken=token).status_code == 400


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD"])
def test_the_api_is_only_read(start: Start, method: str) -> None:
    client = start(Sandbox(SMALL))
    assert client.session.request(method, client.url + LINKS_PATH, timeout=5).status_code == 405


def test_a_token_outlives_the_server(start: Start) -> None:
    token = start(Sandbox(SMALL, page_size=25)).get(CLICKS_PATH).json()["nextPageToken"]
    page = start(Sandbox(SMALL, page_size=25)).get(CLICKS_PATH, pageToken=token).json()
    assert page == {"data": SMALL.clicks(1, 25, 40), "nextPageToken": None}


def test_clicks_can_be_asked_for_from_a_time_on_if_that_is_supported(start: Start) -> None:
    since = SMALL.clicks(1, 12, 13)[0]["dt"]
    expected = [c for c in SMALL.clicks(1, 0, 40) if moment(c) >= datetime.fromisoformat(since)]
    client = start(Sandbox(SMALL, page_size=5, supports_since="from"))
    assert client.rows(CLICKS_PATH, **{"from": since}) == expected
    assert 13 <= len(expected) < 40
    assert client.get(CLICKS_PATH, **{"from": "yesterday"}).status_code == 400
    assert len(start(Sandbox(SMALL)).rows(CLICKS_PATH, **{"from": since})) == 40


# The made-up data


def test_the_same_seed_makes_the_same_world() -> None:
    def everything(seed: int) -> str:
        world = World(seed=seed, clicks_per_domain=30)
        return json.dumps([world.links(), [world.clicks(d, 0, 30) for d in world.domain_ids()]])

    assert everything(7) == everything(7) != everything(8)


def test_no_two_clicks_of_a_domain_are_alike() -> None:
    world = World(clicks_per_domain=5000)
    assert len({facts(click) for click in world.clicks(1, 0, 5000)}) == 5000


def test_times_tie_within_a_domain_and_across_domains() -> None:
    one, two = (Counter(map(moment, World().clicks(d, 0, 400))) for d in (1, 2))
    assert sum(count == 2 for count in one.values()) == 80
    assert len(one.keys() & two.keys()) > 10


def test_the_clicks_of_one_domain_are_all_older_than_those_of_another() -> None:
    for count in (1, 2, 13, 400):
        world = World(clicks_per_domain=count)
        newest_of_three = moment(world.clicks(3, 0, 1)[0])
        oldest_of_one = moment(world.clicks(1, count - 1, count)[0])
        assert newest_of_three < oldest_of_one <= world.end


def test_the_newest_click_happened_at_the_end() -> None:
    assert moment(World().clicks(1, 0, 1)[0]) == World().end == datetime(2026, 3, 1, tzinfo=UTC)


def test_some_times_carry_an_offset() -> None:
    zones = Counter(
        "Z" if c["dt"].endswith("Z") else c["dt"][-6:] for c in World().clicks(1, 0, 400)
    )
    assert set(zones) == {"Z", "+02:00"}
    assert zones["Z"] > zones["+02:00"] > 20


def test_clicks_carry_every_documented_field_and_the_newer_half_one_more() -> None:
    clicks = World().clicks(1, 0, 400)
    documented = {field.name for field in CLICKS.fields}
    assert all(set(click) == documented | {"device_type"} for click in clicks[:200])
    assert all(set(click) == documented for click in clicks[200:])


def test_most_clicks_are_on_links_of_their_domain_and_the_rest_are_not_found() -> None:
    paths = {f"/{link['path']}" for link in World().links() if link["DomainId"] == 2}
    clicks = World().clicks(2, 0, 400)
    lost = [click for click in clicks if click["path"] not in paths]
    assert 0 < len(lost) < 40
    assert {click["st"] for click in lost} == {404}
    assert all(click["lcpath"] == click["path"].lower() for click in clicks)
    assert {click["human"] for click in clicks} == {True, False}


def test_links_show_every_way_to_leave_a_field_out() -> None:
    links = World().links()
    documented = {field.name.partition(".")[0] for field in LINKS.fields} | {"tags"}
    seen = {name for link in links for name, value in link.items() if value is not None}
    assert {link["DomainId"] for link in links} == {1, 2, 3}
    assert {len(link["tags"]) for link in links} == {0, 1, 2, 3}
    assert {type(link[who]) for link in links for who in ("Owner", "User")} == {dict, type(None)}
    assert seen - documented == {"skipQS"}
    assert documented - seen >= {"icon", "AutodeletedAt"}
    assert "icon" in links[0]
    assert "AutodeletedAt" not in links[0]


def test_a_click_among_ten_million_is_found_at_once() -> None:
    world = World(clicks_per_domain=10_000_000)
    began = time.monotonic()
    assert len(world.clicks(1, 9_999_900, 10_000_000)) == 100
    assert time.monotonic() - began < 1


def test_clicks_that_appear_with_time_leave_the_older_ones_as_they_were() -> None:
    world = World(clicks_per_domain=30, click_seconds=0.02)
    before = world.clicks(1, 0, 1000)
    time.sleep(0.1)
    after = world.clicks(1, 0, 1000)
    assert len(after) >= len(before) + 4
    assert after[-len(before) :] == before
    assert all(moment(new) > world.end for new in after[: -len(before)])


@pytest.mark.parametrize("domain_id", [1, 2, 3])
def test_a_grown_world_has_newer_clicks_in_front_of_the_same_ones(domain_id: int) -> None:
    newer = SMALL.grown(3).clicks(domain_id, 0, 43)
    assert newer[3:] == SMALL.clicks(domain_id, 0, 40)
    assert min(map(moment, newer[:3])) > SMALL.end


# Data that changes, and data a test gives


def test_clicks_appearing_while_paging_move_no_page_of_a_world(start: Start) -> None:
    sandbox = Sandbox(SMALL, page_size=10)

    def grow(_: object) -> None:
        assert sandbox.world
        sandbox.world = sandbox.world.grown(3)

    sandbox.on_request = grow
    assert start(sandbox).rows(CLICKS_PATH) == SMALL.grown(3).clicks(1, 0, 43)


def test_rows_put_in_front_of_a_given_list_shift_its_pages(start: Start) -> None:
    rows = [{"dt": f"2026-01-01T00:00:0{n}Z"} for n in range(6)]
    sandbox = Sandbox(clicks={1: rows.copy()}, page_size=2)
    client = start(sandbox)
    token = client.get(CLICKS_PATH).json()["nextPageToken"]
    assert sandbox.clicks
    sandbox.clicks[1].insert(0, {"dt": "later"})
    assert client.get(CLICKS_PATH, pageToken=token).json()["data"] == rows[1:3]


def test_rows_a_test_gives_are_served_as_they_are(start: Start) -> None:
    odd = [{"big": 2**80, "half": "\ud800"}, None, "text", {"": {"a": [1]}}]
    client = start(Sandbox(SMALL, links=[math.inf, math.nan], clicks={1: odd}))
    assert client.rows(CLICKS_PATH) == odd
    assert b'"links": [Infinity, NaN]' in client.get(LINKS_PATH).content
    assert len(client.rows("/v1/domain/2/link_clicks")) == 40


def test_an_empty_listing_is_one_page_without_rows(start: Start) -> None:
    client = start(Sandbox(links=[], clicks={1: []}))
    assert client.get(LINKS_PATH).json() == {"count": 0, "links": [], "nextPageToken": None}
    assert client.get(CLICKS_PATH).json() == {"data": [], "nextPageToken": None}


def test_the_log_has_what_was_asked(start: Start) -> None:
    sandbox = Sandbox(SMALL, page_size=20)
    client = start(sandbox)
    client.rows(CLICKS_PATH)
    client.get("/v1/domain/10/link_clicks", x="y")
    assert [(r.page, r.status, r.authorized) for r in sandbox.requests] == [
        (1, 200, True),
        (2, 200, True),
        (1, 404, True),
    ]
    assert sandbox.requests[2].params == {"x": "y"}
    assert sandbox.requests_to("/v1/domain/1") == sandbox.requests_to(CLICKS_PATH) == 2
    sandbox.reset_log()
    assert sandbox.requests_to("/") == 0


def test_the_error_of_a_hook_reaches_the_client(start: Start) -> None:
    def hook(_: object) -> None:
        raise LookupError("no such row")

    answer = start(Sandbox(SMALL, on_request=hook)).get(LINKS_PATH)
    assert answer.status_code == 500
    assert "no such row" in answer.json()["message"]


def test_every_answer_waits_for_the_latency(start: Start) -> None:
    client = start(Sandbox(SMALL, latency=0.1))
    began = time.monotonic()
    client.get(LINKS_PATH)
    assert time.monotonic() - began >= 0.1


# Faults


def test_a_status_is_answered_with_its_headers_and_an_error(start: Start) -> None:
    fault = Fault(status=429, headers={"Retry-After": "3"})
    client = start(Sandbox(SMALL, faults=[fault]))
    answer = client.get(LINKS_PATH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json()["error"] == "Too Many Requests"
    assert client.get(LINKS_PATH).status_code == 200


def test_a_status_is_answered_with_the_body_given(start: Start) -> None:
    fault = Fault(status=502, body="<html>", content_type="text/html")
    answer = start(Sandbox(SMALL, faults=[fault])).get(LINKS_PATH)
    assert (answer.status_code, answer.text) == (502, "<html>")
    assert answer.headers["Content-Type"] == "text/html"


def test_raw_bytes_take_the_place_of_a_page(start: Start) -> None:
    fault = Fault(raw=b'{"links": [', content_type="text/plain")
    answer = start(Sandbox(SMALL, faults=[fault])).get(LINKS_PATH)
    assert (answer.status_code, answer.content) == (200, b'{"links": [')
    assert answer.headers["Content-Type"] == "text/plain"


def test_a_page_can_be_replaced(start: Start) -> None:
    fault = Fault(replace=lambda page: {**page, "nextPageToken": 5, "data": math.nan})
    answer = start(Sandbox(SMALL, faults=[fault])).get(CLICKS_PATH)
    assert answer.content == b'{"data": NaN, "nextPageToken": 5}'


def test_gzip_is_undone_by_the_client_unless_it_is_broken(start: Start) -> None:
    client = start(Sandbox(SMALL, faults=[Fault(gzip=True), Fault(gzip="broken")]))
    answer = client.get(CLICKS_PATH)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.json()["data"] == SMALL.clicks(1, 0, 40)
    with pytest.raises(requests.exceptions.ContentDecodingError):
        client.get(CLICKS_PATH)
    assert "Content-Encoding" not in client.get(CLICKS_PATH).headers


def read_raw(client: Client) -> tuple[int, bytes]:
    """Content-Length of an answer and its body; errors as the standard library raises them."""
    connection = http.client.HTTPConnection(client.url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", CLICKS_PATH, headers={"Authorization": "sandbox-key"})
        answer = connection.getresponse()
        length = int(answer.headers["Content-Length"])
        return length, answer.read()
    finally:
        connection.close()


def test_a_reset_comes_before_any_byte(start: Start) -> None:
    client = start(Sandbox(SMALL, faults=[Fault(connection="reset")]))
    with pytest.raises(ConnectionResetError):
        read_raw(client)
    assert client.get(CLICKS_PATH).status_code == 200


def test_a_reset_in_the_body_comes_after_the_headers(start: Start) -> None:
    client = start(Sandbox(SMALL, faults=[Fault(connection="reset_mid_body")]))
    answer = client.session.get(client.url + CLICKS_PATH, stream=True, timeout=5)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):
        _ = answer.content


def test_a_short_body_ends_cleanly_before_its_length(start: Start) -> None:
    client = start(Sandbox(SMALL, faults=[Fault(connection="short_body")]))
    with pytest.raises(http.client.IncompleteRead) as problem:
        read_raw(client)
    assert problem.value.expected
    assert abs(problem.value.expected - len(problem.value.partial)) <= 1


def test_a_stall_is_longer_than_an_impatient_client_waits(start: Start) -> None:
    stalls = [Fault(connection="stall", seconds=seconds) for seconds in (20, 0.3)]
    client = start(Sandbox(SMALL, faults=stalls))
    with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
        client.session.get(client.url + CLICKS_PATH, timeout=0.1)
    length, body = read_raw(client)
    assert len(body) == length
    assert json.loads(body)["data"] == SMALL.clicks(1, 0, 40)


def test_a_fault_hits_as_often_as_asked_and_only_what_it_matches(start: Start) -> None:
    second_page = Fault(path="/v1/domain/1", page=2, times=2, status=503)
    always = Fault(path=LINKS_PATH, times=None, status=500)
    sandbox = Sandbox(World(domains=10), page_size=200, faults=[second_page, always])
    client = start(sandbox)
    token = client.get(CLICKS_PATH).json()["nextPageToken"]
    statuses = [client.get(CLICKS_PATH, pageToken=token).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert [client.get(LINKS_PATH).status_code for _ in range(3)] == [500] * 3
    assert len(client.rows("/v1/domain/10/link_clicks")) == 400
    assert (second_page.hits, always.hits) == (2, 3)


def test_one_fault_is_taken_by_one_of_many_requests_at_once(start: Start) -> None:
    client = start(Sandbox(SMALL, faults=[Fault(status=500, times=3)]))
    statuses: list[int] = []

    def ask() -> None:
        key = {"Authorization": "sandbox-key"}
        statuses.append(requests.get(client.url + LINKS_PATH, headers=key, timeout=5).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [500] * 3


@pytest.mark.parametrize("options", [{}, {"status": 500, "raw": b""}])
def test_a_fault_must_say_what_goes_wrong(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of status, raw, replace"):
        Fault(**options)


# The server


def test_it_stops_at_once_with_connections_open_and_an_answer_half_sent() -> None:
    stall = Fault(path=CLICKS_PATH, connection="stall", seconds=60)
    with serve(Sandbox(SMALL, faults=[stall])) as url:
        idle, stalled = Client(url), Client(url)
        idle.get(LINKS_PATH)
        answer = stalled.session.get(url + CLICKS_PATH, stream=True, timeout=5)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    with pytest.raises(requests.exceptions.RequestException):
        _ = answer.content
    with pytest.raises(requests.exceptions.ConnectionError):
        idle.get(LINKS_PATH)


def test_many_run_side_by_side_each_with_its_own_data(start: Start) -> None:
    clients = [start(Sandbox(links=[{"id": n}])) for n in range(5)]
    assert [client.rows(LINKS_PATH) for client in clients] == [[{"id": n}] for n in range(5)]


def test_a_port_is_free_again_after_it_stops() -> None:
    with serve(Sandbox(SMALL)) as url:
        Client(url).get(LINKS_PATH)
    with serve(Sandbox(SMALL), port=int(url.rpartition(":")[2])) as again:
        assert again == url
        assert Client(again).get(LINKS_PATH).status_code == 200


def test_in_the_foreground_it_runs_until_ctrl_c() -> None:
    statuses: list[int] = []

    def press_ctrl_c(url: str) -> None:
        statuses.append(Client(url).get(LINKS_PATH).status_code)
        raise KeyboardInterrupt

    run(Sandbox(SMALL), 0, press_ctrl_c)
    assert statuses == [200]
