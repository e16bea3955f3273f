"""Short.io's API, whichever way it does what nobody outside knows: every row, once.

What is unknown is a switch of the sandbox. Every position of each is read, and those that touch
the paging of clicks in every combination. Rows are compared field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Literal

import pytest

from link_assets.sandbox import Sandbox, World, serve
from link_assets.sandbox import ShortIoSwitches as Switches
from link_assets.sandbox.short_io import served_domains, served_links
from link_assets.settings import ApiSettings
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import mostly_long, rows
from link_assets_tests.truth import (
    expected_links,
    expected_short_io,
    expected_tags,
    loaded_clicks,
    loaded_links,
    loaded_tags,
)

PAGE = 20
NEWEST = datetime(2026, 2, 20, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def at(time: datetime, count: int, name: str) -> list[dict[str, Any]]:
    """Clicks of one millisecond, every third of them the same as others in every field."""
    text = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        {"dt": text, "host": "go1.example.com", "path": f"/{name}", "st": 302, "ip": f"{n % 3}"}
        for n in range(count)
    ]


def crowded() -> list[dict[str, Any]]:
    """Clicks in groups of one millisecond: fewer than a page, a page, more; some side by side."""
    sizes = (1, 3, PAGE, 2 * PAGE + 3, 1, 1, PAGE - 1, PAGE + 1, 2, PAGE, 5)
    times = [NEWEST - n * MILLISECOND * (1 if n % 2 else 1000) for n in range(len(sizes))]
    return [row for n, size in enumerate(sizes) for row in at(times[n], size, f"group-{n}")]


@pytest.fixture
def sandbox() -> Sandbox:
    world = World(clicks_per_domain=70, links_per_domain=7)
    return Sandbox(world=world, api="short_io", clicks={1: crowded()})


@pytest.fixture
def settings(sandbox: Sandbox) -> Iterator[ApiSettings]:
    with serve(sandbox) as url:
        yield ApiSettings(
            api="short_io",
            base_url=url,
            statistics_url=f"{url}/statistics",
            api_key=sandbox.api_key,
            page_size=PAGE,
            backoff_factor=0,
            chunk_rows=100,
        )


def load_clicks(settings: ApiSettings, domain: int) -> ClicksRead:
    read = ClicksRead()
    while not read.finished:
        with open_pipeline(f"clicks_{domain}") as pipeline:
            pipeline.run(clicks_source(settings, domain, read))
    return read


def load_links(settings: ApiSettings) -> None:
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(settings))


LIMITS: list[tuple[int, Literal["clamp", "refuse"]]] = [
    (1000, "clamp"),
    (160, "clamp"),
    (160, "refuse"),
]
PAGING = [
    Switches(before, shuffle_ties=shuffled, short_pages=short, max_limit=most, over_limit=over)
    for before, shuffled, short, (most, over) in product(
        (False, True), (False, True), (False, True), LIMITS
    )
]
"""What decides how clicks are paged, in every combination."""

OTHERS = [
    Switches(after_inclusive=True),
    Switches(hosts="unicode"),
    Switches(dt_zone="America/New_York"),
    Switches(end_inclusive=False),
    Switches(encoded_paths=True),
    Switches(goal_completed="null"),
    Switches(goal_completed="absent"),
    Switches(total_is_empty=True),
    Switches(cache_seconds=0),
]


def named(switches: Switches) -> str:
    default = Switches()
    changed = {f.name: getattr(switches, f.name) for f in fields(Switches)}
    return " ".join(f"{k}={v}" for k, v in changed.items() if v != getattr(default, k)) or "likely"


@pytest.mark.parametrize("switches", mostly_long(PAGING, 3), ids=named)
def test_every_click_of_a_crowded_time_is_there_once_however_pages_are_cut(
    switches: Switches, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = switches
    load_clicks(settings, 1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)
    load_clicks(settings, 1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)


@pytest.mark.parametrize("switches", mostly_long(OTHERS, 3), ids=named)
def test_every_click_is_there_once_whatever_is_in_it(
    switches: Switches, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = switches
    for domain in (2, 3):
        load_clicks(settings, domain)
    assert loaded_clicks() == expected_short_io(sandbox, 2, 3)


@pytest.mark.long
@pytest.mark.parametrize("over_limit", ["clamp", "refuse"])
@pytest.mark.parametrize("before_inclusive", [False, True])
def test_more_clicks_of_one_time_than_can_be_had_are_an_error_and_newer_ones_are_loaded(
    over_limit: Any, before_inclusive: bool, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = Switches(
        before_inclusive=before_inclusive, over_limit=over_limit, max_limit=PAGE + 5
    )
    newer, older = at(NEWEST, 30, "newer"), at(NEWEST - 3 * MILLISECOND, 30, "older")
    newer = [
        {**row, "dt": (NEWEST + n * MILLISECOND).isoformat()} for n, row in enumerate(newer, 1)
    ]
    sandbox.clicks = {1: [*newer, *at(NEWEST, PAGE + 6, "many"), *older]}
    with pytest.raises(Exception, match="within one millisecond") as failure:
        load_clicks(settings, 1)
    assert "clicks of domain 1, page " in str(failure.value)
    assert "2026-02-20T00:00:00.000Z" in str(failure.value)
    assert rows("SELECT count(*) FROM {dataset}.clicks WHERE path = '/newer'") == [(30,)]


@pytest.mark.long
@pytest.mark.parametrize("most", mostly_long([600, 500, 100], 1))
@pytest.mark.parametrize("over_limit", ["clamp", "refuse"])
def test_a_load_fails_if_the_oldest_time_has_more_clicks_than_can_be_had(
    over_limit: Any, most: int, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = Switches(over_limit=over_limit, max_limit=most)
    sandbox.clicks = {1: [*at(NEWEST + MILLISECOND, 1, "newer"), *at(NEWEST, 1200, "many")]}
    with pytest.raises(Exception, match="within one millisecond"):
        load_clicks(replace(settings, page_size=None), 1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("over_limit", "most", "count"),
    [("clamp", 600, 595), ("clamp", 100, 95), ("refuse", 600, 480), ("refuse", 100, 95)],
)
def test_an_oldest_time_whose_clicks_can_be_had_is_there_whole(
    over_limit: Any, most: int, count: int, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = Switches(over_limit=over_limit, max_limit=most)
    sandbox.clicks = {1: [*at(NEWEST + MILLISECOND, 1, "newer"), *at(NEWEST, count, "many")]}
    load_clicks(replace(settings, page_size=None), 1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)


@pytest.mark.long
@pytest.mark.parametrize("short", [False, True])
def test_more_clicks_of_one_time_than_a_page_of_the_usual_size_are_all_there(
    short: bool, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = Switches(max_limit=5000, short_pages=short)
    groups = [(3, 1), (2, 700), (1, 2), (0, 600)]
    clicks = [row for ms, count in groups for row in at(NEWEST + ms * MILLISECOND, count, f"{ms}")]
    sandbox.clicks = {1: clicks}
    load_clicks(replace(settings, page_size=None), 1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)


def test_clicks_that_come_oldest_first_are_an_error_that_says_so(
    sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = Switches(clicks_order="oldest")
    with pytest.raises(Exception, match="come oldest first, so the newer ones cannot be"):
        load_clicks(settings, 2)


LISTINGS = [
    Switches(),
    Switches(last_token="absent"),
    Switches(links_order="oldest"),
    Switches(archived_listed=False),
    Switches(domains_order="newest"),
    Switches(domains_order="hostname"),
    Switches(short_pages=True),
    Switches(link_fields_missing=frozenset({"DomainId"})),
    Switches(old_rows=True),
    Switches(numeric_dates="all"),
    Switches(numeric_dates="none"),
]


@pytest.mark.parametrize("switches", mostly_long(LISTINGS, 5), ids=named)
def test_every_domain_link_and_tag_is_there_under_every_switch(
    switches: Switches, sandbox: Sandbox, settings: ApiSettings
) -> None:
    sandbox.switches = switches
    load_links(replace(settings, page_size=4))
    domains = [domain["id"] for domain in served_domains(sandbox)]
    listed = [
        {"DomainId": domain, **link} for domain in domains for link in served_links(sandbox, domain)
    ]
    assert loaded_links() == expected_links(map(by_the_guide, listed))
    assert loaded_tags() == expected_tags([{"tags": [], **link} for link in listed])
    found = rows("SELECT id, hostname, unicode_hostname FROM {dataset}.domains")
    assert sorted(found) == sorted(
        (d["id"], d["hostname"], d["unicodeHostname"]) for d in served_domains(sandbox)
    )
    assert rows("SELECT count(*) FROM {dataset}.rejected_rows") == [(0,)]


def by_the_guide(link: Mapping[str, Any]) -> dict[str, Any]:
    """A link with its values as the guide's columns have them."""
    texts = {name: str(link[name]) for name in ("splitPercent", "clicksLimit") if name in link}
    target = link["originalURL"]
    campaign = target.partition("utm_id=")[2] or link.get("utmCampaignId")
    times = {name: as_text(link[name]) for name in ("createdAt", "expiresAt") if name in link}
    return {**link, **texts, **times, "utmCampaignId": campaign}


def as_text(time: Any) -> Any:
    if isinstance(time, str):
        return time
    moment = datetime(1970, 1, 1, tzinfo=UTC) + time * MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_folders_are_a_table_and_links_name_theirs(sandbox: Sandbox, settings: ApiSettings) -> None:
    load_links(settings)
    joined = rows(
        "SELECT count(*), count(f.id) FROM {dataset}.links AS l LEFT JOIN {dataset}.folders AS f"
        " ON f.id = l.folder_id AND f.domain_id = l.domain_id WHERE l.folder_id IS NOT NULL"
    )
    in_folders = sum(bool(link.get("FolderId")) for link in served_links(sandbox))
    assert joined == [(in_folders, in_folders)]
    assert in_folders > 0


def test_secrets_of_domains_are_in_no_table(sandbox: Sandbox, settings: ApiSettings) -> None:
    unreadable = {**served_domains(sandbox)[0], "id": "not a number"}
    sandbox.domains = [*served_domains(sandbox), unreadable]
    load_links(settings)
    assert rows("SELECT resource FROM {dataset}.rejected_rows") == [("domains",)]
    for table in ("domains", "rejected_rows"):
        content = repr(rows(f"SELECT * FROM {{dataset}}.{table}"))
        assert "-secret" not in content
    columns = repr(rows("SELECT column_name FROM information_schema.columns"))
    assert not any(name in columns for name in ("segment_key", "webhook_url", "client_storage"))
    assert "-secret" in repr(served_domains(sandbox))


def test_a_domain_without_links_is_a_domain(sandbox: Sandbox, settings: ApiSettings) -> None:
    sandbox.links = served_links(sandbox, 1)
    load_links(settings)
    assert rows("SELECT id FROM {dataset}.domains ORDER BY id") == [(1,), (2,), (3,), (4,)]
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.links") == [(1,)]


def test_more_domains_than_a_page_are_all_found(sandbox: Sandbox, settings: ApiSettings) -> None:
    sandbox.world = World(domains=601, links_per_domain=0, clicks_per_domain=0)
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(settings).with_resources("domains"))
    assert rows("SELECT count(*) FROM {dataset}.domains") == [(602,)]


def test_requests_have_a_period_a_zone_and_an_end_of_their_own(
    sandbox: Sandbox, settings: ApiSettings
) -> None:
    load_clicks(settings, 2)
    load_clicks(settings, 2)
    asked = [record.body for record in sandbox.requests]
    assert {body["period"] for body in asked} == {"custom"}
    assert {body["tz"] for body in asked} == {"UTC"}
    assert len({repr(body) for body in asked}) == len(asked)
    dates = [body[name] for body in asked for name in body if name.endswith("Date")]
    assert all(datetime.fromisoformat(date).tzinfo == UTC for date in dates)


@pytest.mark.long
def test_late_and_revised_clicks_within_the_lookback_arrive(
    sandbox: Sandbox, settings: ApiSettings
) -> None:
    indexed = [click for click in crowded() if click["path"] != "/group-3"]
    sandbox.clicks = {1: indexed}
    load_clicks(settings, 1)
    assert rows("SELECT count(*) FROM {dataset}.clicks WHERE path = '/group-3'") == [(0,)]
    revised = [{**click, "human": True, "country": "Kenya"} for click in crowded()]
    sandbox.clicks = {1: revised}
    load_clicks(settings, 1)
    assert loaded_clicks() == expected_short_io(sandbox, 1)


def test_a_later_run_asks_for_new_clicks_and_the_lookback_alone(
    sandbox: Sandbox, settings: ApiSettings
) -> None:
    world = World(clicks_per_domain=3000, links_per_domain=1)
    sandbox.world, settings = (
        world,
        replace(settings, page_size=100, clicks_lookback_days=1, chunk_rows=10_000),
    )
    load_clicks(settings, 2)
    sandbox.world = world.grown(200)
    sandbox.reset_log()
    load_clicks(settings, 2)
    a_day = 3000 / world.span.days
    assert len(sandbox.requests) <= (200 + a_day) / 100 + 2
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(3200,)]


@pytest.mark.long
def test_a_million_known_clicks_cost_a_later_run_no_request(
    sandbox: Sandbox, settings: ApiSettings
) -> None:
    world = World(clicks_per_domain=1_000_000, links_per_domain=1, domains=2)
    sandbox.world, sandbox.switches = world, Switches(max_limit=20_000)
    whole = replace(settings, page_size=20_000, chunk_rows=200_000, clicks_lookback_days=0.1)
    load_clicks(whole, 2)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(1_000_000,)]
    sandbox.world = world.grown(2000)
    sandbox.reset_log()
    load_clicks(replace(whole, page_size=500), 2)
    lookback = 0.1 * 1_000_000 / world.span.days
    assert len(sandbox.requests) <= (2000 + lookback) / (500 - 2) + 2
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(1_002_000,)]
