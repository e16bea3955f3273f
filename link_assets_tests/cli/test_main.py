"""The commands, as a user types them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import requests
from click.testing import CliRunner

from link_assets.cli.before_start import SECTION
from link_assets.cli.main import main
from link_assets.contract import CLICKS
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox, World, serve
from link_assets_tests.cli.conftest import Command
from link_assets_tests.dagster_dev import free_port, until
from link_assets_tests.support import mostly_long, rows

CREDENTIALS = "DESTINATION__POSTGRES__CREDENTIALS"


@pytest.fixture
def environment_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands set in this process's environment is gone after the test."""
    for name in ("DAGSTER_HOME", f"{SECTION}__BASE_URL", f"{SECTION}__API_KEY"):
        monkeypatch.setenv(name, "not set, but put back as it was")
        monkeypatch.delenv(name)


def all_clicks() -> list[tuple[object, ...]]:
    columns = ", ".join(field.column for field in CLICKS.columns)
    return sorted(rows(f"SELECT {columns} FROM {{dataset}}.clicks"), key=repr)


@pytest.mark.long
@pytest.mark.usefixtures("environment_restored")
def test_the_demo_loads_everything_and_changes_no_row_the_second_time(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["demo"])
    assert first.exit_code == 0, first.output
    assert f"The warehouse is {workdir}/warehouse.duckdb" in first.output
    assert first.output.count("example.com │ 400 ") == 3
    loaded = all_clicks()
    monkeypatch.delenv(f"{SECTION}__BASE_URL")
    second = CliRunner().invoke(main, ["demo"])
    assert second.exit_code == 0, second.output
    assert len(loaded) == 1200
    assert all_clicks() == loaded
    with dg.DagsterInstance.from_config(str(workdir / ".dagster_home")) as instance:
        assert instance.get_runs_count() == 6
        assert instance.get_materialized_partitions(CLICKS_KEY) == {"1", "2", "3"}


@pytest.mark.long
def test_the_demo_fails_if_a_load_fails(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from link_assets.cli.run_demo import run_demo

    monkeypatch.setenv("DAGSTER_HOME", str(workdir))
    api = Sandbox(world=World(clicks_per_domain=5), faults=[Fault(path="/v1/domain/2", status=403)])
    with serve(api) as url:
        monkeypatch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", api.api_key)
        assert run_demo(workdir) is False
    assert "clicks of domain 2 (go2.example.com), page 1: the API answered 403" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.usefixtures("environment_restored")
def test_the_demo_refuses_to_run_where_an_api_is_configured(workdir: Path) -> None:
    (workdir / ".env").write_text(f"{SECTION}__BASE_URL=https://api.example.com\n")
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "SOURCES__LINK_ASSETS__BASE_URL is set" in result.output
    assert not (workdir / "warehouse.duckdb").exists()


def test_the_sandbox_serves_and_prints_the_settings_to_read_it(workdir: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "link_assets.cli", "sandbox", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url, key = (process.stdout.readline().strip() for _ in range(2))
            assert url == f"SOURCES__LINK_ASSETS__BASE_URL=http://127.0.0.1:{port}"
            headers = {"Authorization": key.partition("=")[2]}
            page = until(
                lambda: requests.get(
                    f"http://127.0.0.1:{port}/v1/links", headers=headers, timeout=5
                )
            )
            assert page.json()["count"] == 36
        finally:
            process.kill()  # what a background job starts may ignore the gentler signal


def test_the_sandbox_prints_the_settings_of_short_ios_api(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def announced(api: Sandbox, port: int, announce: Callable[[str], object]) -> None:
        announce("http://127.0.0.1:8300")

    monkeypatch.setattr("link_assets.sandbox.run", announced)
    arguments = ["sandbox", "--api", "short_io", "--port", str(free_port())]
    assert CliRunner().invoke(main, arguments).output.splitlines() == [
        f"{SECTION}__API=short_io",
        f"{SECTION}__BASE_URL=http://127.0.0.1:8300",
        f"{SECTION}__STATISTICS_URL=http://127.0.0.1:8300/statistics",
        f"{SECTION}__API_KEY=sandbox-key",
    ]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as its users do, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "link_assets.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        encoding="latin-1",
        timeout=300,
    )


def refusal(arguments: list[str], **environment: str) -> str:
    """The one sentence or two by which a command refuses to start, having left nothing behind."""
    result = CliRunner(env=environment).invoke(main, arguments)
    assert result.exit_code not in (0, None)
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
@pytest.mark.parametrize(
    "spelled",
    [
        "dev --port {port}",
        "dev --port={port}",
        "dev -p {port}",
        "dev -p{port}",
        "dev --host 127.0.0.1 -p {port}",
        "dev -h localhost --port {port} --log-level error",
        "dev --dagit-port {port}",
        "sandbox --port {port}",
        "sandbox --port={port}",
    ],
)
def test_a_taken_port_is_refused_with_the_option_that_gives_another(
    spelled: str, taken_port: int
) -> None:
    said = refusal(spelled.format(port=taken_port).split())
    assert f"Port {taken_port} of " in said
    assert "cannot be listened on: Address already in use. Give another one with --port." in said
    assert "Dagster keeps its runs" not in said


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
def test_the_default_port_and_that_of_the_environment_are_checked(taken_port: int) -> None:
    assert f"Port {taken_port} of" in refusal(["dev"], DAGSTER_WEBSERVER_PORT=str(taken_port))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", 3000))
            listener.listen()
        except OSError:
            pass  # another program has it, which is as good
        assert "Port 3000 of 127.0.0.1" in refusal(["dev"])


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("dev --port 65536", "65536 is not in the range"),
        ("dev --port 0", "0 is not in the range"),
        ("dev --port http", "'http' is not a valid integer"),
        ("dev --host 192.0.2.1", "Port 3000 of 192.0.2.1 cannot be listened on"),
        ("dev --host a..b", "There is no host a..b: give another with --host."),
        ("sandbox --port 65536", "65536 is not in the range"),
        ("sandbox --port -1", "-1 is not in the range"),
        ("sandbox --page-size 0", "0 is not in the range"),
        ("sandbox --domains -1", "-1 is not in the range"),
        ("sandbox --latency -0.5", "-0.5 is not in the range"),
    ],
)
def test_an_impossible_port_host_or_number_is_refused(arguments: str, says: str) -> None:
    assert says in refusal(arguments.split())


def test_a_port_that_this_user_may_not_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert "cannot be listened on: Permission denied" in refusal(["sandbox", "--port", "80"])


def test_the_installed_commands_refuse_a_taken_port(taken_port: int, workdir: Path) -> None:
    for name in ("dev", "sandbox"):
        done = command(name, "--port", str(taken_port))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: Port {taken_port} of 127.0.0.1 cannot be listened")
    assert not (workdir / ".dagster_home" / "schedules").exists()


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
def test_a_home_that_does_not_exist_is_refused(workdir: Path) -> None:
    for home in (workdir / "nowhere", Path("relative")):
        said = refusal(["dev"], DAGSTER_HOME=str(home))
        assert f"DAGSTER_HOME is {home}, which is not the absolute path of a folder" in said
    assert not (workdir / "nowhere").exists()


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
@pytest.mark.parametrize(
    "line", [f"{SECTION}__API_KEY=", f"{SECTION}__BASE_URL=", f"{SECTION}__API_KEY=of-another"]
)
def test_dev_refuses_an_env_file_that_would_undo_the_sandboxs_settings(
    line: str, workdir: Path
) -> None:
    (workdir / ".env").write_text(f"{line}\n")
    said = refusal(["dev", "--port", str(free_port())])
    assert f".env has {line.split('=')[0]}, but no address of an API" in said


@pytest.mark.usefixtures("environment_restored", "nothing_starts")
def test_an_env_file_in_another_encoding_is_named(workdir: Path) -> None:
    (workdir / ".env").write_bytes("# Schl\u00fcssel\n".encode("latin-1"))
    assert ".env is not UTF-8" in refusal(["demo"])


@pytest.mark.parametrize(
    "environment",
    mostly_long(
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1"},
            {"PYTHONIOENCODING": "ascii:strict", "LANG": "C"},
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        ],
        0,
    ),
)
def test_the_demo_is_shown_in_any_encoding(environment: dict[str, str], workdir: Path) -> None:
    if "LC_ALL" not in environment:  # with it no path can be named that is not ASCII
        folder = workdir / "caf\u00e9 \u2713"
        folder.mkdir()
        os.chdir(folder)
    done = command("demo", **environment)
    assert done.returncode == 0, done.stderr
    assert "+ clicks of domains 1 to 3" in done.stdout
    assert "| 1      | go1.example.com | 400    |" in done.stdout
    assert "warehouse.duckdb" in done.stdout


@pytest.mark.usefixtures("api", "nothing_starts")
@pytest.mark.parametrize("command", mostly_long(["report", "load", "status", "dev"], few=2))
def test_a_warehouse_of_which_a_setting_is_missing_is_refused_in_one_sentence(
    command: str, link_assets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv(CREDENTIALS, "postgresql://loader@127.0.0.1:5432/warehouse")
    done = link_assets(command)
    assert done.exit_code == (2 if command == "status" else 1)
    says = f"The warehouse (postgres) cannot be used: set {CREDENTIALS}__PASSWORD."
    assert says in " ".join(done.output.split())
    assert isinstance(done.exception, SystemExit)
    monkeypatch.setenv(CREDENTIALS, "postgresql://loader:secret@127.0.0.1:port/warehouse")
    done = link_assets(command)
    assert "its settings, DESTINATION__POSTGRES__..., are none of such" in done.output
    assert "secret" not in done.output


@pytest.mark.usefixtures("api", "nothing_starts")
@pytest.mark.parametrize("command", mostly_long(["dev", "load", "status", "report"], few=2))
def test_a_destination_that_cannot_be_a_warehouse_is_refused_before_anything_starts(
    command: str, link_assets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION_TYPE", "sqlalchemy")
    done = link_assets(command)
    assert done.exit_code == (2 if command == "status" else 1)
    said = " ".join(done.output.split())
    assert "DESTINATION_TYPE must be one of duckdb, postgres" in said
    assert "and not 'sqlalchemy': reads, merges and checks fail in SQLite and MySQL" in said
    assert isinstance(done.exception, SystemExit)
