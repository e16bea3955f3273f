"""The guide's API over HTTP: its two listings, its page tokens.

`app` hands it the requests that may be answered. It reads nothing but the made-up world, or the
rows that a test gives the sandbox.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from link_assets.sandbox.faults import Answer, error
from link_assets.sandbox.records import Position, RequestRecord
from link_assets.sandbox.world import World, milliseconds

if TYPE_CHECKING:
    from link_assets.sandbox.app import Sandbox

__all__ = ["ROUTES", "error", "nothing_at", "page_asked"]


def page_asked(sandbox: Sandbox, record: RequestRecord) -> Position | None:
    """Return the page that a request asks for; None if its token is unreadable."""
    token = record.params.get("pageToken")
    return Position(record.path) if token is None else Position.read(token, record.path)


def links(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return a page of all links."""
    _require_get(request)
    if sandbox.links is not None:
        return _page(sandbox, record, _listed("links", sandbox.links))
    made_up = sandbox.world.links() if sandbox.world else []
    return _page(sandbox, record, _listed("links", made_up, made_up=True))


def clicks(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return a page of a domain's clicks."""
    _require_get(request)
    domain_id, since = request.path_params["domain_id"], _since(sandbox, request)
    rows = (sandbox.clicks or {}).get(domain_id)
    if rows is not None:
        wanted = rows if since is None else [r for r in rows if _from(r, since)]
        return _page(sandbox, record, _listed("data", wanted))
    if sandbox.world and domain_id in sandbox.world.domain_ids():
        return _page(sandbox, record, _world_clicks(sandbox.world, domain_id, since))
    raise HTTPException(404, f"There is no domain {domain_id}.")


def nothing_at(request: Request) -> str:
    """Return the error's words for a path that is not there."""
    return f"There is nothing at {request.url.path}."


ROUTES = {"/v1/links": links, "/v1/domain/{domain_id:int}/link_clicks": clicks}


@dataclass(frozen=True)
class Listing:
    """Rows, newest first, as `rows(start, stop)`.

    In one that `grows` a page token counts the rows from there to the oldest, so new rows move
    no page; in any other it counts from the newest, so rows put in front shift the pages.
    """

    key: str
    size: int
    rows: Callable[[int, int], list[Any]]
    grows: bool = False
    made_up: bool = False

    def place(self, at: int) -> int:
        """Return an offset as a token has it, and the other way round."""
        return self.size - at if self.grows else at


def _page(sandbox: Sandbox, record: RequestRecord, listing: Listing) -> Answer:
    """Return the page that a request asks for."""
    here = record.position
    if here is None:
        raise HTTPException(400, "The pageToken is not one of this listing.")
    start = 0 if here.at is None else max(0, listing.place(here.at))
    stop = start + _limit(sandbox, record.params)
    after = Position(here.path, here.page + 1, listing.place(stop)).token()
    body: dict[str, Any] = {"count": listing.size} if listing.key == "links" else {}
    body[listing.key] = listing.rows(start, stop)
    body["nextPageToken"] = after if stop < listing.size else None
    return Answer(body, fast=listing.made_up)


def _require_get(request: Request) -> None:
    if request.method != "GET":
        raise HTTPException(405, "This API is read with GET.")


def _limit(sandbox: Sandbox, params: Mapping[str, str]) -> int:
    text = params.get("limit", str(sandbox.page_size))
    limit = int(text) if text.isdecimal() else 0
    if not 1 <= limit <= sandbox.max_page_size:
        raise HTTPException(400, f"The limit is not a number from 1 to {sandbox.max_page_size}.")
    return limit


def _listed(key: str, rows: list[Any], made_up: bool = False) -> Listing:
    """Return a list as it is now."""
    return Listing(key, len(rows), lambda start, stop: rows[start:stop], made_up=made_up)


def _world_clicks(world: World, domain_id: int, since: datetime | None) -> Listing:
    # Counted once: a click that appears while the page is made would shift its rows.
    count = world.click_count(domain_id)
    numbers = range(count)
    if since is not None:
        ms = milliseconds(since)
        first = bisect_left(numbers, ms, key=lambda number: world.click_ms(domain_id, number))
        numbers = numbers[first:]

    def rows(start: int, stop: int) -> list[Any]:
        return [world.click(domain_id, number) for number in numbers[::-1][start:stop]]

    return Listing("data", len(numbers), rows, grows=True, made_up=True)


def _since(sandbox: Sandbox, request: Request) -> datetime | None:
    name = sandbox.supports_since
    if name is None or name not in request.query_params:
        return None
    try:
        return _time(request.query_params[name])
    except ValueError:
        raise HTTPException(400, f"The {name} is not an ISO 8601 time.") from None


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from(row: Any, since: datetime) -> bool:
    """Return whether a row happened since then; one that does not say when is kept."""
    try:
        return _time(row["dt"]) >= since
    except (TypeError, KeyError, ValueError):
        return True
