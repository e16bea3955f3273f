"""Short.io's API over HTTP, as far as it is publicly known, with its traps.

`app` hands it the requests that may be answered. Where nobody knows what the service does,
`switches` decides. Clicks and their counts are served by `short_io_statistics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from link_assets.sandbox.faults import Answer
from link_assets.sandbox.records import Position, RequestRecord
from link_assets.sandbox.short_io_rows import require_domain, served_domains, served_links
from link_assets.sandbox.short_io_statistics import by_interval, last_clicks, link_clicks, totals
from link_assets.sandbox.short_io_world import folder_rows

if TYPE_CHECKING:
    from link_assets.sandbox.app import Sandbox


def page_asked(sandbox: Sandbox, record: RequestRecord) -> Position | None:
    """Return the page that a request asks for; None if its token is unreadable.

    Pages of clicks have no token: they are counted from the request without `beforeDate` on, and a
    request that comes again asks for the same page.
    """
    if record.path.endswith("/last_clicks"):
        pages, body = sandbox.memory.pages, record.body
        page, before = pages.get(record.path, (1, None))
        if not (isinstance(body, dict) and body.get("beforeDate")):
            page = 1
        elif body != before:
            page += 1
        pages[record.path] = page, body
        return Position(record.path, page)
    token, path = record.params.get("pageToken"), _listing(record)
    return Position(path) if token is None else Position.read(token, path)


def error(status: int, message: str) -> Answer:
    """Return an error as the service words it."""
    reason = responses.get(status, "Error")
    if status == 401:
        return Answer({"statusCode": 401, "error": reason, "message": reason}, 401)
    if status == 400:
        code = {"statusCode": 400, "code": "FST_ERR_VALIDATION"}
        return Answer({**code, "error": reason, "message": message}, 400)
    if message.startswith("Route "):
        return Answer({"message": message, "error": reason, "statusCode": status}, status)
    return Answer({"error": message}, status)


def nothing_at(request: Request) -> str:
    """Return the error's words for a path that is not there."""
    return f"Route {request.method}:{request.url.path} not found"


def domains(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return a page of domains."""
    _require(request, "GET")
    limit = _number(record.params, "limit", 100, 1, 300)
    offset = _number(record.params, "offset", 0, 0, 10**9)
    return Answer(served_domains(sandbox)[offset : offset + limit])


def links(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return a page of a domain's links."""
    _require(request, "GET")
    domain = _number(record.params, "domain_id", 0, 1, 2**53)
    limit = _number(record.params, "limit", 150, 1, 150)
    if record.position is None:
        raise HTTPException(400, "querystring/pageToken is not a page token")
    require_domain(sandbox, domain)
    rows, start = served_links(sandbox, domain), record.position.at or 0
    stop = start + limit
    body: dict[str, Any] = {"count": len(rows), "links": rows[start:stop]}
    if stop < len(rows):
        position = Position(_listing(record), record.position.page + 1, stop)
        body["nextPageToken"] = position.token()
    elif sandbox.switches.last_token == "null":
        body["nextPageToken"] = None
    return Answer(body)


def folders(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return the folders of a domain."""
    _require(request, "GET")
    domain = request.path_params["domain_id"]
    require_domain(sandbox, domain)
    made_up = folder_rows(domain) if sandbox.folders is None else sandbox.folders.get(domain, [])
    return Answer({"linkFolders": made_up})


ROUTES = {
    "/api/domains": domains,
    "/api/links": links,
    "/links/folders/{domain_id:int}": folders,
    "/statistics/domain/{domain_id:int}/last_clicks": last_clicks,
    "/statistics/domain/{domain_id:int}/by_interval": by_interval,
    "/statistics/domain/{domain_id:int}/link_clicks": link_clicks,
    "/statistics/domain/{domain_id:int}": totals,
}


def _require(request: Request, method: str) -> None:
    if request.method != method:
        raise HTTPException(404, nothing_at(request))


def _listing(record: RequestRecord) -> str:
    """Return what a token belongs to: the path, and the domain."""
    return f"{record.path}#{record.params.get('domain_id')}"


def _number(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = params.get(name, str(default))
    number = int(text) if text.isdecimal() else -1
    if not least <= number <= most:
        raise HTTPException(400, f"querystring/{name} must be >= {least} and <= {most}")
    return number
