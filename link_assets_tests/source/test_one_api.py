"""A warehouse holds the rows of one API: reading another one into it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from link_assets.sandbox import Sandbox
from link_assets.settings import ApiSettings
from link_assets.source import rest, resume
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import ClicksRead, full_refresh
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import rows

REFUSED = r"holds rows of the API 'guide', and SOURCES__LINK_ASSETS__API is 'short_io': .*Set it"


@pytest.fixture
def settings(api: str, sandbox: Sandbox) -> ApiSettings:
    return ApiSettings(base_url=api, api_key=sandbox.api_key, backoff_factor=0)


def load_links(settings: ApiSettings) -> None:
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(settings))


def load_clicks(settings: ApiSettings, read: ClicksRead | None = None) -> None:
    with open_pipeline("clicks_1") as pipeline:
        pipeline.run(clicks_source(settings, 1, read))


LOADS = pytest.mark.parametrize("load", [load_links, load_clicks], ids=["links", "clicks"])


@LOADS
def test_another_api_is_refused_with_a_sentence_before_it_is_asked(
    load: Callable[[ApiSettings], None], settings: ApiSettings, sandbox: Sandbox
) -> None:
    load(settings)
    load(settings)
    sandbox.reset_log()
    with pytest.raises(Exception, match=REFUSED):
        load(replace(settings, api="short_io", statistics_url=settings.base_url))
    assert sandbox.requests == []
    load(settings)


@LOADS
def test_rows_of_earlier_versions_are_the_guides(
    load: Callable[[ApiSettings], None], settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        for module in (rest, resume):
            earlier.setattr(module, "require_same_api", lambda *_, **__: None)
        load(settings)
    with pytest.raises(Exception, match=REFUSED):
        load(replace(settings, api="short_io", statistics_url=settings.base_url))
    load(settings)


def test_a_full_refresh_of_a_domain_with_rows_does_not_change_the_api(
    settings: ApiSettings,
) -> None:
    load_clicks(settings)
    other = replace(settings, api="short_io", statistics_url=settings.base_url)
    with pytest.raises(Exception, match=REFUSED):
        load_clicks(other, ClicksRead(full_refresh("run", is_empty=False)))
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
