"""`pyshortio`, a client that others wrote, reads links from the sandbox."""

from __future__ import annotations

from importlib import import_module

from link_assets_tests.others.conftest import Loaded


def test_it_finds_the_domains_and_links_of_the_warehouse(loaded: Loaded) -> None:
    client = import_module("pyshortio.client").Client(
        token=loaded.api.sandbox.api_key, endpoint=loaded.api.url
    )
    _, domains = client.list_domains()
    assert {domain.id: domain.hostname for domain in domains} == loaded.hosts()
    links = [
        (domain.id, link.id, link.path, link.original_url, link.short_url)
        for domain in domains
        for _, page in client.pagi_list_links(domain_id=domain.id, limit=25)
        for link in page
    ]
    assert sorted(links) == loaded.links()
    assert len(links) == 300
