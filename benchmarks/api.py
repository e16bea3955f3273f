"""An API that costs next to nothing: pages encoded beforehand, served as bytes.

The sandbox makes its clicks as they are asked for, which would be most of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from link_assets.sandbox import World

PAGE_SIZE = 150


class Pages:
    """The listings of a world, newest first, as whole HTTP answers."""

    def __init__(self, world: World) -> None:
        self._answers: dict[tuple[str, str], bytes] = {}
        self._asked = 0
        self._first: dict[str, float] = {}
        self._longest = 0.0
        self._add("/v1/links", "links", world.links())
        for domain in world.domain_ids():
            clicks = world.clicks(domain, 0, world.click_count(domain))
            self._add(f"/v1/domain/{domain}/link_clicks", "data", clicks)

    def _add(self, path: str, selector: str, rows: list[dict[str, Any]]) -> None:
        for start in range(0, max(1, len(rows)), PAGE_SIZE):
            stop = start + PAGE_SIZE
            token = str(stop) if stop < len(rows) else None
            page = {selector: rows[start:stop], "nextPageToken": token}
            self._answers[path, str(start)] = _answer(orjson.dumps(page))

    def answer(self, target: str) -> bytes:
        """The answer to a request line's target, or to one of the questions below.

        `/asked`: how many pages were asked for. `/longest`: the most seconds between the first and
        the last request for one listing, since `/longest` was last asked.
        """
        url = urlsplit(target)
        if url.path == "/asked":
            return _answer(orjson.dumps(self._asked))
        if url.path == "/longest":
            longest, self._longest, self._first = self._longest, 0.0, {}
            return _answer(orjson.dumps(longest))
        self._asked += 1
        now = time.monotonic()
        self._longest = max(self._longest, now - self._first.setdefault(url.path, now))
        (token,) = parse_qs(url.query).get("pageToken", ["0"])
        return self._answers[url.path, token]


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """One keep-alive connection; `latency` seconds before each answer."""

    def __init__(self, pages: Pages, latency: float) -> None:
        self._pages, self._latency, self._buffer = pages, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what answers are written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request as soon as its head is whole."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            answer = self._pages.answer(head.split(b" ", 2)[1].decode())
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)


async def serve(pages: Pages, latency: float) -> None:
    """Serves until the process is ended; prints the address when it is ready."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(pages, latency), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


def main(latency: float = 0, added: int = 0, **world: int) -> None:
    """Serves a world of these values after `added` more clicks in every domain."""
    asyncio.run(serve(Pages(World(**world).grown(added)), latency))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
