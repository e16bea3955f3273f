"""Serves a sandbox on the loopback interface, beside other work or in the foreground.

Tests and the commands use it. It stops at once when it is left, so that no test waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from link_assets.sandbox.app import Sandbox


class _Protocol(H11Protocol):
    """HTTP that shows the application its transport, for the faults that break a connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does so only for sockets of its own making; without it small answers take 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "transport": transport}, receive, send)  # type: ignore[arg-type]

        self.app = with_transport


class _Server(uvicorn.Server):
    """uvicorn without its polling, which would cost every test a few tenths of a second."""

    def __init__(self, sandbox: Sandbox, certificate: str | None) -> None:
        quiet = {"log_config": None, "log_level": "critical", "access_log": False}
        plain = {"lifespan": "off", "ws": "none", "timeout_keep_alive": 60}
        config = uvicorn.Config(sandbox.app, http=_Protocol, **quiet, **plain)
        config.ssl_certfile = certificate
        super().__init__(config)
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop every connection; `asyncio.run` then cancels what was being answered."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)


@contextlib.contextmanager
def serve(sandbox: Sandbox, port: int = 0, certificate: str | None = None) -> Iterator[str]:
    """Serve on 127.0.0.1 within the block; yield the base URL.

    Port 0 takes a free one. With a `certificate`, a file that holds its key, too, it serves HTTPS.
    Leaving stops at once, even if answers are half sent.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = _Server(sandbox, certificate)
        work = server.serve(sockets=[listener])
        thread = threading.Thread(target=asyncio.run, args=(work,), name="sandbox", daemon=True)
        thread.start()
        if not server.ready.wait(timeout=10):
            raise RuntimeError("the sandbox did not start")
        try:
            scheme = "https" if certificate else "http"
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join(timeout=5)


def run(sandbox: Sandbox, port: int, announce: Callable[[str], object] = print) -> None:
    """Serve until Ctrl-C; call `announce` with the base URL once connections are accepted."""
    with contextlib.suppress(KeyboardInterrupt), serve(sandbox, port) as base_url:
        announce(base_url)
        threading.Event().wait()
