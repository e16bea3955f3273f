"""Errors of an API that lists links and folders by domain name the domain with its host."""

from __future__ import annotations

from typing import Any

import pytest

from link_assets.sandbox import Fault, Sandbox, serve
from link_assets.settings import ApiSettings
from link_assets.source.rest import links_source
from link_assets.warehouse.pipeline import open_pipeline


@pytest.mark.parametrize("path", ["/api/links", "/links/folders"])
@pytest.mark.parametrize(
    ("hosts", "named"),
    [
        ({"hostname": "go.example.com"}, "7 (go.example.com)"),
        (
            {"hostname": "xn--caf-dma.net", "unicodeHostname": "café.net"},
            "7 (café.net)",
        ),
        ({"hostname": None, "unicodeHostname": 5}, "7"),
    ],
)
def test_a_refused_listing_is_named_with_its_domain_and_the_host_of_that(
    hosts: dict[str, Any], named: str, path: str
) -> None:
    sandbox = Sandbox(api="short_io", domains=[{"id": 7, **hosts}], links=[], folders={7: []})
    sandbox.faults = [Fault(path=path, status=422, times=None)]
    with serve(sandbox) as url, open_pipeline("links") as pipeline:
        settings = ApiSettings(api="short_io", base_url=url, api_key=sandbox.api_key)
        with pytest.raises(Exception, match="the API answered 422") as refusal:
            pipeline.run(links_source(settings))
    assert f" of domain {named}, page 1: " in str(refusal.value)
