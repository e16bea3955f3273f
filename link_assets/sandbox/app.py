"""The guide's API over HTTP: its two listings, its page tokens, its key.

`server` serves it and `faults` spoils its answers on request. It reads nothing but the made-up
world, or the rows that a test gives it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from link_assets.sandbox.faults import Answer, Fault, deliver, error, under
from link_assets.sandbox.world import World, milliseconds


@dataclass(frozen=True)
class Position:
    """A page of a path, and where in its listing it begins: at its newest row if None."""

    path: str
    page: int = 1
    at: int | None = None

    def token(self) -> str:
        """Return an opaque text that `read` turns back, in this process or another."""
        text = json.dumps([self.path, self.page, self.at])
        return base64.urlsafe_b64encode(text.encode()).decode()

    @staticmethod
    def read(token: str, path: str) -> Position | None:
        """Return the position that a token of this path stands for; None for any other text."""
        try:
            _, page, at = json.loads(base64.urlsafe_b64decode(token.encode()))
        except (binascii.Error, ValueError, TypeError):
            return None
        position = Position(path, page, at)
        numbered = isinstance(page, int) and isinstance(at, int)
        return position if numbered and position.token() == token else None


@dataclass
class RequestRecord:
    """One request as it arrived.

    `position` is None if its page token is unreadable. `time` is monotonic. `status` is that of
    the answer meant for it, None before there is one.
    """

    path: str
    params: dict[str, str]
    position: Position | None
    authorized: bool
    time: float
    status: int | None = None

    @property
    def page(self) -> int | None:
        """Return the number of the page that it asks for, from 1."""
        return self.position.page if self.position else None


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


@dataclass
class Sandbox:
    """An API and a log of what was asked of it.

    Rows come from `links` and, domain by domain, from `clicks` where they are given, and from the
    `world` otherwise. `links`, `clicks`, `world` and `faults` may be changed at any time; an
    answer is made of what is there once `on_request`, called on the server's thread, is back.
    The first fault of the list that matches a request is the one that hits it.
    """

    world: World | None = None
    links: list[Any] | None = None
    clicks: Mapping[int, list[Any]] | None = None
    api_key: str = "sandbox-key"
    page_size: int = 150
    max_page_size: int = 1000
    latency: float = 0
    supports_since: str | None = None
    faults: list[Fault] = field(default_factory=list)
    on_request: Callable[[RequestRecord], None] | None = None
    requests: list[RequestRecord] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @cached_property
    def app(self) -> Starlette:
        """Return the ASGI application; faults of the connection need the transport of `serve`."""
        routes = [
            Route("/v1/links", _Endpoint(self, _links)),
            Route("/v1/domain/{domain_id:int}/link_clicks", _Endpoint(self, _clicks)),
            Route("/{path:path}", _Endpoint(self, _nothing)),
        ]
        return Starlette(routes=routes, exception_handlers={Exception: _broken})

    def requests_to(self, path: str) -> int:
        """Return how many requests came at or below a path since the log was last emptied."""
        with self._lock:
            return sum(under(record.path, path) for record in self.requests)

    def reset_log(self) -> None:
        """Forget every request so far."""
        with self._lock:
            self.requests.clear()

    def record(self, request: Request) -> RequestRecord:
        """Log a request."""
        path, params = request.url.path, dict(request.query_params)
        token = params.get("pageToken")
        position = Position(path) if token is None else Position.read(token, path)
        authorized = request.headers.get("Authorization") == self.api_key
        record = RequestRecord(path, params, position, authorized, time.monotonic())
        with self._lock:
            self.requests.append(record)
        return record

    def take_fault(self, record: RequestRecord) -> Fault | None:
        """Return the fault that hits a request, used up by one; None if there is none."""
        with self._lock:
            for fault in self.faults:
                if fault.matches(record.path, record.page):
                    fault.hits += 1
                    return fault
        return None

    def page(self, record: RequestRecord, listing: Listing) -> Answer:
        """Return the page that a request asks for."""
        here = record.position
        if here is None:
            raise HTTPException(400, "The pageToken is not one of this listing.")
        start = 0 if here.at is None else max(0, listing.place(here.at))
        stop = start + self._limit(record.params)
        after = Position(here.path, here.page + 1, listing.place(stop)).token()
        body: dict[str, Any] = {"count": listing.size} if listing.key == "links" else {}
        body[listing.key] = listing.rows(start, stop)
        body["nextPageToken"] = after if stop < listing.size else None
        return Answer(body, fast=listing.made_up)

    def _limit(self, params: Mapping[str, str]) -> int:
        text = params.get("limit", str(self.page_size))
        limit = int(text) if text.isdecimal() else 0
        if not 1 <= limit <= self.max_page_size:
            raise HTTPException(400, f"The limit is not a number from 1 to {self.max_page_size}.")
        return limit


@dataclass(frozen=True)
class _Endpoint:
    """A path of the API. An object rather than a function, so that it sees every method."""

    sandbox: Sandbox
    listing: Callable[[Sandbox, Request], Listing]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox, request = self.sandbox, Request(scope)
        record = sandbox.record(request)
        if sandbox.on_request:
            sandbox.on_request(record)
        if sandbox.latency:
            await asyncio.sleep(sandbox.latency)
        fault = sandbox.take_fault(record)
        answer = self._answer(request, record)
        if fault:
            answer = fault.rewrite(answer)
        record.status = answer.status
        await deliver(answer, fault, scope, receive, send)

    def _answer(self, request: Request, record: RequestRecord) -> Answer:
        try:
            if request.method != "GET":
                raise HTTPException(405, "This API is read with GET.")
            if not record.authorized:
                raise HTTPException(401, "The Authorization header does not hold the API key.")
            return self.sandbox.page(record, self.listing(self.sandbox, request))
        except HTTPException as refusal:
            return error(refusal.status_code, refusal.detail)


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
    raise HTTPException(404, f"There is no domain {domain_id}.")


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


def _nothing(sandbox: Sandbox, request: Request) -> Listing:
    raise HTTPException(404, f"There is nothing at {request.url.path}.")


def _broken(request: Request, problem: Exception) -> Response:
    """Answer with what a test's own hook or fault raised; the server logs nothing."""
    return JSONResponse({"error": "Sandbox error", "message": repr(problem)}, 500)
