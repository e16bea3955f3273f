"""`short-io-api-client`, which Short.io generates from its specification, reads the sandbox."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from link_assets_tests.others.conftest import Loaded


def call(api: str, client: Any, **parameters: Any) -> Any:
    """Return an answer as the client's models have it; any complaint of theirs raises."""
    module = import_module(f"short_io_api_client.api.{api}")
    answer = module.sync_detailed(client=client, **parameters)
    assert answer.status_code == 200
    return answer.parsed


def test_it_finds_the_domains_and_links_of_the_warehouse(loaded: Loaded) -> None:
    clients = import_module("short_io_api_client")
    client = clients.AuthenticatedClient(
        base_url=loaded.api.url,
        token=loaded.api.sandbox.api_key,
        prefix="",
        raise_on_unexpected_status=True,
    )
    hosts: dict[int, str] = {}
    while page := call("domains.get_api_domains", client, limit=2, offset=len(hosts)):
        hosts |= {domain.id: domain.hostname for domain in page}
    assert hosts == loaded.hosts()
    assert len(hosts) == 6

    links = []
    for domain in hosts:
        token: dict[str, Any] = {}
        while True:
            page = call("link_queries.get_api_links", client, domain_id=domain, limit=25, **token)
            assert page.count == len(loaded.links(domain))
            links += [
                (link.domain_id, link.id, link.path, link.original_url, link.short_url)
                for link in page.links
            ]
            if not page.next_page_token:
                break
            token = {"page_token": page.next_page_token}
    assert sorted(links) == loaded.links()
    assert len(links) == 300
