"""A small server that answers like Short.io: domains of one link each, and their clicks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk_of-the-account"
STATISTICS = "/statistics/domain/"
UNAUTHORIZED = {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}

Answer = tuple[int, Any]


@dataclass
class ShortIo:
    """What the server has, and what it was asked.

    `clicks` are the times of each domain's clicks, the newest first; `gates` what a domain's clicks
    are answered with instead, as a status and a body.
    """

    clicks: dict[int, list[str]]
    gates: dict[int, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, target: str, body: dict[str, Any], key: str | None) -> Answer:
        """Answer a request for a path, or for a whole URL as a proxy gets it."""
        self.asked.append(target)
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if key != KEY:
            return 401, UNAUTHORIZED
        if parts.path.startswith(STATISTICS):
            domain = int(parts.path.removeprefix(STATISTICS).removesuffix("/last_clicks"))
            return self.gates.get(domain) or (200, self._last_clicks(domain, body))
        return self._listing(parts.path, query)

    def _last_clicks(self, domain: int, body: dict[str, Any]) -> list[Any]:
        before = body.get("beforeDate", "3")
        times = [time for time in self.clicks[domain] if time < before]
        return [
            {"dt": time, "host": f"go{domain}.example", "path": "/a", "st": 302}
            for time in times[: body["limit"]]
        ]

    def _listing(self, path: str, query: dict[str, str]) -> Answer:
        if path == "/api/domains":
            rows = [{"id": domain, "hostname": f"go{domain}.example"} for domain in self.clicks]
            return 200, rows[int(query.get("offset", 0)) :]
        if path == "/api/links":
            domain = int(query["domain_id"])
            link = {"id": f"lnk_{domain}", "DomainId": domain, "path": "a"}
            return 200, {"count": 1, "links": [link], "nextPageToken": None}
        if path.startswith("/links/folders/"):
            return 200, {"linkFolders": []}
        said = {"message": f"Route GET:{path} not found", "error": "Not Found", "statusCode": 404}
        return 404, said


@contextmanager
def short_io_served(served: ShortIo) -> Iterator[str]:
    """Serve on loopback within the block; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            status, answer = served.answer(self.path, body, self.headers["Authorization"])
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
