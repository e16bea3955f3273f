"""A server of the tests' own that speaks S3."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from threading import Thread
from typing import Any

import pytest
import requests

from link_assets_tests.warehouse.ducklake.lake import SECTION

STORAGE = f"{SECTION}__STORAGE"
CREDENTIALS = f"{STORAGE}__CREDENTIALS"
NOTHING_ELSEWHERE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Settings with which no keys of this machine are found."""
SECRET = "nobody-may-see-this"
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": SECRET}
TO_RUN = "uv run --no-group newest-duckdb --extra ducklake --extra s3 --group object-store pytest"
BUCKET = "lake"

needs_object_store = pytest.mark.skipif(
    not all(map(find_spec, ["moto", "duckdb_extension_httpfs"])),
    reason=f"no object store; to run: {TO_RUN}",
)


@contextmanager
def object_store() -> Iterator[str]:
    """The URL of a server with a bucket; it takes any keys."""
    from moto.server import ThreadedMotoServer  # pyright: ignore[reportMissingImports]

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        requests.put(f"{url}/{BUCKET}", timeout=10).raise_for_status()
        yield url
    finally:
        server.stop()


def store_settings(url: str) -> Mapping[str, str]:
    """The settings of a lake whose files are on such a server, but for their place there."""
    options = {**KEYS, "ENDPOINT_URL": url, "REGION_NAME": "us-east-1"}
    settings = {f"{CREDENTIALS}__{name}": value for name, value in options.items()}
    return {**NOTHING_ELSEWHERE, **settings}


@contextmanager
def keys_of_a_role() -> Iterator[str]:
    """The URL at which a container finds its keys, as Amazon's agent has one in each."""

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            until = datetime.now(UTC) + timedelta(hours=1)
            keys = {"AccessKeyId": "someone", "SecretAccessKey": SECRET, "Token": "unused"}
            body = json.dumps({**keys, "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()


@contextmanager
def keys_refused(url: str) -> Iterator[None]:
    """Within the block the server knows no keys."""
    _take_any_keys(url, times="0")
    try:
        yield
    finally:
        _take_any_keys(url, times="inf")


def _take_any_keys(url: str, times: str) -> None:
    answer = requests.post(f"{url}/moto-api/reset-auth", data=times, timeout=10)
    answer.raise_for_status()


def names_in_store(url: str, folder: str) -> list[str]:
    """The names of the objects in a folder of the bucket."""
    options = {"list-type": "2", "prefix": folder}
    answer = requests.get(f"{url}/{BUCKET}", options, timeout=10)
    return [part.split("<")[0] for part in answer.text.split("<Key>")[1:]]
