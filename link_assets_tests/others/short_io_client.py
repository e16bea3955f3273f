"""A caller of a sandbox that serves Short.io's contract, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from link_assets.sandbox import Sandbox, ShortIoSwitches, World, serve

WORLD = World(clicks_per_domain=60, links_per_domain=7)
EVERYTHING = {"period": "custom", "startDate": "2000-01-01T00:00:00Z", "tz": "UTC"}


class Caller:
    """A caller with the key."""

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        self.url, self.sandbox = url, sandbox
        self.session = requests.Session()
        self.session.headers["Authorization"] = sandbox.api_key

    def get(self, path: str, **params: Any) -> requests.Response:
        """Ask by GET."""
        return self.session.get(self.url + path, params=params, timeout=10)

    def post(self, what: str, domain: int = 1, **body: Any) -> requests.Response:
        """Ask for a domain's statistics by POST: of all its time, but for what the body says."""
        url = f"{self.url}/statistics/domain/{domain}{what}"
        return self.session.post(url, json={**EVERYTHING, **body}, timeout=10)

    def clicks(self, domain: int = 1, **body: Any) -> list[dict[str, Any]]:
        """Return a page of clicks; a parameter that is None is left out."""
        url = f"{self.url}/statistics/domain/{domain}/last_clicks"
        asked = {name: x for name, x in {**EVERYTHING, **body}.items() if x is not None}
        answer = self.session.post(url, json=asked, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def links(self, domain: int, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a domain's links."""
        page = self.get("/api/links", domain_id=domain, **params).json()
        yield page
        while token := page.get("nextPageToken"):
            asked = {**params, "domain_id": domain, "pageToken": token}
            page = self.get("/api/links", **asked).json()
            yield page


@contextmanager
def served(world: World | None = WORLD, **options: Any) -> Iterator[Caller]:
    """Serve a sandbox; options that it has none of are its switches."""
    switches = {name: options.pop(name) for name in [*options] if hasattr(ShortIoSwitches, name)}
    sandbox = Sandbox(world, api="short_io", switches=ShortIoSwitches(**switches), **options)
    with serve(sandbox) as url:
        yield Caller(url, sandbox)


def times(rows: list[dict[str, Any]]) -> list[str]:
    """Return when clicks happened, as the API says it."""
    return [row["dt"] for row in rows]
