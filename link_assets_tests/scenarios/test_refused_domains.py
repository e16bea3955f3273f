"""One domain whose links or folders the API refuses does not take the others' with it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from link_assets.defs.translator import DOMAINS_KEY, LINKS_KEY
from link_assets.sandbox import Fault, Sandbox, World
from link_assets.sandbox.app import RequestRecord
from link_assets.sandbox.short_io import served_domains, served_links
from link_assets.settings import api_settings
from link_assets.source.rest import links_source
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.defs.loads import said
from link_assets_tests.support import Location, failure_text, mostly_long, rows

LINKS, FOLDERS = "/api/links", "/links/folders"
REFUSED = "Links of 1 of 4 domains could not be listed; everything else is loaded."


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Three domains of four links each, two on a page, and one domain without links."""
    monkeypatch.setenv("SOURCES__LINK_ASSETS__MAX_RETRIES", "0")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__PAGE_SIZE", "2")
    world = World(domains=3, clicks_per_domain=0, links_per_domain=4)
    return Sandbox(world=world, api="short_io")


def refuse(sandbox: Sandbox, *domains: int, **how: Any) -> None:
    """Has the API refuse links of these domains from now on, and of no other."""

    def choose(record: RequestRecord) -> None:
        asked = record.params.get("domain_id")
        sandbox.faults = [fault] if asked in {str(domain) for domain in domains} else []

    fault = Fault(**{"path": LINKS, "status": 403, "times": None, **how})
    sandbox.on_request = choose


def allow(sandbox: Sandbox) -> None:
    sandbox.on_request, sandbox.faults = None, []


def links_by_domain() -> dict[int, int]:
    return dict(rows("SELECT domain_id, count(*) FROM {dataset}.links GROUP BY 1"))


def deleted() -> set[int]:
    """The domains that have links marked as deleted."""
    return {
        domain
        for (domain,) in rows(
            "SELECT DISTINCT domain_id FROM {dataset}.links WHERE deleted_at IS NOT NULL"
        )
    }


def materialized(result: dg.ExecuteInProcessResult) -> dict[dg.AssetKey | None, dict[str, Any]]:
    """What is recorded of each asset."""
    events = [e for e in result.all_events if e.is_step_materialization]
    return {
        event.asset_key: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in events
    }


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"status": 403, "page": 1}, "page 1: the API answered 403 Forbidden"),
    ({"status": 403, "page": 2}, "page 2: the API answered 403 Forbidden"),
    ({"status": 404}, "page 1: the API answered 404 Not Found"),
    ({"status": 500}, "page 1: the API answered 500 Internal Server Error"),
    ({"status": 402, "body": '{"message": "no plan"}'}, "does not include this); the API says: no"),
    ({"status": None, "raw": b"<p>"}, "page 1: the answer is not JSON"),
    ({"status": None, "replace": lambda page: {**page, "nextPageToken": [1]}}, "neither text nor"),
]


@pytest.mark.parametrize("case", mostly_long(REFUSALS, 1), ids=lambda case: case[1])
def test_what_is_refused_of_one_domain_is_named_and_all_else_is_loaded(
    case: tuple[dict[str, Any], str], location: Location, sandbox: Sandbox
) -> None:
    how, text = case
    refuse(sandbox, 2, **how)
    result = location.links()
    summary, reason = failure_text(result).splitlines()
    assert summary == REFUSED
    assert reason.startswith("links of domain 2 (go2.example.com), page ")
    assert text in reason
    rest = {2: 2} if how.get("page") == 2 else {}
    assert links_by_domain() == {1: 4, 3: 4, **rest}
    assert rows("SELECT count(*) FROM {dataset}.domains") == [(len(served_domains(sandbox)),)]
    assert location.instance.get_dynamic_partitions("domain") == ["1", "2", "3", "4"]
    allow(sandbox)
    assert location.links().success
    assert links_by_domain() == {1: 4, 2: 4, 3: 4}
    assert deleted() == set()


@pytest.mark.long
def test_domains_whose_listing_was_whole_are_recorded_and_links_are_not(
    location: Location, sandbox: Sandbox
) -> None:
    refuse(sandbox, 1, 3)
    result = location.links()
    recorded = materialized(result)
    assert recorded.keys() == {DOMAINS_KEY}
    assert recorded[DOMAINS_KEY]["rows_total"] == 4
    assert recorded[DOMAINS_KEY]["new_domains"] == ["1", "2", "3", "4"]
    checked = {e.asset_key for e in result.get_asset_check_evaluations()}
    assert checked == {DOMAINS_KEY, LINKS_KEY}
    fresh = {
        e.asset_key: e.passed
        for e in result.get_asset_check_evaluations()
        if e.check_name == "fresh"
    }
    assert fresh == {DOMAINS_KEY: True, LINKS_KEY: False}


@pytest.mark.long
@pytest.mark.parametrize("page", [1, 2])
def test_links_are_marked_as_deleted_except_those_of_a_domain_that_was_refused(
    page: int, location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    links = [link for domain in (1, 2, 3) for link in served_links(sandbox, domain)[:3]]
    sandbox.links = links
    refuse(sandbox, 2, page=page)
    assert not location.links().success
    assert deleted() == {1, 3}
    allow(sandbox)
    assert location.links().success
    assert deleted() == {1, 2, 3}


@pytest.mark.long
def test_a_first_listing_of_which_every_domain_is_refused_has_domains(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.faults = [Fault(path=LINKS, status=403, times=None)]
    assert "Links of 4 of 4 domains could not" in failure_text(location.links())
    assert rows("SELECT count(*) FROM {dataset}.domains") == [(4,)]
    assert links_by_domain() == {}
    allow(sandbox)
    assert location.links().success
    assert links_by_domain() == {1: 4, 2: 4, 3: 4}


@pytest.mark.long
def test_what_passes_is_tried_again_before_a_domain_is_given_up(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__MAX_RETRIES", "2")
    sandbox.faults = [Fault(path=LINKS, page=2, status=500, times=2)]
    assert location.links().success
    assert links_by_domain() == {1: 4, 2: 4, 3: 4}


@pytest.mark.long
def test_a_token_that_comes_again_ends_the_listing_of_its_domain_alone(
    location: Location, sandbox: Sandbox
) -> None:
    tokens: dict[str, str] = {}

    def again(page: dict[str, Any]) -> dict[str, Any]:
        token = tokens.setdefault("first", page.get("nextPageToken") or "")
        return {**page, "nextPageToken": token}

    refuse(sandbox, 2, status=None, replace=again)
    _, reason = failure_text(location.links()).splitlines()
    assert "domain 2 (go2.example.com), page 2: its nextPageToken came a second time" in reason
    assert links_by_domain() == {1: 4, 2: 4, 3: 4}
    assert location.instance.get_dynamic_partitions("domain") == ["1", "2", "3", "4"]


def test_a_key_that_is_not_accepted_fails_at_once(location: Location, sandbox: Sandbox) -> None:
    refuse(sandbox, 2, status=401)
    text = failure_text(location.links())
    assert text.startswith("links of domain 2 (go2.example.com), page 1: the API answered 401")
    asked = {record.params.get("domain_id") for record in sandbox.requests}
    assert "3" not in asked
    assert location.instance.get_dynamic_partitions("domain") == []


@pytest.mark.long
@pytest.mark.parametrize("status", [500, 422])
def test_refused_folders_are_a_warning_and_their_rows_stay(
    status: int, location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    folders = rows("SELECT id, domain_id, name FROM {dataset}.folders ORDER BY id")
    assert folders
    sandbox.faults = [Fault(path=f"{FOLDERS}/2", status=status, times=None)]
    result = location.links()
    assert result.success
    logged = said(location, result)
    assert "Folders of 1 domains could not be listed; their rows stay." in logged
    assert f"folders of domain 2 (go2.example.com), page 1: the API answered {status}" in logged
    assert rows("SELECT id, domain_id, name FROM {dataset}.folders ORDER BY id") == folders


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("path", [LINKS, f"{FOLDERS}/2"])
def test_a_script_that_looks_at_no_read_is_told_by_an_error(path: str, sandbox: Sandbox) -> None:
    if path == LINKS:
        refuse(sandbox, 2, status=500)
    else:
        sandbox.faults = [Fault(path=path, status=500, times=None)]
    with (
        pytest.raises(Exception, match=r"of domain 2 \(go2\.example\.com\), page 1: the API answe"),
        open_pipeline("links") as pipeline,
    ):
        pipeline.run(links_source(api_settings()))
