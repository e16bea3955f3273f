"""Only receiving and parsing pages, by `http.client` or by dlt's REST client, with orjson."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import orjson
from dlt.sources.helpers.requests import Response
from dlt.sources.helpers.rest_client.auth import APIKeyAuth
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from benchmarks.contenders import API_KEY, CLICKS_PATH, LINKS_PATH


def clicks(url: str, domains: str = "1") -> None:
    """The clicks of so many domains, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for domain in range(int(domains)):
        _listing(connection, CLICKS_PATH.format(domain + 1))


def links(url: str) -> None:
    """All links."""
    _listing(http.client.HTTPConnection(urlsplit(url).netloc), LINKS_PATH)


def rest_clicks(url: str) -> None:
    """The clicks of domain 1, by dlt's REST client."""
    _rest_listing(url, CLICKS_PATH.format(1), "data")


def rest_links(url: str) -> None:
    """All links, by dlt's REST client."""
    _rest_listing(url, LINKS_PATH, "links")


def _rest_listing(url: str, path: str, selector: str) -> None:
    paginator = JSONResponseCursorPaginator("nextPageToken", cursor_param="pageToken")
    auth = APIKeyAuth(name="Authorization", api_key=API_KEY, location="header")
    client = RESTClient(url, auth=auth, paginator=paginator)
    for _ in client.paginate(path, data_selector=selector, hooks={"response": [_parse_fast]}):
        pass


def _parse_fast(response: Response, *_: Any, **__: Any) -> None:
    # the standard library would take half as long again
    response.json = lambda **_: orjson.loads(response.content)  # type: ignore[method-assign]


def _listing(connection: http.client.HTTPConnection, path: str) -> None:
    token, query = True, ""
    while token:
        connection.request("GET", path + query, headers={"Authorization": API_KEY})
        token = orjson.loads(connection.getresponse().read())["nextPageToken"]
        query = f"?pageToken={token}"
