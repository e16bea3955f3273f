"""What can go wrong with an answer, on request: statuses, bodies, compression, connections.

Tests give a sandbox the faults that it is to show; `app` asks for the one that hits a request.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import Any, Literal

import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

Connection = Literal["reset", "reset_mid_body", "short_body", "stall"]


def under(path: str, prefix: str) -> bool:
    """Return whether a path is the prefix or lies below it; `/a/1` is not above `/a/10`."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


@dataclass(frozen=True)
class Answer:
    """An answer before it is sent. A `bytes` body is sent as it is, any other as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fast: bool = False

    def content(self) -> bytes:
        """Return the body as bytes; only a `fast` one uses msgspec, which makes NaN null."""
        if isinstance(self.body, bytes):
            return self.body
        if self.fast:
            return msgspec.json.encode(self.body)
        return json.dumps(self.body, ensure_ascii=True).encode()


def error(status: int, message: str) -> Answer:
    """Return an error as the sandbox words it."""
    return Answer({"error": responses.get(status, "Error"), "message": message}, status)


@dataclass
class Fault:
    """Something that goes wrong with some of the answers, the next `times` that match.

    It hits requests at or below `path` (any if None) for page `page` (any if None), always if
    `times` is None. What happens to the answer, in this order:

    - one of `status` (with `headers`, and `body` or a JSON error), `raw` (a 200 with these bytes)
      and `replace` (what it makes of a page is sent as JSON) takes its place;
    - `gzip` compresses it, "broken" with a wrong checksum;
    - `connection` decides how much arrives: "reset" nothing, "reset_mid_body" half of the body
      and then a reset, "short_body" half and then a clean end, "stall" half and the rest after
      `seconds`.
    """

    path: str | None = None
    page: int | None = None
    times: int | None = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | None = None
    raw: bytes | None = None
    content_type: str = "application/json"
    replace: Callable[[Any], Any] | None = None
    gzip: bool | Literal["broken"] = False
    connection: Connection | None = None
    seconds: float = 1.0
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        changes = sum(x is not None for x in (self.status, self.raw, self.replace))
        if changes > 1 or not (changes or self.gzip or self.connection):
            raise ValueError("a fault needs one of status, raw, replace; or gzip or connection")

    def matches(self, path: str, page: int | None) -> bool:
        """Return whether it hits a request, given how often it has hit before."""
        return (
            (self.times is None or self.hits < self.times)
            and (self.path is None or under(path, self.path))
            and (self.page is None or self.page == page)
        )

    def rewrite(self, answer: Answer) -> Answer:
        """Return the answer with the fault in its status, headers and body."""
        answer = self._replaced(answer)
        if not self.gzip:
            return answer
        packed = gzip.compress(answer.content(), compresslevel=1)
        if self.gzip == "broken":
            packed = packed[:-8] + bytes(8)
        return replace(answer, body=packed, headers={**answer.headers, "Content-Encoding": "gzip"})

    def _replaced(self, answer: Answer) -> Answer:
        named = {"Content-Type": self.content_type, **self.headers}
        if self.raw is not None:
            return Answer(self.raw, headers=named)
        if self.status is not None and self.body is None:
            return replace(error(self.status, "A fault was asked for."), headers=self.headers)
        if self.status is not None:
            body = self.body.encode() if isinstance(self.body, str) else self.body
            return Answer(body, self.status, named)
        if self.replace is not None and answer.status == 200:
            return Answer(self.replace(answer.body))
        return answer


async def deliver(
    answer: Answer, fault: Fault | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send the answer as the fault's `connection` says; needs the `transport` in the scope."""
    headers = {"Content-Type": "application/json", **answer.headers}
    response = Response(answer.content(), answer.status, headers)
    connection = fault.connection if fault else None
    if fault is None or connection is None:
        return await response(scope, receive, send)
    transport: asyncio.Transport = scope["transport"]
    if connection != "reset":
        await _send_half(response, send)
    if connection == "stall":
        await asyncio.sleep(fault.seconds)
        return await send(_chunk(response.body[len(response.body) // 2 :]))
    if connection == "short_body":
        transport.close()
    else:
        _reset(transport)
    return await _disconnected(receive)


async def _send_half(response: Response, send: Send) -> None:
    """Send all but the second half of the body, which Content-Length counts all the same."""
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send(_chunk(response.body[: len(response.body) // 2], more_body=True))


def _chunk(body: bytes | memoryview, more_body: bool = False) -> Message:
    return {"type": "http.response.body", "body": bytes(body), "more_body": more_body}


def _reset(transport: asyncio.Transport) -> None:
    """End the connection with RST: without lingering, the kernel has no other way to close."""
    no_linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    transport.abort()


async def _disconnected(receive: Receive) -> None:
    # Returning before the server has noticed would make it answer with an error of its own.
    while (await receive())["type"] != "http.disconnect":
        pass
