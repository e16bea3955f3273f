"""The sandbox: an API and a log of what was asked of it, whichever contract it serves.

`guide` and `short_io` are the contracts, `server` serves one of them, and `faults` spoils answers
on request.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from link_assets.sandbox import guide, short_io
from link_assets.sandbox.faults import Answer, Fault, deliver, under
from link_assets.sandbox.records import Position, RequestRecord
from link_assets.sandbox.short_io_statistics import Memory
from link_assets.sandbox.switches import Switches
from link_assets.sandbox.world import World

__all__ = ["Position", "RequestRecord", "Sandbox"]

CONTRACTS = {"guide": guide, "short_io": short_io}


@dataclass
class Sandbox:
    """An API and a log of what was asked of it.

    Rows come from `links`, `domains` and `folders` and, domain by domain, from `clicks` where they
    are given, and from the `world` otherwise. These and `faults` may be changed at any time; an
    answer is made of what is there once `on_request`, called on the server's thread, is back.
    The first fault of the list that matches a request is the one that hits it. `domains`,
    `folders`, `switches` and `withheld`, which says of a click that it is not indexed yet, are for
    Short.io's contract alone.
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
    api: Literal["guide", "short_io"] = "guide"
    switches: Switches = field(default_factory=Switches)
    domains: list[Any] | None = None
    folders: Mapping[int, list[Any]] | None = None
    withheld: Callable[[Any], bool] | None = None
    requests: list[RequestRecord] = field(default_factory=list, init=False)
    memory: Memory = field(default_factory=Memory, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @cached_property
    def app(self) -> Starlette:
        """Return the ASGI application; faults of the connection need the transport of `serve`."""
        served = CONTRACTS[self.api].ROUTES
        routes = [Route(path, _Endpoint(self, answer)) for path, answer in served.items()]
        routes.append(Route("/{path:path}", _Endpoint(self, _nothing)))
        return Starlette(routes=routes, exception_handlers={Exception: _broken})

    def requests_to(self, path: str) -> int:
        """Return how many requests came at or below a path since the log was last emptied."""
        with self._lock:
            return sum(under(record.path, path) for record in self.requests)

    def reset_log(self) -> None:
        """Forget every request so far."""
        with self._lock:
            self.requests.clear()

    def record(self, request: Request, body: bytes) -> RequestRecord:
        """Log a request."""
        path, params = request.url.path, dict(request.query_params)
        authorized = request.headers.get("Authorization") == self.api_key
        record = RequestRecord(path, params, None, authorized, time.monotonic())
        record.method = request.method
        with suppress(ValueError):
            record.body = json.loads(body) if body else None
        with self._lock:
            record.position = CONTRACTS[self.api].page_asked(self, record)
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


AnswerRequest = Callable[[Sandbox, Request, RequestRecord], Answer]
"""Answers a request of a contract; raises HTTPException for an error in the contract's words."""


@dataclass(frozen=True)
class _Endpoint:
    """A path of the API. An object rather than a function, so that it sees every method."""

    sandbox: Sandbox
    answer: AnswerRequest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox, request = self.sandbox, Request(scope, receive)
        record = sandbox.record(request, await request.body())
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
        contract = CONTRACTS[self.sandbox.api]
        try:
            if not record.authorized:
                raise HTTPException(401, "The Authorization header does not hold the API key.")
            return self.answer(self.sandbox, request, record)
        except HTTPException as refusal:
            answer = contract.error(refusal.status_code, refusal.detail)
            return replace(answer, headers={**answer.headers, **(refusal.headers or {})})


def _nothing(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    raise HTTPException(404, CONTRACTS[sandbox.api].nothing_at(request))


def _broken(request: Request, problem: Exception) -> Response:
    """Answer with what a test's own hook or fault raised; the server logs nothing."""
    return JSONResponse({"error": "Sandbox error", "message": repr(problem)}, 500)
