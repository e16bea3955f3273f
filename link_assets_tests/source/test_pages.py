"""Every page arrives, or the load fails with a reason; nothing is asked more often than agreed."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from link_assets.defs.failures import explanation, find_cause
from link_assets.sandbox import Fault, Sandbox, serve
from link_assets.sandbox.app import Position
from link_assets.settings import api_settings
from link_assets.source.pages import ApiError
from link_assets.source.rest import clicks_source, links_source

LINKS_PATH = "/v1/links"
CLICKS_PATH = "/v1/domain/2/link_clicks"
ALL_LINKS = 15

Page = dict[str, Any]


@pytest.fixture(autouse=True)
def three_pages(sandbox: Sandbox, api: str) -> None:
    """The links come in three pages of five."""
    sandbox.page_size = 5


def read_links(**changes: Any) -> list[Any]:
    source = links_source(replace(api_settings(), **changes))
    tables = [table for table in source.resources["links"] if "id" in table.column_names]
    return [link for table in tables for link in table.to_pylist()]


def read_clicks(**changes: Any) -> int:
    source = clicks_source(replace(api_settings(), **changes), 2)
    return sum(table.num_rows for table in source.resources["clicks"])


def failure_of(read: Callable[..., Any], **changes: Any) -> BaseException:
    with pytest.raises(ResourceExtractionError) as failure:
        read(**changes)
    return failure.value


def problem_of(read: Callable[..., Any], **changes: Any) -> str:
    """What an answer that is no page is refused with."""
    error = find_cause(failure_of(read, **changes), ApiError)
    assert error is not None
    return str(error)


def asked(sandbox: Sandbox, page: int) -> int:
    return sum(record.page == page for record in sandbox.requests)


def token(page: int) -> str:
    return Position(LINKS_PATH, page, 5 * (page - 1)).token()


def leads_to(page: int) -> Callable[[Page], Page]:
    return lambda answer: {**answer, "nextPageToken": token(page)}


# Retries


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("failures", [1, 3])
def test_a_passing_failure_is_retried_until_the_page_comes(
    sandbox: Sandbox, status: int, failures: int
) -> None:
    sandbox.faults.append(Fault(page=2, status=status, times=failures))
    assert len(read_links()) == ALL_LINKS
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, failures + 1, 1]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (429, "set SOURCES__LINK_ASSETS__REQUESTS_PER_SECOND"),
        (500, "try again later"),
        (502, "try again later"),
        (503, "try again later"),
        (504, "try again later"),
    ],
)
def test_a_lasting_failure_is_reported_after_three_retries(
    sandbox: Sandbox, status: int, cause: str
) -> None:
    sandbox.faults.append(Fault(page=2, status=status, times=4))
    problem = problem_of(read_clicks)
    assert f"clicks of domain 2, page 2: the API answered {status} " in problem
    assert cause in problem
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 4, 0]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, "refused the request as malformed"),
        (401, "check SOURCES__LINK_ASSETS__API_KEY"),
        (403, "check what the key has access to"),
        (404, "check SOURCES__LINK_ASSETS__BASE_URL and the domain's id"),
        (410, "(what was asked for is gone)"),
        (422, "(the API refused the request's parameters)"),
        (418, "(unexpected)"),
        (501, "the API failed; try again later"),
        (206, "(unexpected)"),
        (302, "(unexpected)"),  # it does not say where to
        (304, "(unexpected)"),
    ],
)
@pytest.mark.parametrize(("page", "whole"), [(1, "links, page 1"), (3, "links, page 3")])
def test_any_other_status_fails_at_once(
    sandbox: Sandbox, status: int, cause: str, page: int, whole: str
) -> None:
    sandbox.faults.append(Fault(page=page, status=status, body=b"", times=None))
    problem = problem_of(read_links)
    assert f"{whole}: the API answered {status}" in problem
    assert cause in problem
    assert asked(sandbox, page) == 1
    assert len(sandbox.requests) == page


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_the_number_of_retries_is_a_setting(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__MAX_RETRIES", str(retries))
    sandbox.faults.append(Fault(status=503, times=None))
    assert "answered 503" in problem_of(read_links)
    assert len(sandbox.requests) == retries + 1


def test_retry_after_in_seconds_is_waited_for(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(status=429, headers={"Retry-After": "1"}))
    assert len(read_links()) == ALL_LINKS
    refused, again, *_ = sandbox.requests
    assert again.time - refused.time >= 1


def test_retry_after_as_a_date_is_waited_for(sandbox: Sandbox) -> None:
    date = math.ceil(time.time() + 0.2)  # whole seconds are all such a date can say
    due = time.monotonic() + date - time.time()
    sandbox.faults.append(Fault(status=503, headers={"Retry-After": formatdate(date, usegmt=True)}))
    assert len(read_links()) == ALL_LINKS
    _, again, *_ = sandbox.requests
    assert again.time >= due - 0.01


# Connections


BROKEN = [
    Fault(page=2, connection="reset"),
    Fault(page=2, connection="reset_mid_body"),
    Fault(page=2, connection="short_body"),
    Fault(page=2, connection="stall", seconds=20),
]
by_connection = pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.connection)


@by_connection
def test_a_broken_answer_is_fetched_again(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.faults.append(replace(fault))
    ids = [link["id"] for link in read_links(timeout_seconds=2)]
    assert len(set(ids)) == len(ids) == ALL_LINKS
    assert asked(sandbox, 2) == 2


@by_connection
def test_an_answer_that_is_always_broken_is_reported(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.faults.append(replace(fault, times=None))
    error = failure_of(read_links, timeout_seconds=2, max_retries=1)
    told = explanation(error, "links")
    assert told is not None
    assert str(told.description).startswith("links: the API gave no whole answer (")
    assert "SOURCES__LINK_ASSETS__BASE_URL" in str(told.description)
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 2, 0]


def test_an_address_where_nobody_listens_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = explanation(failure_of(read_links, base_url=url), "links")
    assert told is not None
    assert "links: the API gave no whole answer (ConnectionError)" in str(told.description)


def test_a_compressed_page_is_read(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(times=None, gzip=True))
    assert len(read_links()) == ALL_LINKS
    assert sandbox.faults[0].hits == 3


def test_a_page_whose_compression_is_broken_is_fetched_again(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(page=2, times=3, gzip="broken"))
    ids = [link["id"] for link in read_links()]
    assert len(set(ids)) == len(ids) == ALL_LINKS
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 4, 1]


def test_a_page_whose_compression_is_always_broken_is_reported(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(page=2, times=None, gzip="broken"))
    told = explanation(failure_of(read_links), "links")
    assert told is not None
    assert "no whole answer (ContentDecodingError)" in str(told.description)
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 4, 0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/v1/elsewhere", "{other}/v1/links"], ids=["here", "elsewhere"])
def test_a_redirect_fails_at_once_and_names_the_setting(
    sandbox: Sandbox, status: int, to: str
) -> None:
    elsewhere = Sandbox(world=sandbox.world)
    with serve(elsewhere) as url:
        there = {"Location": to.format(other=url)}
        sandbox.faults.append(Fault(page=2, status=status, headers=there, times=None))
        problem = problem_of(read_links)
    assert f"links, page 2: the API answered {status} " in problem
    assert "it points elsewhere; set SOURCES__LINK_ASSETS__BASE_URL to where" in problem
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 1, 0]
    assert elsewhere.requests == []


# Pages


HTML = b"<!doctype html><title>Log in</title>"
CUT = b'{"links": [{"id": "a"}, {"id"'
INVALID: list[tuple[str, Fault, str]] = [
    ("no key", Fault(replace=lambda _: {"nextPageToken": None}), "(found: no such key)"),
    ("another key", Fault(replace=lambda p: {"data": p["links"]}), "(found: no such key)"),
    ("null", Fault(replace=lambda p: {**p, "links": None}), "(found: null)"),
    ("text", Fault(replace=lambda p: {**p, "links": "none"}), "(found: text)"),
    ("an object", Fault(replace=lambda p: {**p, "links": {"1": {}}}), "(found: an object)"),
    ("a list", Fault(replace=lambda p: p["links"]), "JSON but not an object"),
    ("JSON null", Fault(raw=b"null"), "JSON but not an object"),
    ("HTML", Fault(raw=HTML, content_type="text/html"), "not JSON (content type text/html, 36 "),
    ("HTML as JSON", Fault(raw=HTML), "not JSON (content type application/json, 36 bytes)"),
    ("cut off", Fault(raw=CUT), f"not JSON (content type application/json, {len(CUT)} bytes)"),
    ("nothing", Fault(raw=b""), "not JSON (content type application/json, 0 bytes)"),
    ("bad UTF-8", Fault(raw=b'{"links": [{"id": "a"}\xff]}'), "not JSON"),
]


@pytest.mark.parametrize(
    ("fault", "found"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_an_answer_that_is_no_page_fails_at_once(
    sandbox: Sandbox, fault: Fault, found: str
) -> None:
    sandbox.faults.append(replace(fault, page=2, times=None))
    problem = problem_of(read_links)
    assert problem.startswith("links, page 2: the answer ")
    assert found in problem
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 1, 0]


def test_the_key_that_is_looked_for_is_named(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(replace=lambda p: {"links": p["data"]}))
    assert "the answer has no list under 'data'" in problem_of(read_clicks)


def test_what_counts_is_the_body_not_the_content_type(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(raw=b'{"links": [{"id": "a"}]}', content_type="text/plain"))
    assert [link["id"] for link in read_links()] == ["a"]


def test_an_empty_list_is_a_page(sandbox: Sandbox) -> None:
    sandbox.links = []
    assert read_links() == []
    assert len(sandbox.requests) == 1


def test_a_page_of_one_row_is_one_row(sandbox: Sandbox) -> None:
    sandbox.links = [{"id": "a"}]
    assert [link["id"] for link in read_links()] == ["a"]


def test_an_empty_page_in_between_does_not_end_paging(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(page=2, replace=lambda p: {**p, "links": []}))
    assert len(read_links()) == ALL_LINKS - 5
    assert [asked(sandbox, page) for page in (1, 2, 3)] == [1, 1, 1]


# Tokens


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        (Fault(page=2, times=9, replace=leads_to(2)), 2),
        (Fault(page=3, times=9, replace=leads_to(2)), 3),
        (Fault(page=3, times=9, replace=leads_to(3)), 3),
    ],
    ids=["A-A", "A-B-A", "A-B-B"],
)
def test_tokens_that_go_round_in_a_circle_are_reported(
    sandbox: Sandbox, fault: Fault, requests: int
) -> None:
    sandbox.faults.append(replace(fault))
    problem = problem_of(read_links)
    assert f"links, page {requests}: its nextPageToken came a second time" in problem
    assert len(sandbox.requests) == requests


@pytest.mark.parametrize("page", [1, 3])
def test_an_answer_without_content_is_an_empty_last_page(sandbox: Sandbox, page: int) -> None:
    sandbox.faults.append(Fault(page=page, status=204, body=b"", times=None))
    assert len(read_links()) == 5 * (page - 1)
    assert len(sandbox.requests) == page


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1.5, "a floating-point number"),
        (1e300, "a floating-point number"),
        (float("inf"), "a floating-point number"),
        (True, "true or false"),
        (False, "true or false"),
        (["a"], "a list"),
        ({}, "an object"),
    ],
)
def test_a_token_of_another_type_is_refused(sandbox: Sandbox, value: Any, found: str) -> None:
    sandbox.faults.append(Fault(replace=lambda p: {**p, "nextPageToken": value}))
    assert f"nextPageToken is neither text nor null (found: {found})" in problem_of(read_links)
    assert len(sandbox.requests) == 1


TOKENS = [
    ("7", "7"),
    ("-7", "-7"),
    (str(2**63), str(2**63)),
    (str(2**70), str(2**70)),
    (str(-(10**30)), str(-(10**30))),
    ("1" * 5_000, "1" * 5_000),
    ('"0"', "0"),
    ('" "', " "),
    ('"a\\u0000b\\n"', "a\0b\n"),
    ('"\\ud83d\\ude00 \u00fc"', "\U0001f600 \u00fc"),
    ('"\\uf026 not of dlt"', "\uf026 not of dlt"),
    ('"a&b=c#d%2F+"', "a&b=c#d%2F+"),
]


@pytest.mark.parametrize(("spelled", "sent"), TOKENS, ids=[ascii(case[1])[:30] for case in TOKENS])
@pytest.mark.parametrize("read", [read_links, read_clicks])
def test_a_token_is_sent_back_as_it_came(
    sandbox: Sandbox, read: Callable[..., Any], spelled: str, sent: str
) -> None:
    page = f'{{"links": [], "data": [], "nextPageToken": {spelled}}}'
    sandbox.faults.append(Fault(raw=page.encode()))
    assert "page 2: the API answered 400" in problem_of(read)
    assert sandbox.requests[1].params["pageToken"] == sent


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [
        ('"a\\ud800b"', "text with half a surrogate pair, which cannot be sent back"),
        ('"\\uf0261.5"', "text that dlt reserves for typed values"),
    ],
)
@pytest.mark.parametrize("read", [read_links, read_clicks])
def test_a_token_that_cannot_be_sent_or_kept_is_refused(
    sandbox: Sandbox, read: Callable[..., Any], spelled: str, reason: str
) -> None:
    page = f'{{"links": [{{"id": "\\ud800"}}], "data": [], "nextPageToken": {spelled}}}'
    sandbox.faults.append(Fault(raw=page.encode()))
    assert f"page 1: its nextPageToken is {reason}" in problem_of(read)
    assert len(sandbox.requests) == 1


def test_a_number_is_a_token(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault(replace=lambda p: {**p, "nextPageToken": 7}))
    assert "links, page 2: the API answered 400" in problem_of(read_links)
    assert sandbox.requests[1].params["pageToken"] == "7"


NO_TOKEN = [{"nextPageToken": None}, {"nextPageToken": ""}, {"nextPageToken": 0}, {}]


@pytest.mark.parametrize("ending", NO_TOKEN)
def test_paging_ends_where_there_is_no_token(sandbox: Sandbox, ending: Page) -> None:
    sandbox.faults.append(Fault(page=2, replace=lambda p: {"links": p["links"], **ending}))
    assert len(read_links()) == 10
    assert len(sandbox.requests) == 2


# Requests


@pytest.mark.parametrize("read", [read_links, read_clicks])
def test_the_key_is_sent_as_it_is_with_every_request(
    sandbox: Sandbox, read: Callable[..., Any]
) -> None:
    assert read()
    assert len(sandbox.requests) > 1
    assert all(record.authorized for record in sandbox.requests)


def test_a_wrong_key_is_reported_but_not_shown() -> None:
    error = failure_of(read_links, api_key="wrong-key")
    assert "answered 401 Unauthorized (the API key was not accepted" in str(error)
    assert "wrong-key" not in str(error)


def test_the_page_size_is_the_apis_own_unless_set(sandbox: Sandbox) -> None:
    assert len(read_links()) == ALL_LINKS
    assert [set(record.params) for record in sandbox.requests] == [set(), *[{"pageToken"}] * 2]


@pytest.mark.parametrize("read", [read_links, read_clicks])
def test_a_page_size_is_sent_with_every_request(sandbox: Sandbox, read: Callable[..., Any]) -> None:
    read(page_size=10)
    assert len(sandbox.requests) > 1
    assert {record.params["limit"] for record in sandbox.requests} == {"10"}


def test_the_page_size_goes_by_the_name_that_the_api_knows(sandbox: Sandbox) -> None:
    read_links(page_size=10, page_size_param="pageSize")
    assert {record.params["pageSize"] for record in sandbox.requests} == {"10"}
    assert not any("limit" in record.params for record in sandbox.requests)


# JSON


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_a_page_in_any_encoding_of_json_is_read(sandbox: Sandbox, encoding: str) -> None:
    page = json.dumps({"links": [{"id": "a", "title": "\u00fc"}]}, ensure_ascii=False)
    sandbox.faults = [Fault(raw=page.encode(encoding), times=None)]
    assert [(link["id"], link["title"]) for link in read_links()] == [("a", "\u00fc")]


@pytest.mark.parametrize(
    "page",
    [
        b'{"links": [{"id": "a"}], "of": "\xff"}',
        b'{"links": [{"id": "a"}], "\xff": 1}',
        b'{"links": [{"id": "a"}], "nextPageToken": "a\xff"}',
        b'{"links": [{"id": "a"}], "nextPageToken": "a\tb"}',
        b'{"links": [{"id": "\xff"}], "nextPageToken": "\xff"}',
        b'{"links": [{"id": "\xff"}]',
        b'{"links": [{"id": "\xff}]}',
        b'{"links": [{"id": "\xff", "st": 3\xff}]}',
        b'{"links": [{"id": "\xff", "st": 3\x01}]}',
        b'{"links": [{"id": "a"\x00}]}',
        b'{"links": [{"id": tru}]}',
        b'{"links": [{"id": "a"},]}',
    ],
)
def test_a_page_that_is_no_json_outside_its_rows_strings_is_refused(
    sandbox: Sandbox, page: bytes
) -> None:
    sandbox.faults = [Fault(raw=page, times=None)]
    assert "links, page 1: the answer is not JSON" in problem_of(read_links)


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("levels", [900, 980])
def test_what_is_deeply_nested_reaches_the_rows(sandbox: Sandbox, levels: int) -> None:
    page = b'{"links": [{"id": "a", "deep": %b}, {"id": "b"}]}' % nested(levels)
    sandbox.faults = [Fault(raw=page, times=None)]
    deep, _ = read_links()
    assert deep["deep"].encode() == nested(levels)


def test_a_page_nested_too_deeply_is_refused(sandbox: Sandbox) -> None:
    page = b'{"links": [{"id": "a", "deep": %b}]}' % nested(100_000)
    sandbox.faults = [Fault(raw=page, times=None)]
    assert "links, page 1: the answer is nested too deeply to be read" in problem_of(read_links)


def test_half_a_surrogate_pair_rejects_its_row_alone(sandbox: Sandbox) -> None:
    page = b'{"links": [{"id": "a", "title": "\\ud800"}, {"id": "b"}]}'
    sandbox.faults = [Fault(raw=page, times=None)]
    assert [link["id"] for link in read_links()] == ["b"]


def test_numbers_beyond_64_bits_reach_the_rows_whole(sandbox: Sandbox) -> None:
    sandbox.links = [{"id": "a", "big": 2**70}]
    assert [link["big"] for link in read_links()] == [str(2**70)]
