"""An API that differs from the guide's in every respect is one module, as docs/extending.md says.

It is asked by POST, answers with bare lists, newest first, without tokens: the time of a page's
last click is where the next page begins. It refuses a position that is too old with 416.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from link_assets.settings import ApiSettings
from link_assets.source import rest
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import FROM_FIRST_PAGE, ClicksRead
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import rows
from link_assets_tests.test_extending import example

DIALECT = example("An API")
DatedDialect, ROWS_OF_A_PAGE = DIALECT["DatedDialect"], DIALECT["ROWS_OF_A_PAGE"]
TIMES = [f"2026-02-01T12:00:{second:02}+00:00" for second in range(10)]
SECRET = "key-of-the-other-api"


@dataclass
class DatedApi:
    """The server of that API: what it was asked, and a position that it refuses."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""
    failing: str = ""

    def answer(self, path: str, body: dict[str, Any], key: str) -> tuple[int, Any]:
        self.asked.append(body)
        before = body.get("before", "3000")
        if key != f"Bearer {SECRET}":
            return 401, {"message": f"unknown key {key}"}
        if before in (self.refused, self.failing):
            return (416 if before == self.refused else 403), {"message": "no"}
        if path == "/all_links":
            return 200, [{"id": "l1", "DomainId": 1, "path": "a"}] if before == "3000" else []
        listed = [time for time in reversed(TIMES) if time < before][: body["limit"]]
        return 200, [{"dt": time, "path": "/a", "host": "a.example"} for time in listed]


@pytest.fixture
def api() -> Iterator[DatedApi]:
    served = DatedApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            status, answer = served.answer(self.path, body, self.headers["Authorization"])
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(api: DatedApi, monkeypatch: pytest.MonkeyPatch) -> ApiSettings:
    monkeypatch.setattr(rest, "configured_dialect", DatedDialect)
    url: str = api.url  # type: ignore[attr-defined]
    return ApiSettings(
        base_url=url, api_key=SECRET, chunk_rows=ROWS_OF_A_PAGE, max_retries=0, backoff_factor=0
    )


def load(settings: ApiSettings, read: ClicksRead) -> None:
    while not read.finished:
        with open_pipeline("clicks_1") as pipeline:
            pipeline.run(clicks_source(settings, 1, read))


def loaded() -> list[str]:
    query = "SELECT CAST(dt AS TIMESTAMP) FROM {dataset}.clicks ORDER BY dt"
    return [f"{time.isoformat()}+00:00" for (time,) in rows(query)]


def test_every_click_of_another_api_is_loaded_once(api: DatedApi, settings: ApiSettings) -> None:
    load(settings, ClicksRead())
    assert loaded() == TIMES
    assert api.asked == [
        {"limit": 4},
        {"limit": 4, "before": TIMES[6]},
        {"limit": 4, "before": TIMES[2]},
    ]


def test_its_links_are_loaded(api: DatedApi, settings: ApiSettings) -> None:
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(settings))
    assert rows("SELECT id, domain_id, path FROM {dataset}.links") == [("l1", 1, "a")]


@pytest.mark.long
def test_a_run_that_fails_is_resumed_at_a_time(api: DatedApi, settings: ApiSettings) -> None:
    api.failing = TIMES[2]
    with pytest.raises(Exception, match="clicks of domain 1, page 3: the API answered 403"):
        load(settings, ClicksRead())
    api.failing, api.asked = "", []
    read = ClicksRead()
    load(settings, read)
    assert (read.stats.resumed_from, loaded()) == (3, TIMES)
    assert api.asked == [{"limit": 4, "before": TIMES[2]}]


def test_a_refused_time_is_a_reason_to_begin_again(api: DatedApi, settings: ApiSettings) -> None:
    api.failing = TIMES[6]
    with pytest.raises(Exception, match="page 2: the API answered 403"):
        load(settings, ClicksRead())
    api.failing, api.refused = "", TIMES[6]
    read = ClicksRead()
    with pytest.raises(Exception, match="the API answered 416") as refusal:
        load(settings, read)
    error = refusal.value.__cause__
    while error is not None and not hasattr(error, "refuses_position"):
        error = error.__cause__ or error.__context__
    assert read.reason_to_restart(error) is not None  # type: ignore[arg-type]
    api.refused = ""
    load(settings, ClicksRead(FROM_FIRST_PAGE))
    assert loaded() == TIMES


def test_an_answer_that_is_no_list_is_refused(
    api: DatedApi, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "answer", lambda *_: (200, {"clicks": [], "message": "no plan"}))
    with pytest.raises(Exception, match=r"the answer is no list .*the API says: no plan"):
        load(settings, ClicksRead())


def test_its_key_is_in_no_message(api: DatedApi, settings: ApiSettings) -> None:
    api.refused = "3000"
    with pytest.raises(Exception, match="the API answered 416") as refusal:
        load(settings, ClicksRead())
    assert SECRET not in str(refusal.value)
