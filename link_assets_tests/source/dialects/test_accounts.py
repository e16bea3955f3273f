"""What Short.io refuses an account fails for that domain alone; its two hosts are both reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from link_assets.defs.failures import explanation
from link_assets.defs.translator import CLICKS_KEY
from link_assets.settings import SettingsError, api_settings
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.short_io import KEY, STATISTICS, ShortIo, short_io_served
from link_assets_tests.support import Location, failure_text, rows

API = "SOURCES__LINK_ASSETS__"
TIMES = [f"2026-03-01T12:00:{second:02}.000Z" for second in range(9, -1, -1)]
TEAM_PLAN = {"error": "Upgrade to the Team plan to see clicks"}
NOT_YOURS = {"statusCode": 403, "error": "Forbidden", "message": "Domain is not yours"}


@pytest.fixture
def short_io() -> ShortIo:
    return ShortIo({1: TIMES, 2: TIMES})


@pytest.fixture
def api(short_io: ShortIo, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server, configured as Short.io."""
    with short_io_served(short_io) as url:
        monkeypatch.setenv(f"{API}API", "short_io")
        monkeypatch.setenv(f"{API}BASE_URL", url)
        monkeypatch.setenv(f"{API}STATISTICS_URL", f"{url}/statistics")
        monkeypatch.setenv(f"{API}API_KEY", KEY)
        monkeypatch.setenv(f"{API}BACKOFF_FACTOR", "0.01")
        yield url


def load_clicks(domain: int) -> None:
    read = ClicksRead()
    while not read.finished:
        with open_pipeline(f"clicks_{domain}") as pipeline:
            pipeline.run(clicks_source(api_settings(), domain, read))


def loaded() -> list[tuple[Any, ...]]:
    return rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1")


@pytest.mark.parametrize(
    ("status", "body", "meaning", "words"),
    [
        (402, TEAM_PLAN, "the account's plan does not include this", TEAM_PLAN["error"]),
        (403, NOT_YOURS, "the API key may not read this", NOT_YOURS["message"]),
    ],
)
def test_refused_clicks_fail_at_once_with_the_services_words_and_what_to_do(
    api: str, short_io: ShortIo, status: int, body: dict[str, Any], meaning: str, words: str
) -> None:
    short_io.gates[1] = (status, {**body, "key": KEY})
    with pytest.raises(Exception, match="clicks of domain 1") as failure:
        load_clicks(1)
    told = explanation(failure.value, "clicks of domain 1")
    assert told is not None
    said = str(told.description)
    assert said.startswith(f"clicks of domain 1, page 1: the API answered {status} ")
    assert f"({meaning}" in said
    assert f"; the API says: {words}; Short.io gives single clicks to accounts" in said
    assert KEY not in said
    assert len(short_io.asked) == 1


@pytest.mark.long
def test_a_run_loads_the_domains_that_the_account_may_read(
    location: Location, short_io: ShortIo
) -> None:
    short_io.gates[1] = (402, TEAM_PLAN)
    assert location.links().success
    result = location.clicks("1", "2")
    assert not result.success
    text = failure_text(result)
    assert "1 of 2 domains failed; the others are loaded." in text
    assert f"the API says: {TEAM_PLAN['error']}; Short.io gives single clicks" in text
    assert loaded() == [(2, len(TIMES))]
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"2"}
    short_io.gates.clear()
    assert location.clicks("1").success
    assert loaded() == [(1, len(TIMES)), (2, len(TIMES))]


@pytest.mark.parametrize("far", ["BASE_URL", "STATISTICS_URL"])
def test_each_host_is_reached_through_the_proxy_that_the_environment_has_for_it(
    api: str, short_io: ShortIo, monkeypatch: pytest.MonkeyPatch, far: str
) -> None:
    far_host = "http://short-io.invalid"
    path = "/statistics" if far == "STATISTICS_URL" else ""
    monkeypatch.setenv(f"{API}{far}", far_host + path)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, api)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    load_clicks(1)
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings()))
    assert loaded() == [(1, len(TIMES))]
    clicks = [url for url in short_io.asked if STATISTICS in url]
    others = [url for url in short_io.asked if STATISTICS not in url]
    assert clicks
    assert others
    through_proxy = clicks if far == "STATISTICS_URL" else others
    assert [url for url in short_io.asked if url.startswith(far_host)] == through_proxy


def test_certificates_are_looked_for_where_a_host_that_is_asked_needs_them(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    monkeypatch.setenv(f"{API}STATISTICS_URL", "https://127.0.0.1:9/statistics")
    links_source(api_settings())
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE points to"):
        clicks_source(api_settings(), 1)
