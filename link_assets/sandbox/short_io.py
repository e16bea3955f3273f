"""Short.io's API, as its public records describe it: domains, links, folders, statistics.

`short_io_clicks` has the statistics and their clicks, `short_io_dates` how they read dates,
`short_io_rows` the rows, `short_io_world` what the world's rows look like here, and
`short_io_switches` what is not known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from starlette.requests import Request

from link_assets.sandbox.app import Handler, Position, RequestRecord, Sandbox
from link_assets.sandbox.faults import Answer
from link_assets.sandbox.short_io_clicks import EVERY_CLICK, ClickPages, Statistics
from link_assets.sandbox.short_io_dates import Dates
from link_assets.sandbox.short_io_errors import invalid, no_route, refused, unauthorized
from link_assets.sandbox.short_io_rows import ShortIoRows

LINKS = "/api/links"
MOST_DOMAINS, MOST_LINKS = 300, 150


class ShortIo:
    """The contract of Short.io, for one sandbox, and what it remembers between requests."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._rows: ShortIoRows | None = None
        self._click_pages = ClickPages()
        self._rate = _Rate(sandbox)
        self._statistics = Statistics(sandbox, self._rows_now)

    def routes(self) -> Mapping[str, Handler]:
        """Return the handler of each path."""
        domain, statistics = "/statistics/domain/{domain_id:int}", self._statistics
        return {
            "/api/domains": self._api(self._domains),
            LINKS: self._api(self._links),
            "/links/folders/{domain_id:int}": self._api(self._folders),
            f"{domain}/last_clicks": self._counted(statistics.last_clicks, "POST"),
            f"{domain}/by_interval": self._counted(statistics.by_interval, "POST"),
            f"{domain}/link_clicks": self._counted(statistics.link_clicks, "GET"),
            domain: self._counted(statistics.totals, "GET", "POST"),
            "/{path:path}": self._nothing,
        }

    def position(self, request: Request, body: Any) -> Position | None:
        """Return the page that a token, or how far back clicks are asked for, stands for."""
        path, params = request.url.path, request.query_params
        if path.endswith("/last_clicks"):
            return self._click_pages.position(path, body, self._sandbox.switches)
        listing = f"{path}?domain_id={params.get('domain_id')}" if path == LINKS else path
        token = params.get("pageToken")
        return Position(listing) if token is None else Position.read(token, listing)

    def _rows_now(self) -> ShortIoRows:
        self._rows = ShortIoRows.of(self._sandbox, self._rows)
        return self._rows

    def _api(self, handler: Handler) -> Handler:
        return self._let_in(handler, ("GET",))

    def _counted(self, handler: Handler, *methods: str) -> Handler:
        """Return a handler whose requests count towards the limit of the statistics."""

        def counted(request: Request, record: RequestRecord) -> Answer:
            return self._rate.within_limit(lambda: handler(request, record))

        return self._let_in(counted, methods)

    def _let_in(self, handler: Handler, methods: tuple[str, ...]) -> Handler:
        def let_in(request: Request, record: RequestRecord) -> Answer:
            if record.method not in methods:
                raise no_route(request)
            if not record.authorized:
                raise unauthorized()
            return handler(request, record)

        return let_in

    def _nothing(self, request: Request, record: RequestRecord) -> Answer:
        raise no_route(request)

    def _domains(self, request: Request, record: RequestRecord) -> Answer:
        limit = _number(record.params, "limit", 100, 1, MOST_DOMAINS)
        offset = _number(record.params, "offset", 0, 0)
        return Answer(self._rows_now().domains()[offset : offset + limit])

    def _folders(self, request: Request, record: RequestRecord) -> Answer:
        rows, domain_id = self._rows_now(), request.path_params["domain_id"]
        if domain_id not in rows.domain_ids():
            raise refused(404, "Domain not found")
        return Answer({"linkFolders": rows.folders(domain_id)})

    def _links(self, request: Request, record: RequestRecord) -> Answer:
        params, switches, rows = record.params, self._sandbox.switches, self._rows_now()
        if "domain_id" not in params:
            raise invalid("querystring must have required property 'domain_id'")
        domain_id = _number(params, "domain_id", 1, 1)
        if domain_id not in rows.domain_ids():
            raise refused(404, "Domain not found")
        limit = _number(params, "limit", min(self._sandbox.page_size, MOST_LINKS), 1, MOST_LINKS)
        links, here = rows.links(domain_id), record.position
        if here is None:
            raise invalid("querystring/pageToken is invalid")
        start = here.at or 0
        stop = start + (max(1, limit // 2) if switches.short_pages else limit)
        chosen = _chosen(links, params, switches.links_order)
        body: dict[str, Any] = {"count": len(links), "links": chosen[start:stop]}
        if stop < len(chosen):
            body["nextPageToken"] = replace(here, page=here.page + 1, at=stop).token()
        elif switches.last_token == "null":
            body["nextPageToken"] = None
        return Answer(body)


def _chosen(links: list[tuple[int, Any]], params: Mapping[str, str], order: str) -> list[Any]:
    """Return the links that the parameters leave, in their order. Unknown ones are ignored."""
    default = "desc" if order == "newest" else "asc"
    if (order := params.get("dateSortOrder", default)) not in ("asc", "desc"):
        raise invalid("querystring/dateSortOrder must be equal to one of the allowed values")
    dates = Dates(params, UTC, "querystring")
    after, before = dates.ms("afterDate"), dates.ms("beforeDate")
    folder = params.get("folderId")
    rows = [
        row
        for ms, row in links
        if (after is None or ms > after)
        and (before is None or ms < before)
        and (folder is None or row.get("FolderId") == folder)
    ]
    return rows if order == "desc" else rows[::-1]


def _number(
    params: Mapping[str, str], name: str, default: int, least: int, most: int | None = None
) -> int:
    text = params.get(name, str(default))
    if not text.isdecimal():
        raise invalid(f"querystring/{name} must be integer")
    if int(text) < least:
        raise invalid(f"querystring/{name} must be >= {least}")
    if most is not None and int(text) > most:
        raise invalid(f"querystring/{name} must be <= {most}")
    return int(text)


class _Rate:
    """How many requests to the statistics the key has left in this window of time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._began = -math.inf
        self._used = 0

    def within_limit(self, answer: Callable[[], Answer]) -> Answer:
        """Return the answer, or the refusal of a request that is one too many."""
        switches, now = self._sandbox.switches, time.monotonic()
        limit = switches.rate_limit
        if limit is None:
            return answer()
        if now >= self._began + switches.rate_window:
            self._began, self._used = now, 0
        self._used += 1
        headers = self._headers(limit, self._began + switches.rate_window - now)
        if self._used > limit:
            body = {"statusCode": 429, "error": "Too Many Requests"}
            return Answer({**body, "message": "Rate limit exceeded"}, 429, headers)
        given = answer()
        return replace(given, headers=headers) if switches.rate_headers else given

    def _headers(self, limit: int, wait: float) -> dict[str, str]:
        resets = {
            "seconds": f"{math.ceil(wait)}",
            "fraction": f"{wait:.3f}",
            "epoch": f"{math.ceil(time.time() + wait)}",
        }
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - self._used)),
            "x-ratelimit-reset": resets[self._sandbox.switches.rate_reset],
        }


def served_domains(sandbox: Sandbox) -> list[Any]:
    """Return every domain as the API gives it now, whatever the pages."""
    return ShortIoRows.of(sandbox).domains()


def served_folders(sandbox: Sandbox, domain_id: int) -> list[Any]:
    """Return every folder of a domain as the API gives it now."""
    return ShortIoRows.of(sandbox).folders(domain_id)


def served_links(sandbox: Sandbox, domain_id: int | None = None) -> list[Any]:
    """Return every link, or every one of a domain, as the API gives it now, newest first."""
    rows = ShortIoRows.of(sandbox)
    ids = rows.domain_ids() if domain_id is None else [domain_id]
    return [row for id in ids for _, row in rows.links(id)]


def served_clicks(sandbox: Sandbox, domain_id: int) -> list[Any]:
    """Return every click of a domain that is there now, as the API gives it in UTC, newest first.

    Clicks that are withheld or not indexed yet are not among them.
    """
    rows = ShortIoRows.of(sandbox)
    clicks = rows.clicks(domain_id)
    numbers = rows.newest_numbers(domain_id, clicks, EVERY_CLICK)
    return [clicks.row(number, rows.zone(UTC)) for number in numbers]
