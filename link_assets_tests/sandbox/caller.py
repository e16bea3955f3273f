"""A caller with the key, of a sandbox that speaks Short.io's contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

ALL: dict[str, Any] = {"period": "custom", "startDate": "2020-01-01T00:00:00Z", "tz": "UTC"}
"""The safe way to ask for the whole history of clicks."""


class Caller:
    """Asks the sandbox at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "sandbox-key"

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=5)

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=5)

    def link_pages(self, domain: int, **params: Any) -> Iterator[dict[str, Any]]:
        page = self.get("/api/links", domain_id=domain, **params).json()
        yield page
        while token := page.get("nextPageToken"):
            page = self.get("/api/links", domain_id=domain, pageToken=token, **params).json()
            yield page

    def links(self, domain: int, **params: Any) -> list[Any]:
        return [link for page in self.link_pages(domain, **params) for link in page["links"]]

    def clicks(self, domain: int, **body: Any) -> Any:
        answer = self.post(f"/statistics/domain/{domain}/last_clicks", **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def days(self, domain: int, **body: Any) -> dict[str, str]:
        body = {"clicksChartInterval": "day", **body}
        chart = self.post(f"/statistics/domain/{domain}/by_interval", **body).json()
        (dataset,) = chart["clicksStatistics"]["datasets"]
        return {point["x"]: point["y"] for point in dataset["data"]}


def click(dt: Any, **fields: Any) -> dict[str, Any]:
    """A click that a test gives."""
    return {"dt": dt, "path": "/", "human": True, "st": 302, **fields}
