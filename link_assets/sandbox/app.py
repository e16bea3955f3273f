"""What both contracts of the sandbox share: the request log, faults, latency, the key, page tokens.

`guide` and `short_io` are the contracts, `server` serves one of them and `faults` spoils its
answers on request. They read nothing but the made-up world, or the rows that a test gives them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from link_assets.sandbox.faults import Answer, Fault, deliver, under
from link_assets.sandbox.short_io_switches import ShortIoSwitches
from link_assets.sandbox.world import World

Api = Literal["guide", "short_io"]


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
    the answer meant for it, None before there is one. `body` is the JSON of a POST, None if there
    is none or it cannot be read.
    """

    path: str
    params: dict[str, str]
    position: Position | None
    authorized: bool
    time: float
    status: int | None = None
    method: str = "GET"
    body: Any = None

    @property
    def page(self) -> int | None:
        """Return the number of the page that it asks for, from 1."""
        return self.position.page if self.position else None


class Refused(Exception):
    """A request is not answered with what it asks for, but with this."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


Handler = Callable[[Request, RequestRecord], Answer]
"""What answers the requests to a path, or raises Refused."""


class Contract(Protocol):
    """What an API answers, and how its listings go on."""

    def routes(self) -> Mapping[str, Handler]:
        """Return the handler of each path; the first path that matches is the one."""
        ...

    def position(self, request: Request, body: Any) -> Position | None:
        """Return the page that a request asks for; None if its token is unreadable."""
        ...


@dataclass
class Sandbox:
    """An API and a log of what was asked of it.

    `api` is the contract that it speaks; `switches` are the unknowns of Short.io's. Rows come from
    `links` and, domain by domain, from `clicks` where they are given, and from the `world`
    otherwise; Short.io's `domains` and `folders` likewise. They, `world`, `switches` and `faults`
    may be changed at any time; an answer is made of what is there once `on_request`, called on
    the server's thread, is back. The first fault of the list that matches a request is the one
    that hits it. `page_size` is what a listing gives if it is not told how many rows; the guide's
    API gives no more than `max_page_size`.
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
    api: Api = "guide"
    switches: ShortIoSwitches = field(default_factory=ShortIoSwitches)
    domains: list[Any] | None = None
    folders: Mapping[int, list[Any]] | None = None
    requests: list[RequestRecord] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @cached_property
    def app(self) -> Starlette:
        """Return the ASGI application; faults of the connection need the transport of `serve`."""
        contract = _contract(self)
        routes = [
            Route(path, _Endpoint(self, contract, handler))
            for path, handler in contract.routes().items()
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

    def record(self, request: Request, body: Any, contract: Contract) -> RequestRecord:
        """Log a request."""
        path, params = request.url.path, dict(request.query_params)
        authorized = request.headers.get("Authorization") == self.api_key
        with self._lock:
            position, now = contract.position(request, body), time.monotonic()
            record = RequestRecord(
                path, params, position, authorized, now, method=request.method, body=body
            )
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


def _contract(sandbox: Sandbox) -> Contract:
    # Only here, because the contracts are made of what this module defines.
    from link_assets.sandbox.guide import Guide
    from link_assets.sandbox.short_io import ShortIo

    return ShortIo(sandbox) if sandbox.api == "short_io" else Guide(sandbox)


@dataclass(frozen=True)
class _Endpoint:
    """A path of the API. An object rather than a function, so that it sees every method."""

    sandbox: Sandbox
    contract: Contract
    handler: Handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox, request = self.sandbox, Request(scope, receive)
        record = sandbox.record(request, _json(await request.body()), self.contract)
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
            return self.handler(request, record)
        except Refused as refused:
            return refused.answer


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _broken(request: Request, problem: Exception) -> Response:
    """Answer with what a test's own hook or fault raised; the server logs nothing."""
    return JSONResponse({"error": "Sandbox error", "message": repr(problem)}, 500)
