"""The sandbox speaks Short.io's contract: domains, links, folders, errors, and what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import requests

from link_assets.sandbox import Fault, Sandbox, ShortIoSwitches, World
from link_assets.sandbox.short_io import served_domains, served_folders, served_links
from link_assets_tests.sandbox.caller import ALL, Caller, click

Start = Callable[..., Caller]
Serving = Callable[[Sandbox], Caller]
CLICKS = "/statistics/domain/1/last_clicks"
REFUSED = {"statusCode": 400, "code": "FST_ERR_VALIDATION", "error": "Bad Request"}


def world_of(**switches: Any) -> Sandbox:
    return Sandbox(World(), api="short_io", switches=ShortIoSwitches(**switches))


# Keys and errors


@pytest.mark.parametrize("key", [None, "wrong", "Bearer sandbox-key"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/domains"),
        ("GET", "/api/links"),
        ("GET", "/links/folders/1"),
        ("POST", CLICKS),
        ("GET", "/statistics/domain/1"),
    ],
)
def test_only_the_raw_key_is_let_in(
    short_io: Start, method: str, path: str, key: str | None
) -> None:
    headers = {"Authorization": key} if key else {}
    answer = requests.request(method, short_io().url + path, headers=headers, timeout=5)
    assert answer.status_code == 401
    assert answer.json() == {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/x"), ("GET", CLICKS), ("POST", "/api/links"), ("GET", "/v1/links"), ("PUT", "/")],
)
def test_a_path_or_method_that_is_not_there_is_named(
    short_io: Start, method: str, path: str
) -> None:
    caller = short_io()
    answer = caller.session.request(method, caller.url + path, timeout=5)
    message = f"Route {method}:{path} not found"
    assert answer.json() == {"message": message, "error": "Not Found", "statusCode": 404}


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("/api/links", {}, "querystring must have required property 'domain_id'"),
        ("/api/links", {"domain_id": 0}, "querystring/domain_id must be >= 1"),
        ("/api/links", {"domain_id": "go"}, "querystring/domain_id must be integer"),
        ("/api/links", {"domain_id": 1, "limit": 151}, "querystring/limit must be <= 150"),
        ("/api/links", {"domain_id": 1, "limit": 0}, "querystring/limit must be >= 1"),
        ("/api/links", {"domain_id": 1, "pageToken": "x"}, "querystring/pageToken is invalid"),
        (
            "/api/links",
            {"domain_id": 1, "beforeDate": "2026-01-01T00:00:00"},
            'querystring/beforeDate must match format "date-time"',
        ),
        (
            "/api/links",
            {"domain_id": 1, "dateSortOrder": "up"},
            "querystring/dateSortOrder must be equal to one of the allowed values",
        ),
        ("/api/domains", {"limit": 301}, "querystring/limit must be <= 300"),
        ("/api/domains", {"offset": -1}, "querystring/offset must be integer"),
        (
            "/statistics/domain/1/link_clicks",
            {},
            "querystring must have required property 'ids'",
        ),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(
    short_io: Start, path: str, params: dict[str, Any], message: str
) -> None:
    answer = short_io().get(path, **params)
    assert answer.status_code == 400
    assert answer.json() == {**REFUSED, "message": message}


@pytest.mark.parametrize(
    "path", ["/api/links?domain_id=99", "/links/folders/99", "/statistics/domain/99"]
)
def test_a_domain_that_is_not_there_is_a_short_error(short_io: Start, path: str) -> None:
    answer = short_io().get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Domain not found"})


# Domains


def test_domains_are_a_bare_list_in_pages_by_limit_and_offset(serving: Serving) -> None:
    sandbox = Sandbox(World(domains=104, links_per_domain=1, clicks_per_domain=0), api="short_io")
    caller = serving(sandbox)
    assert len(caller.get("/api/domains").json()) == 100
    pages = [caller.get("/api/domains", limit=60, offset=n).json() for n in (0, 60, 120)]
    assert [len(page) for page in pages] == [60, 45, 0]
    assert [*pages[0], *pages[1]] == served_domains(sandbox)
    assert len(caller.get("/api/domains", limit=300).json()) == 105


def test_domains_differ_in_what_a_reader_must_cope_with() -> None:
    first, sensitive, international, linkless = served_domains(world_of())
    assert international["hostname"] == "xn--g3-fka.example.com"
    assert international["unicodeHostname"] == "gö3.example.com"
    assert [d["caseSensitive"] for d in served_domains(world_of())] == [False, True, False, False]
    assert (first["TeamId"], sensitive["TeamId"]) == (77, None)
    assert "TeamId" not in international
    assert (first["httpsLinks"], sensitive["httpsLinks"]) == (None, True)
    assert "OrganizationId" in first
    assert "OrganizationId" not in sensitive
    assert isinstance(linkless["incrementCounter"], str)


def test_secrets_of_domains_can_be_recognised() -> None:
    domain = served_domains(world_of())[0]
    assert domain["segmentKey"] == "segment-secret-1"
    assert domain["webhookURL"] == "https://hooks.example/webhook-secret-1"
    assert domain["clientStorage"] == {"note": "storage-secret-1"}


def test_one_domain_has_clicks_and_neither_links_nor_folders(serving: Serving) -> None:
    sandbox = world_of()
    caller = serving(sandbox)
    assert caller.get("/api/links", domain_id=4).json() == {
        "count": 0,
        "links": [],
        "nextPageToken": None,
    }
    assert caller.get("/links/folders/4").json() == {"linkFolders": []}
    assert len(caller.clicks(4, **ALL)) == 20


@pytest.mark.parametrize(
    ("order", "ids"), [("id", [1, 2, 3, 4]), ("newest", [4, 3, 2, 1]), ("hostname", [1, 2, 4, 3])]
)
def test_domains_come_in_the_order_of_the_switch(
    short_io: Start, order: str, ids: list[int]
) -> None:
    domains = short_io(domains_order=order).get("/api/domains").json()
    assert [domain["id"] for domain in domains] == ids


# Links


@pytest.mark.parametrize("limit", [1, 5, 12, 150])
def test_all_pages_together_have_every_link_once_newest_first(serving: Serving, limit: int) -> None:
    sandbox = world_of(numeric_dates="none")
    pages = list(serving(sandbox).link_pages(2, limit=limit))
    links = [link for page in pages for link in page["links"]]
    assert {page["count"] for page in pages} == {12}
    assert links == served_links(sandbox, 2)
    assert len({link["id"] for link in links}) == 12
    created = [link["createdAt"] for link in links]
    assert created == sorted(created, reverse=True)


def test_a_page_has_150_links_unless_another_number_is_asked_for(serving: Serving) -> None:
    caller = serving(Sandbox(World(links_per_domain=160), api="short_io"))
    first, last = caller.link_pages(1)
    assert (len(first["links"]), len(last["links"])) == (150, 10)
    assert isinstance(first["nextPageToken"], str)


@pytest.mark.parametrize("kind", ["null", "absent"])
def test_the_last_page_has_no_token_or_null(short_io: Start, kind: str) -> None:
    (page,) = short_io(last_token=kind).link_pages(1)
    assert page.get("nextPageToken", "absent") == (None if kind == "null" else "absent")


def test_a_token_is_of_its_domain_alone(short_io: Start) -> None:
    caller = short_io()
    token = caller.get("/api/links", domain_id=1, limit=5).json()["nextPageToken"]
    answer = caller.get("/api/links", domain_id=2, limit=5, pageToken=token)
    assert answer.status_code == 400


def test_parameters_that_are_none_are_ignored(short_io: Start) -> None:
    caller = short_io()
    links = caller.links(1)
    ignored = {"before": links[3]["createdAt"], "beforeId": links[3]["id"], "offset": 4}
    assert caller.links(1, **ignored, afterId=links[5]["id"], idString=links[2]["id"]) == links


def test_links_can_be_asked_for_by_date_folder_and_order(serving: Serving) -> None:
    sandbox = world_of(numeric_dates="none")
    caller, links = serving(sandbox), served_links(sandbox, 1)
    dates = {"afterDate": links[8]["createdAt"], "beforeDate": links[2]["createdAt"]}
    assert caller.links(1, **dates, limit=2) == links[3:8]
    assert caller.links(1, dateSortOrder="asc") == links[::-1]
    folder = links[1]["FolderId"]
    assert caller.links(1, folderId=folder) == [x for x in links if x.get("FolderId") == folder]


def test_links_are_what_the_service_sends_today() -> None:
    links = served_links(world_of())
    names = {name for link in links for name in link}
    assert len(links) == 36
    assert not names & {"lcpath", "updatedAt", "Owner", "icon", "AutodeletedAt"}
    assert {"FolderId", "integrationTT", "skipQS", "ttl", "splitURLv2"} <= names
    assert all(link["id"] == link["idString"] and link["id"][:4] == "lnk_" for link in links)
    assert not any(link["path"].startswith("/") for link in links)
    for name in ("splitPercent", "clicksLimit"):
        assert {type(link[name]) for link in links if name in link} == {int}
    assert {type(link["createdAt"]) for link in links} == {str, int}
    assert {link["redirectType"] for link in links} == {"301", "302"}


def test_links_show_every_way_to_say_nothing() -> None:
    links = served_links(world_of())
    assert {"tags" in link for link in links} == {True, False}
    assert [] in [link.get("tags") for link in links]
    assert None in [link["title"] for link in links]
    assert {link.get("FolderId", "absent") for link in links} > {None, "absent"}
    people = [link["User"] for link in links if "User" in link]
    assert 0 < len(people) < len(links)
    assert {person["name"] is None for person in people} == {True, False}
    assert sum("utm_id=" in link["originalURL"] for link in links) == 12
    locked = [link for link in links if link["hasPassword"]]
    assert locked
    assert all(link["password"].startswith("link-password-") for link in locked)
    assert not any("password" in link for link in links if not link["hasPassword"])


def test_paths_have_letters_blanks_and_percent_signs_of_every_kind() -> None:
    paths = [link["path"] for link in served_links(world_of(), 1)]
    assert {"Äpfel-2", "two words-4", "50%-off-6", "日本-8", "a%20b-10", "a+b-11"} <= set(paths)
    assert len({path.lower() for path in paths}) == 12


def test_where_case_counts_two_links_differ_in_it_alone() -> None:
    paths = [link["path"] for link in served_links(world_of(), 2)]
    assert len(set(paths)) == 12
    assert len({path.lower() for path in paths}) == 11


@pytest.mark.parametrize(("numeric", "kinds"), [("none", {str}), ("all", {int})])
def test_dates_are_texts_or_milliseconds_by_the_switch(numeric: str, kinds: set[type]) -> None:
    links, usual = (served_links(world_of(numeric_dates=x)) for x in (numeric, "some"))
    assert {type(link["createdAt"]) for link in links} == kinds
    assert {type(link["expiresAt"]) for link in links if "expiresAt" in link} == kinds
    assert [link["id"] for link in links] == [link["id"] for link in usual]


def test_old_rows_have_the_fields_of_earlier_years() -> None:
    links = served_links(world_of(old_rows=True))
    assert all({"lcpath", "updatedAt", "Owner", "icon"} <= link.keys() for link in links)
    assert all(link["lcpath"] == link["path"].lower() for link in links)


def test_fields_of_links_can_be_missing() -> None:
    links = served_links(world_of(link_fields_missing=frozenset({"DomainId", "tags"})))
    assert len(links) == 36
    assert not any({"DomainId", "tags"} & link.keys() for link in links)


def test_archived_links_are_listed_unless_the_switch_says_no(short_io: Start) -> None:
    kinds = [
        {link["archived"] for link in short_io(archived_listed=listed).links(2)}
        for listed in (True, False)
    ]
    assert kinds == [{True, False}, {False}]


def test_the_usual_order_of_links_is_a_switch(serving: Serving) -> None:
    sandbox = world_of(links_order="oldest")
    caller = serving(sandbox)
    assert caller.links(1, limit=5) == served_links(sandbox, 1)[::-1]
    assert caller.links(1, dateSortOrder="desc") == served_links(sandbox, 1)


def test_pages_of_links_can_be_shorter_than_asked(serving: Serving) -> None:
    sandbox = world_of(short_pages=True)
    pages = list(serving(sandbox).link_pages(1, limit=8))
    assert [len(page["links"]) for page in pages] == [4, 4, 4]


def test_folders_have_an_id_a_name_and_their_domain(serving: Serving) -> None:
    sandbox = world_of()
    folders = serving(sandbox).get("/links/folders/2").json()["linkFolders"]
    assert folders == served_folders(sandbox, 2)
    assert all(f.keys() == {"id", "name", "DomainId"} and len(f["id"]) == 21 for f in folders)
    used = {link.get("FolderId") for link in served_links(sandbox, 2)}
    assert used & {folder["id"] for folder in folders}


# What a test gives


def test_rows_that_a_test_gives_take_the_place_of_the_worlds(serving: Serving) -> None:
    domains = [{"id": 7, "hostname": "a.example"}, {"id": 8, "hostname": "b.example"}]
    links = [
        {"id": "lnk_1", "DomainId": 8, "createdAt": "2026-01-01T00:00:00Z"},
        {"id": "lnk_2", "DomainId": 8, "createdAt": "2026-01-02T00:00:00Z"},
        {"id": "lnk_3", "createdAt": 5},
    ]
    clicks = {8: [click("2026-01-01T00:00:00Z")], 9: []}
    folders = {8: [{"id": "f"}]}
    caller = serving(
        Sandbox(links=links, domains=domains, clicks=clicks, folders=folders, api="short_io")
    )
    assert caller.get("/api/domains").json() == domains
    assert [link["id"] for link in caller.links(8)] == ["lnk_2", "lnk_1"]
    assert [link["id"] for link in caller.links(7)] == ["lnk_3"]
    assert caller.get("/links/folders/8").json() == {"linkFolders": [{"id": "f"}]}
    assert caller.clicks(8, **ALL) == clicks[8]
    assert caller.clicks(7, **ALL) == caller.clicks(9, **ALL) == []


def test_domains_that_nobody_gives_are_those_of_the_rows_given() -> None:
    sandbox = Sandbox(links=[{"DomainId": 2}], clicks={1: []}, api="short_io")
    assert [domain["id"] for domain in served_domains(sandbox)] == [1, 2]


def test_odd_rows_are_served_as_they_are(serving: Serving) -> None:
    odd = [{"big": 2**80}, None, "text", {"": [1]}]
    caller = serving(Sandbox(links=odd, clicks={1: odd}, api="short_io"))
    assert caller.clicks(1, **ALL) == caller.links(1) == odd


# The log, and faults


def test_the_log_has_methods_bodies_and_pages(serving: Serving) -> None:
    sandbox = world_of()
    caller = serving(sandbox)
    caller.links(1, limit=6)
    caller.post(CLICKS, limit=3)
    caller.session.post(caller.url + CLICKS, data="{", timeout=5)
    assert [(r.method, r.body, r.page, r.status) for r in sandbox.requests] == [
        ("GET", None, 1, 200),
        ("GET", None, 2, 200),
        ("POST", {"limit": 3}, 1, 200),
        ("POST", None, 1, 400),
    ]
    assert sandbox.requests_to("/api/links") == sandbox.requests_to("/statistics") == 2


def test_pages_of_clicks_are_counted_back_from_the_newest_and_again_where_that_begins_anew(
    serving: Serving,
) -> None:
    sandbox = world_of()
    caller = serving(sandbox)
    days = [None, 20, 20, 10, 15, 5, None, 10]
    for day in days:
        before = {"beforeDate": f"2026-02-{day:02}T00:00:00Z"} if day else {}
        caller.clicks(1, **ALL, **before)
    caller.clicks(2, **ALL, beforeDate="2026-02-01T00:00:00Z")
    assert [record.page for record in sandbox.requests] == [1, 2, 2, 3, 3, 4, 1, 2, 1]


def test_a_fault_hits_the_page_of_clicks_that_it_names(serving: Serving) -> None:
    sandbox = world_of()
    fault = Fault(path=CLICKS, page=2, status=503, times=2)
    sandbox.faults = [fault]
    caller = serving(sandbox)
    older = {**ALL, "beforeDate": "2026-02-20T00:00:00Z"}
    answers = [caller.post(CLICKS, **body) for body in (ALL, older, older, older)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]


def test_a_fault_can_replace_a_list(serving: Serving) -> None:
    sandbox = world_of()
    sandbox.faults = [Fault(path="/api/domains", replace=lambda rows: rows[:1])]
    assert len(serving(sandbox).get("/api/domains").json()) == 1


def test_the_links_and_clicks_are_those_of_the_guides_world() -> None:
    ours = Counter(link["id"] for link in served_links(world_of()))
    assert ours == Counter(link["id"] for link in World().links())
