"""A Redis server of the tests' own, which can be away for a while."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from link_assets_tests.dagster_dev import free_port, until

ENABLE = "apt-get update && apt-get install -y redis-server"
PROGRAM = shutil.which("redis-server")

needs_redis = pytest.mark.skipif(not PROGRAM, reason=f"no Redis server here; to enable: {ENABLE}")


class RedisServer:
    """A server on loopback that keeps what it has from one start to the next."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis(port=self._port)
        self.start()

    def start(self) -> None:
        """Returns once it answers."""
        options = ["--bind", "127.0.0.1", "--port", str(self._port), "--appendonly", "yes"]
        options += ["--dir", str(self._folder), "--logfile", str(self._folder / "log")]
        assert PROGRAM
        self._process = subprocess.Popen([PROGRAM, *options])
        until(self._answers, 30)

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A server that is stopped in the end."""
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
