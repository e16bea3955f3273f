"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from link_assets_tests.dagster_dev import free_port

ENABLE = "apt-get update && apt-get install -y postgresql"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = SERVERS[-1] if SERVERS else Path(shutil.which("initdb") or "")

needs_postgres = pytest.mark.skipif(
    not INITDB.name, reason=f"no PostgreSQL server here; to enable: {ENABLE}"
)


class PostgresServer:
    """A server on loopback that can be away for a while."""

    def __init__(self, folder: Path, *initdb_options: str) -> None:
        self.port, self._folder, self._data = free_port(), folder, folder / "data"
        _as_server_user(
            INITDB, "-D", self._data, "-U", "loader", "-A", "trust", "--no-sync", *initdb_options
        )
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all guarded all scram-sha-256\n{rules.read_text()}")

    def start(self) -> None:
        """Returns once it answers."""
        options = f"-p {self.port} -c unix_socket_directories= -c listen_addresses=127.0.0.1"
        options += " -c fsync=off"
        self._control("-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Ends it without a word to whoever is connected."""
        self._control("-m", "immediate", "stop")

    def _control(self, *options: str | Path) -> None:
        _as_server_user(INITDB.with_name("pg_ctl"), "-D", self._data, *options)


@contextmanager
def restartable_postgres(*initdb_options: str) -> Iterator[PostgresServer]:
    """A server that is stopped in the end.

    The user `loader` may do everything, without a password. A user named `guarded` needs one.
    """
    with _folder() as folder:
        server = PostgresServer(folder, *initdb_options)
        server.start()
        try:
            run_sql(server.port, "postgres", "CREATE ROLE guarded LOGIN SUPERUSER")
            yield server
        finally:
            server.stop()


@contextmanager
def postgres_server(*initdb_options: str) -> Iterator[int]:
    """The port of such a server."""
    with restartable_postgres(*initdb_options) as server:
        yield server.port


def new_database(port: int, *options: str) -> str:
    """The name of an empty database on the server, made with options of CREATE DATABASE."""
    name = f"test_{os.urandom(8).hex()}"
    run_sql(port, "postgres", " ".join([f"CREATE DATABASE {name}", *options]))
    return name


def run_sql(port: int, database: str, *statements: Any) -> list[tuple[Any, ...]]:
    """Runs statements, each by itself; gives the rows of the last one."""
    from psycopg2 import connect

    connection = connect(host="127.0.0.1", port=port, user="loader", dbname=database)
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the server's user can reach, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory(prefix="link_assets_postgres_") as name:
        if os.geteuid() == 0:
            shutil.chown(name, pwd.getpwnam("postgres").pw_uid)
        yield Path(name)


def _as_server_user(*command: str | Path) -> None:
    """Runs a command of the server, which refuses to be root."""
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run(command, user=user, check=True, capture_output=True, cwd="/", timeout=60)
