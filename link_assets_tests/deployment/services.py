"""What deploy/ describes, on loopback: the processes as its units start them, started again.

Each process has a folder, an environment and temporary files of its own, as on its own machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from link_assets_tests.dagster_dev import DagsterDev, _answers, free_port, until
from link_assets_tests.deployment.redis_server import RedisServer, redis_server
from link_assets_tests.warehouse.destinations.postgres_server import (
    PostgresServer,
    new_database,
    restartable_postgres,
)

DEPLOY = Path(__file__).parents[2] / "deploy"
WORKERS = ("one", "two")
CODE_SERVER_IS_UP = "Started Dagster code server"
DAEMON_IS_UP = "Instance is configured with the following daemons"


class Service:
    """A unit's process, which is started again a second after it ends."""

    def __init__(self, unit: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name, _, instance = unit.removeprefix("link-assets-").partition("@")
        folder.mkdir()
        (folder / "tmp").mkdir()
        files = ("dagster.yaml", "workspace.yaml", "dagster_celery_config.py")
        for file in files:
            shutil.copy(DEPLOY / file, folder)
        self.folder = folder
        self.environment = {
            **environment,
            "DAGSTER_HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(folder), str(DEPLOY.parent)]),
            "TMPDIR": str(folder / "tmp"),
        }
        self._command = self._shell_line(unit, instance)
        self._may_run, self._over = threading.Event(), False
        self._may_run.set()
        self._start()
        self._watch = threading.Thread(target=self._restart, daemon=True)
        self._watch.start()

    def _shell_line(self, unit: str, instance: str) -> str:
        """What the unit runs before it, and then in its place."""
        file = f"{unit.partition('@')[0]}{'@' if instance else ''}.service"
        text = (DEPLOY / "systemd" / file).read_text()
        text = re.sub(r"\$\{(\w+)\}", lambda name: self.environment[name[1]], text)
        text = text.replace("/etc/link_assets", str(self.folder))
        text = text.replace("/opt/link_assets/bin", str(Path(sys.executable).parent))
        before = re.findall(r"^ExecStartPre=(.*)$", text, re.MULTILINE)
        (start,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        line = " && ".join([*before, f"exec {start}"])
        return line.replace("%i", instance).replace("%%", "%")

    def _start(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self._command,
                shell=True,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _restart(self) -> None:
        while True:
            self.process.wait()
            self._end_group()
            threading.Event().wait(1)
            self._may_run.wait()
            if self._over:
                return
            self._start()

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self, stay_away: bool = False) -> None:
        """Kills it with its children; it stays away until it is let back, if that is wanted."""
        if stay_away:
            self._may_run.clear()
        self._end_group()

    def kill_and_wait(self, sign: str) -> None:
        """Kills it and waits until its log has a line once more that it is back by."""
        said = self.log().count(sign)
        self.kill()
        until(lambda: self.log().count(sign) > said, 120)

    def let_back(self) -> None:
        self._may_run.set()

    def kill_child(self) -> None:
        """Kills the process that it has a run in."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def stop(self) -> None:
        self._over = True
        self.kill()
        self._may_run.set()
        self._watch.join(30)

    def log(self) -> str:
        return (self.folder / "log").read_text()


class Deployment:
    """All processes of a deployment."""

    def __init__(
        self, postgres: PostgresServer, broker: RedisServer, services: Mapping[str, Service]
    ) -> None:
        self.postgres, self.redis, self._services = postgres, broker, services

    def __getitem__(self, name: str) -> Service:
        return self._services[name]

    def wait_until_ready(self, ui: DagsterDev) -> None:
        until(lambda: _answers(ui.url), 90)
        until(lambda: DAEMON_IS_UP in self["daemon"].log(), 90)
        for worker in WORKERS:
            until(lambda worker=worker: " ready." in self[worker].log())


@contextmanager
def deployment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Deployment, DagsterDev]]:
    """A deployment with the settings of this process, which can reach it, too; and its UI."""
    with ExitStack() as stack:
        postgres = stack.enter_context(restartable_postgres())
        broker = stack.enter_context(redis_server(folder / "redis"))
        for name, value in settings(postgres, broker).items():
            monkeypatch.setenv(name, value)
        ui = DagsterDev(f"http://127.0.0.1:{os.environ['LINK_ASSETS_UI_PORT']}")
        units = {name: f"link-assets-{name}" for name in ("code-server", "daemon", "webserver")}
        units |= {name: f"link-assets-worker@{name}" for name in WORKERS}
        services: dict[str, Service] = {}
        for name, unit in units.items():
            services[name] = Service(unit, folder / name, os.environ)
            stack.callback(services[name].stop)
        made = Deployment(postgres, broker, services)
        made.wait_until_ready(ui)
        yield made, ui


def settings(postgres: PostgresServer, broker: RedisServer) -> dict[str, str]:
    """What the servers of a deployment are reached by."""
    port, warehouse = str(postgres.port), new_database(postgres.port)
    return {
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_PORT": port,
        "DAGSTER_PG_USERNAME": "loader",
        "DAGSTER_PG_PASSWORD": "unused",
        "DAGSTER_PG_DB": new_database(postgres.port),
        "LINK_ASSETS_BROKER": broker.url,
        "LINK_ASSETS_CODE_HOST": "127.0.0.1",
        "LINK_ASSETS_CODE_PORT": str(free_port()),
        "LINK_ASSETS_UI_PORT": str(free_port()),
        "DESTINATION_TYPE": "postgres",
        "DESTINATION__POSTGRES__CREDENTIALS": (
            f"postgresql://loader:unused@127.0.0.1:{port}/{warehouse}"
        ),
    }
