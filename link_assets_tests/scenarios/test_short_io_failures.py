"""Short.io's API when it fails, and loads of it that are killed: nothing is lost or doubled."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from link_assets.sandbox import Fault, Sandbox, World
from link_assets.sandbox.short_io import served_domains, served_links
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.scenarios.test_kills import Moment, kill, or_none_yet
from link_assets_tests.support import Location, failure_text, mostly_long, rows
from link_assets_tests.truth import expected_short_io, loaded_clicks

PAGE = 5
DICE = random.Random(20261129)


def page_2(**how: Any) -> Fault:
    return Fault(page=2, **how)


PASSING = [
    page_2(status=429, headers={"Retry-After": "0"}),
    page_2(status=500),
    page_2(status=502),
    page_2(status=503, times=3),
    page_2(status=504),
    page_2(connection="reset"),
    page_2(connection="reset_mid_body"),
    page_2(connection="short_body"),
    page_2(gzip=True),
    page_2(gzip="broken"),
]
NO_LIST = "page 2: the answer is no list (found: "
LASTING = [
    (page_2(status=500, times=4), "page 2: the API answered 500 Internal"),
    (page_2(status=401), "page 2: the API answered 401 Unauthorized (the API key was not"),
    (page_2(status=402), "page 2: the API answered 402 Payment Required (the account's plan"),
    (page_2(status=403), "see the plan of this domain's account"),
    (page_2(status=404), "page 2: the API answered 404 Not Found"),
    (page_2(connection="reset", times=4), "the API gave no whole answer"),
    (page_2(raw=b"<p>", content_type="text/html"), "page 2: the answer is not JSON"),
    (page_2(raw=b"[{}"), "page 2: the answer is not JSON"),
    (page_2(raw=b'{"success": false, "error": "no"}'), f"{NO_LIST}an object); the API says: no"),
    (page_2(raw=b"null"), f"{NO_LIST}null)"),
    (page_2(raw=b"[]"), "the service left out clicks of 20"),
    (page_2(status=204, body=b""), "the service left out clicks of 20"),
    (page_2(raw=b'[{"dt": "?"}]'), "none of its 1 clicks has a time that can be read ('dt')"),
]
FAULTS = dict(enumerate([*PASSING, *(fault for fault, _ in LASTING)], start=1))


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__PAGE_SIZE", str(PAGE))
    world = World(domains=len(FAULTS) + 1, clicks_per_domain=12, links_per_domain=1)
    return Sandbox(world=world, api="short_io")


def clicks_path(domain: int) -> str:
    return f"/statistics/domain/{domain}/last_clicks"


@pytest.mark.long
def test_what_passes_is_made_up_for_and_what_lasts_fails_its_domain_alone(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    last = len(FAULTS) + 1
    sandbox.faults = [replace(f, path=clicks_path(domain)) for domain, f in FAULTS.items()]
    result = location.clicks("1", str(last))
    whole = [*range(1, len(PASSING) + 1), last]
    there = Counter(loaded_clicks())
    assert Counter(expected_short_io(sandbox, *whole)) <= there
    every = range(1, last + 1)
    assert there <= Counter(expected_short_io(sandbox, *every))
    said = failure_text(result)
    assert f"{len(LASTING)} of {last} domains failed; the others are loaded" in said
    for domain, (_, told) in enumerate(LASTING, start=len(PASSING) + 1):
        (line,) = (x for x in said.splitlines() if x.startswith(f"clicks of domain {domain}"))
        assert told in line
    sandbox.faults = []
    assert location.clicks("1", str(last)).success
    assert loaded_clicks() == expected_short_io(sandbox, *every)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/api/links", "links of domain 1 (go1.example.com), page 1"),
        pytest.param("/api/domains", "domains, page 1", marks=pytest.mark.long),
        ("/links/folders", "folders of domain 1 (go1.example.com), page 1"),
    ],
)
def test_a_listing_that_fails_is_named_with_its_domain(
    path: str, what: str, location: Location, sandbox: Sandbox
) -> None:
    sandbox.world = World(domains=3, clicks_per_domain=0, links_per_domain=4)
    sandbox.faults = [Fault(path=path, status=401)]
    assert f"{what}: the API answered 401" in failure_text(location.links())
    assert location.links().success
    assert rows("SELECT count(*), count(deleted_at) FROM {dataset}.links") == [(12, 0)]


@pytest.mark.long
@pytest.mark.parametrize("status", mostly_long([402, 403, 404], 1))
def test_an_account_without_folders_has_domains_and_links(
    status: int, location: Location, sandbox: Sandbox
) -> None:
    sandbox.faults = [Fault(path="/links/folders", status=status, times=None)]
    assert location.links().success
    assert rows("SELECT count(*) FROM {dataset}.links") == [(len(served_links(sandbox)),)]


@pytest.mark.long
def test_a_domain_that_is_listed_without_an_id_keeps_links_from_being_marked_as_deleted(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.world = World(domains=3, clicks_per_domain=0, links_per_domain=4)
    assert location.links().success
    sandbox.domains = [{"id": 1, "hostname": "a.example"}, {"hostname": "b.example"}]
    result = location.links()
    assert rows("SELECT count(deleted_at) FROM {dataset}.links") == [(0,)]
    assert rows("SELECT resource, reason FROM {dataset}.rejected_rows") == [
        ("domains", "id: is missing")
    ]
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert {("domains", "no_rejected_rows"), ("links", "no_mass_disappearance")} <= {
        (e.asset_key.path[-1], e.check_name) for e in failed
    }


MOMENTS = {
    "amid the second chunk": Moment(5),
    "loading the second chunk": Moment(6, loading=True, after=DICE.uniform(0, 0.3)),
    "first request": Moment(1),
    "some time": Moment(1, after=DICE.uniform(0, 1.5)),
}


@pytest.mark.parametrize("moment", mostly_long(MOMENTS.values(), 1), ids=MOMENTS)
def test_a_killed_load_of_clicks_is_completed_by_the_next(
    moment: Moment, api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", str(3 * PAGE))
    sandbox.world, sandbox.latency = World(domains=1, clicks_per_domain=60), 0.02
    assert kill(sandbox, moment, load_clicks, 1) or moment.after
    assert Counter(or_none_yet(loaded_clicks)) <= Counter(expected_short_io(sandbox, 1))
    load_clicks(1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)


@pytest.mark.long
def test_a_killed_listing_leaves_no_link_or_all(api: str, sandbox: Sandbox) -> None:
    sandbox.latency = 0.01
    assert kill(sandbox, Moment(9), load_links)
    assert or_none_yet(lambda: rows("SELECT id FROM {dataset}.links")) == []
    load_links()
    assert rows("SELECT count(*) FROM {dataset}.links") == [(len(served_links(sandbox)),)]
    assert rows("SELECT count(*) FROM {dataset}.domains") == [(len(served_domains(sandbox)),)]


@pytest.mark.long
def test_a_domain_whose_clicks_to_resume_from_are_gone_is_read_from_its_newest_again(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "10")
    assert location.links().success
    sandbox.faults = [Fault(path="/statistics/domain/1/last_clicks", page=4, status=401)]
    assert not location.clicks("1").success
    ((before,),) = rows("SELECT count(*) FROM {dataset}.clicks")
    assert before
    everything = len(expected_short_io(sandbox, 1))
    sandbox.switches = replace(sandbox.switches, withheld={1: set(range(everything - 5))})
    assert location.clicks("1").success
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(before,)]
