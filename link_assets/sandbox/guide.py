"""The guide's API: its two listings and their page tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from link_assets.sandbox.app import Handler, Position, Refused, RequestRecord, Sandbox
from link_assets.sandbox.faults import Answer, error
from link_assets.sandbox.world import World, milliseconds


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


@dataclass(frozen=True)
class Guide:
    """The contract of the guide, for one sandbox."""

    sandbox: Sandbox

    def routes(self) -> dict[str, Handler]:
        """Return the handler of each path."""
        return {
            "/v1/links": self._pages_of(_links),
            "/v1/domain/{domain_id:int}/link_clicks": self._pages_of(_clicks),
            "/{path:path}": self._pages_of(_nothing),
        }

    def position(self, request: Request, body: Any) -> Position | None:
        """Return the page that a request's token stands for."""
        path, token = request.url.path, request.query_params.get("pageToken")
        return Position(path) if token is None else Position.read(token, path)

    def _pages_of(self, listing: Callable[[Sandbox, Request], Listing]) -> Handler:
        def handler(request: Request, record: RequestRecord) -> Answer:
            if record.method != "GET":
                raise _refused(405, "This API is read with GET.")
            if not record.authorized:
                raise _refused(401, "The Authorization header does not hold the API key.")
            return _page(self.sandbox, record, listing(self.sandbox, request))

        return handler


def _refused(status: int, message: str) -> Refused:
    return Refused(error(status, message))


def _page(sandbox: Sandbox, record: RequestRecord, listing: Listing) -> Answer:
    """Return the page that a request asks for."""
    here = record.position
    if here is None:
        raise _refused(400, "The pageToken is not one of this listing.")
    start = 0 if here.at is None else max(0, listing.place(here.at))
    stop = start + _limit(sandbox, record.params)
    after = Position(here.path, here.page + 1, listing.place(stop)).token()
    body: dict[str, Any] = {"count": listing.size} if listing.key == "links" else {}
    body[listing.key] = listing.rows(start, stop)
    body["nextPageToken"] = after if stop < listing.size else None
    return Answer(body, fast=listing.made_up)


def _limit(sandbox: Sandbox, params: Mapping[str, str]) -> int:
    text = params.get("limit", str(sandbox.page_size))
    limit = int(text) if text.isdecimal() else 0
    if not 1 <= limit <= sandbox.max_page_size:
        raise _refused(400, f"The limit is not a number from 1 to {sandbox.max_page_size}.")
    return limit


def _links(sandbox: Sandbox, request: Request) -> Listing:
    if sandbox.links is not None:
        return _listed("links", sandbox.links)
    return _listed("links", sandbox.world.links() if sandbox.world else [], made_up=True)


def _listed(key: str, rows: list[Any], made_up: bool = False) -> Listing:
    """Return a list as it is now."""
    return Listing(key, len(rows), lambda start, stop: rows[start:stop], made_up=made_up)


def _clicks(sandbox: Sandbox, request: Request) -> Listing:
    domain_id, since = request.path_params["domain_id"], _since(sandbox, request)
    rows = (sandbox.clicks or {}).get(domain_id)
    if rows is not None:
        return _listed("data", rows if since is None else [r for r in rows if _from(r, since)])
    if sandbox.world and domain_id in sandbox.world.domain_ids():
        return _world_clicks(sandbox.world, domain_id, since)
    raise _refused(404, f"There is no domain {domain_id}.")


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
        raise _refused(400, f"The {name} is not an ISO 8601 time.") from None


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from(row: Any, since: datetime) -> bool:
    """Return whether a row happened since then; one that does not say when is kept."""
    try:
        return _time(row["dt"]) >= since
    except (TypeError, KeyError, ValueError):
        return True


def _nothing(sandbox: Sandbox, request: Request) -> Listing:
    raise _refused(404, f"There is nothing at {request.url.path}.")
