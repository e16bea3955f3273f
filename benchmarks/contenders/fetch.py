"""Receiving and parsing pages, and nothing else: `http.client`, orjson."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import orjson

from benchmarks.contenders import API_KEY, CLICKS_PATH, LINKS_PATH


def clicks(url: str, domains: str = "1") -> None:
    """The clicks of so many domains, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for domain in range(int(domains)):
        _listing(connection, CLICKS_PATH.format(domain + 1))


def links(url: str) -> None:
    """All links."""
    _listing(http.client.HTTPConnection(urlsplit(url).netloc), LINKS_PATH)


def _listing(connection: http.client.HTTPConnection, path: str) -> None:
    token, query = True, ""
    while token:
        connection.request("GET", path + query, headers={"Authorization": API_KEY})
        token = orjson.loads(connection.getresponse().read())["nextPageToken"]
        query = f"?pageToken={token}"
