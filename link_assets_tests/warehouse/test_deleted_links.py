"""Links that are gone from a complete listing are marked, once; all others are left alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from link_assets.contract import LINKS
from link_assets.defs import configuration
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import api_settings
from link_assets.source import rest
from link_assets.source.links_read import LinksRead, known_links
from link_assets.source.rest import links_source
from link_assets.warehouse.deleted_links import Disappearance, LinkListing
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import Location, mostly_long, rows

CHECK = "no_mass_disappearance"
SPARED = [
    ({"id": "0", "archived": "perhaps"}, 1),
    ({"id": None, "idString": "0", "DomainId": "odd"}, 1),
    ({"id": 0, "tags": "no list"}, 1),
    ({"id": ["x"], "idString": "0"}, 1),
    ({"id": "another", "idString": "0", "archived": "perhaps"}, 2),
]
WITHOUT_ID = [{"title": "no id"}, {"id": {}, "idString": ""}, "not an object", None]


def some_links(count: int, first: int = 0) -> list[Any]:
    """Links with the ids `first` and up, of three domains alternately, each with two tags."""
    return [
        {"id": f"{number}", "DomainId": 1 + number % 3, "tags": [f"a{number}", "b"]}
        for number in range(first, first + count)
    ]


def listed(location: Location, sandbox: Sandbox, links: list[Any]) -> dg.ExecuteInProcessResult:
    """A run that finds these links listed."""
    sandbox.links = links
    result = location.links()
    assert result.success
    return result


def compared(
    sandbox: Sandbox, links: list[Any], share: float = 0.5, unlisted: Collection[int] = ()
) -> Disappearance:
    """What becomes of the others when these links are listed, as the asset does it."""
    sandbox.links, read = links, LinksRead()
    with open_pipeline("links") as pipeline:
        listing = LinkListing(pipeline)
        read.known = known_links(listing.present)
        pipeline.run(links_source(api_settings(), read))
        return listing.mark_deleted(read.listed, read.unread, share, unlisted)


def numbers(result: dg.ExecuteInProcessResult) -> tuple[Any, ...]:
    """What the materialization says: links before, missing among them, marked as deleted."""
    _, materialized = result.asset_materializations_for_node("links")
    names = ("links_before", "links_missing", "marked_deleted")
    return tuple(materialized.metadata[name].value for name in names)


def verdict(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """What the check that comes with a run found."""
    (found,) = [e for e in result.get_asset_check_evaluations() if e.check_name == CHECK]
    return found


def deleted() -> dict[str, datetime]:
    """When each marked link was marked."""
    return dict(rows("SELECT id, deleted_at FROM {dataset}.links WHERE deleted_at IS NOT NULL"))


def tags_of(link: str) -> list[str]:
    found = rows(
        "SELECT t.value FROM {dataset}.links__tags AS t JOIN {dataset}.links AS l"
        f" ON l._dlt_id = t._dlt_parent_id WHERE l.id = '{link}' ORDER BY t._dlt_list_idx"
    )
    return [tag for (tag,) in found]


def allow(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, disappeared_share=share)
    )


def test_a_link_that_is_gone_is_marked_once_and_keeps_its_tags(
    location: Location, sandbox: Sandbox
) -> None:
    first = listed(location, sandbox, some_links(4))
    assert (numbers(first), deleted()) == ((0, 0, 0), {})
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert numbers(listed(location, sandbox, some_links(3))) == (4, 1, 1)
    marked = deleted()
    assert marked.keys() == {"3"}
    assert before <= marked["3"] <= datetime.now(UTC) + timedelta(seconds=1)
    assert compared(sandbox, some_links(3)) == Disappearance(3, 0, marked=False)
    assert compared(sandbox, some_links(2)) == Disappearance(3, 1, marked=True)
    later = deleted()
    assert later["3"] == marked["3"] < later["2"]
    assert (tags_of("3"), tags_of("2"), tags_of("1")) == (["a3", "b"], ["a2", "b"], ["a1", "b"])


@pytest.mark.usefixtures("api")
def test_a_link_that_comes_back_loses_its_mark_and_can_be_marked_again(sandbox: Sandbox) -> None:
    for links in (some_links(3), some_links(2)):
        compared(sandbox, links)
    ((gone, first),) = deleted().items()
    *others, returned = some_links(3)
    again = compared(sandbox, [*others, {**returned, "tags": ["new"]}])
    assert (again, deleted()) == (Disappearance(2, 0, marked=False), {})
    assert tags_of(gone) == ["new"]
    assert rows("SELECT count(*) FROM {dataset}.links") == [(3,)]
    compared(sandbox, some_links(2))
    assert deleted().keys() == {gone}
    assert deleted()[gone] > first


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    mostly_long(
        [
            Fault(page=2, raw=b'{"links": [{"id": "0"', times=None),
            Fault(page=2, status=503, times=None),
            Fault(page=2, status=403, times=None),
            Fault(page=2, times=None, replace=lambda page: {**page, "links": None}),
        ],
        1,
    ),
    ids=["cut off", "unavailable", "refused", "no list"],
)
def test_an_incomplete_listing_marks_nothing(
    location: Location, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.page_size = 2
    compared(sandbox, some_links(6))
    loads = rows("SELECT DISTINCT _dlt_load_id FROM {dataset}.links")
    sandbox.links, sandbox.faults = some_links(5), [fault]
    assert not location.links().success
    assert (deleted(), rows("SELECT DISTINCT _dlt_load_id FROM {dataset}.links")) == ({}, loads)
    sandbox.faults.clear()
    assert compared(sandbox, some_links(5)) == Disappearance(6, 1, marked=True)


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("case", mostly_long(SPARED, 1), ids=repr)
def test_a_listed_but_rejected_link_is_not_marked(
    sandbox: Sandbox, case: tuple[dict[str, Any], int]
) -> None:
    unreadable, missing = case
    compared(sandbox, some_links(4))
    gone = compared(sandbox, [unreadable, *some_links(2, first=1)])
    assert rows("SELECT count(*) FROM {dataset}.rejected_rows") == [(1,)]
    assert gone == Disappearance(4, missing, marked=True)
    assert deleted().keys() == ({"3"} if missing == 1 else {"0", "3"})


@pytest.mark.usefixtures("api")
def test_links_of_domains_that_were_not_listed_are_neither_marked_nor_counted(
    sandbox: Sandbox,
) -> None:
    compared(sandbox, some_links(9))
    left = [link for link in some_links(9) if link["id"] in ("0", "3", "1")]
    gone = compared(sandbox, left, share=0.4, unlisted=[2, 3])
    assert (gone, deleted().keys()) == (Disappearance(3, 1, marked=True), {"6"})
    gone = compared(sandbox, left, share=0.4, unlisted=[3])
    assert (gone, deleted().keys()) == (Disappearance(5, 2, marked=True), {"4", "6", "7"})


@pytest.mark.long
@pytest.mark.usefixtures("api")
def test_a_marked_link_keeps_the_time_of_its_mark(sandbox: Sandbox) -> None:
    compared(sandbox, some_links(3))
    unreadable = {"id": "0", "archived": "perhaps"}
    gone = compared(sandbox, [unreadable, *some_links(1, first=1)])
    assert (gone, deleted().keys()) == (Disappearance(3, 1, marked=True), {"2"})
    since = deleted()["2"]
    gone = compared(sandbox, some_links(1, first=1))
    assert (gone, deleted().keys()) == (Disappearance(2, 1, marked=True), {"0", "2"})
    assert deleted()["2"] == since


@pytest.mark.long
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("unreadable", mostly_long(WITHOUT_ID, 1), ids=repr)
def test_nothing_is_marked_if_a_rejected_link_has_no_id(sandbox: Sandbox, unreadable: Any) -> None:
    compared(sandbox, some_links(4))
    gone = compared(sandbox, [unreadable, *some_links(3)])
    assert (gone, deleted()) == (Disappearance(4, 1, marked=False, unnamed=1), {})
    assert compared(sandbox, some_links(3)) == Disappearance(4, 1, marked=True)


@pytest.mark.long
@pytest.mark.usefixtures("api")
def test_links_that_a_killed_run_left_unmarked_are_marked_by_the_next(sandbox: Sandbox) -> None:
    compared(sandbox, some_links(4))
    sandbox.links = some_links(3)
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings()))
    assert deleted() == {}
    assert compared(sandbox, some_links(3)) == Disappearance(4, 1, marked=True)
    assert deleted().keys() == {"3"}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    "case",
    mostly_long(
        [
            (10, 5, 0.5, True),
            (10, 4, 0.5, False),
            (4, 0, 1, True),
            (100, 71, 0.29, True),
            (100, 70, 0.29, False),
            (4, 3, 0, False),
            (4, 0, 0.5, False),
            (4, 0, 0.99, False),
        ],
        2,
    ),
)
def test_links_are_marked_only_up_to_the_allowed_share(
    sandbox: Sandbox, case: tuple[int, int, float, bool]
) -> None:
    before, left, share, marked = case
    compared(sandbox, some_links(before))
    missing = before - left
    assert compared(sandbox, some_links(left), share) == Disappearance(before, missing, marked)
    assert len(deleted()) == (missing if marked else 0)
    assert rows("SELECT count(*) FROM {dataset}.links") == [(before,)]


@pytest.mark.parametrize("left", mostly_long([1, 0], 1))
def test_if_more_than_the_share_is_missing_the_check_fails_with_the_numbers(
    location: Location, sandbox: Sandbox, left: int
) -> None:
    compared(sandbox, some_links(4))
    result = listed(location, sandbox, some_links(left))
    missing = 4 - left
    assert (numbers(result), deleted()) == ((4, missing, 0), {})
    found = verdict(result)
    expected_text = f"{missing} of 4 links were missing from the last listing, and none was marked"
    assert not found.passed
    assert str(found.description).startswith(expected_text)
    expected = {"links_missing": missing, "links_before": 4, "links_without_id": 0}
    shown = {name: value.value for name, value in found.metadata.items() if name != "finding"}
    assert shown == expected


@pytest.mark.long
def test_raising_the_share_marks_what_was_too_much_before(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(sandbox, some_links(4))
    compared(sandbox, some_links(1))
    refused = verdict(listed(location, sandbox, some_links(1)))
    assert not refused.passed
    assert "raise LINK_ASSETS__DISAPPEARED_SHARE" in str(refused.description)
    allow(monkeypatch, 0.75)
    result = listed(location, sandbox, some_links(1))
    assert (numbers(result), verdict(result).passed) == ((4, 3, 3), True)
    assert deleted().keys() == {"1", "2", "3"}


@pytest.mark.long
def test_a_listing_of_only_new_links_marks_none_of_the_old_ones(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(sandbox, some_links(3))
    result = listed(location, sandbox, some_links(30, first=100))
    assert (numbers(result), deleted(), verdict(result).passed) == ((3, 3, 0), {}, False)
    allow(monkeypatch, 0.1)
    result = listed(location, sandbox, some_links(30, first=100))
    assert numbers(result) == (33, 3, 3)
    assert deleted().keys() == {"0", "1", "2"}


@pytest.mark.long
def test_the_domains_of_deleted_links_stay(location: Location, sandbox: Sandbox) -> None:
    listed(location, sandbox, some_links(3))
    result = listed(location, sandbox, some_links(2))
    assert numbers(result) == (3, 1, 1)
    assert rows("SELECT domain_id FROM {dataset}.links WHERE deleted_at IS NOT NULL") == [(3,)]
    assert location.instance.get_dynamic_partitions(PARTITIONS_NAME) == ["1", "2", "3"]


@pytest.mark.long
@pytest.mark.usefixtures("api")
def test_a_link_that_another_run_lists_meanwhile_is_not_marked(sandbox: Sandbox) -> None:
    compared(sandbox, some_links(4))
    sandbox.links = some_links(3)
    with open_pipeline("links") as ours, open_pipeline("links") as theirs:
        listing, read = LinkListing(ours), LinksRead()
        for pipeline in (ours, theirs):
            pipeline.run(links_source(api_settings(), read))
        assert listing.mark_deleted(read.listed, [], 1) == Disappearance(
            present=4, missing=1, marked=True
        )
    assert deleted().keys() == {"3"}


@pytest.mark.usefixtures("api")
def test_links_loaded_before_the_column_existed_can_be_marked(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.links = some_links(4)
    with monkeypatch.context() as earlier, open_pipeline("links") as pipeline:
        earlier.setattr(rest, "LINKS", replace(LINKS, added=()))
        pipeline.run(links_source(api_settings()))
    assert compared(sandbox, some_links(3)) == Disappearance(present=4, missing=1, marked=True)
    assert deleted().keys() == {"3"}
