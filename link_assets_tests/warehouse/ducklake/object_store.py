"""A server of the tests' own that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import requests

from link_assets_tests.warehouse.ducklake.lake import SECTION

STORAGE = f"{SECTION}__STORAGE"
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
    return {f"{STORAGE}__CREDENTIALS__{name}": value for name, value in options.items()}


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
