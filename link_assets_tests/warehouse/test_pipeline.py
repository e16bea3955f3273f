"""The warehouse: where it is, whose turn it is, and what it says when it cannot be used."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.sandbox import Sandbox
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source, links_source
from link_assets.warehouse import lock as lock_module
from link_assets.warehouse.destinations.duckdb import CatalogDuckDbClient, database_name
from link_assets.warehouse.errors import ConcurrentWriteError, WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.pipeline import (
    SavedPosition,
    _turns,
    duckdb_file,
    open_pipeline,
    reading,
    turn,
)
from link_assets_tests.support import mostly_long, rows
from link_assets_tests.warehouse.test_lock import wait_until

SETTING = "DESTINATION__DUCKDB__CREDENTIALS"
DEFAULT = "warehouse.duckdb"
NOBODY = 65534

HOLDER = """
import sys, time
from link_assets.warehouse.pipeline import turn
with turn(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
COUNTING = """
from link_assets_tests.warehouse.test_pipeline import count
print("ready", flush=True)
input()
count()
"""


def count() -> None:
    """Counts on in a file, as nobody could who was not alone at it."""
    counter = Path("counter")
    for _ in range(25):
        with turn("counting"):
            counter.write_text(str(int(counter.read_text()) + 1))


def load_clicks(domain: int = 1) -> None:
    with open_pipeline(f"clicks_{domain}") as pipeline:
        pipeline.run(clicks_source(api_settings(), domain))


def load_links() -> None:
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings()))


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process in this folder with these settings, ended on the way out."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": root}
    started = subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate(timeout=10)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@contextmanager
def holder(purpose: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the warehouse."""
    with process(HOLDER, purpose) as held:
        assert read_line(held) == "held"
        yield held


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: str = "0.1") -> None:
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", seconds)


def test_the_warehouse_is_a_file_in_the_working_folder_unless_configured(workdir: Path) -> None:
    assert duckdb_file() == workdir / DEFAULT


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("{folder}/elsewhere/w.duckdb", "{folder}/elsewhere/w.duckdb"),
        ("duckdb:///{folder}/elsewhere/w.duckdb", "{folder}/elsewhere/w.duckdb"),
        ("beside.duckdb", "{folder}/beside.duckdb"),
        ("duckdb:///beside.duckdb", "{folder}/beside.duckdb"),
    ],
    ids=["path", "URL", "relative path", "relative URL"],
)
def test_a_setting_moves_the_warehouse(
    given: str, file: str, api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, given.format(folder=workdir))
    expected = Path(file.format(folder=workdir))
    assert duckdb_file() == expected
    load_clicks()
    assert expected.is_file()
    assert not (workdir / DEFAULT).exists()
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


@pytest.mark.parametrize(
    "name",
    mostly_long(
        [DEFAULT, "o-ther.2.duckdb", "LINK_ASSETS.db", "link_assets", ".hidden", "temp.db"], 2
    ),
)
def test_any_file_name_holds_tables_that_one_query_can_join(
    name: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, name)
    load_links()
    load_clicks()
    load_clicks()
    found = rows(
        "SELECT count(DISTINCT l.id), count(DISTINCT c.click_id)"
        " FROM {dataset}.links AS l JOIN {dataset}.clicks AS c ON c.domain_id = l.domain_id"
    )
    assert found == [(5, 40)]


def test_turns_are_taken_one_at_a_time_by_threads_and_processes(workdir: Path) -> None:
    Path("counter").write_text("0")
    with ExitStack() as stack:
        others = [stack.enter_context(process(COUNTING)) for _ in range(2)]
        assert [read_line(other) for other in others] == ["ready", "ready"]
        for other in others:
            assert other.stdin
            print(file=other.stdin, flush=True)
        threads = stack.enter_context(ThreadPoolExecutor(3))
        counting = [threads.submit(count) for _ in range(3)]
        assert [task.result(timeout=60) for task in counting] == [None] * 3
        assert [other.wait(timeout=60) for other in others] == [0, 0]
    assert Path("counter").read_text() == str(25 * 5)


def test_a_killed_holder_frees_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with holder("loading") as held:
        with pytest.raises(WarehouseBusy), turn("waiting"):
            pass
        held.send_signal(signal.SIGKILL)
        held.wait(timeout=10)
        with turn("carrying on"):
            pass


def test_waiting_too_long_names_the_holder_its_purpose_and_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    before = datetime.now(UTC) - timedelta(seconds=1)
    with holder("loading clicks_7") as held, pytest.raises(WarehouseBusy) as busy, turn("reading"):
        pass
    message = str(busy.value)
    assert "not free for 0.1 seconds while waiting for reading" in message
    assert f"process {held.pid} on " in message
    assert "loading clicks_7" in message
    assert "LINK_ASSETS__LOCK_TIMEOUT_SECONDS" in message
    since = message.partition("since ")[2].partition(". Wait")[0]
    assert before <= datetime.fromisoformat(since) <= datetime.now(UTC)


def test_whoever_waits_long_is_told_for_whom_and_how_long_it_was(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock_module, "LOG_AFTER_SECONDS", 0.2)
    with holder("loading clicks_7") as held:
        threading.Timer(1.0, held.kill).start()
        with turn("loading clicks_8"):
            pass
    waits, waited = (record.getMessage() for record in caplog.records)
    told = f"loading clicks_8 waits for the warehouse, held by process {held.pid} on "
    assert waits.startswith(told)
    assert "loading clicks_7, since " in waits
    assert re.fullmatch(r"loading clicks_8 had waited \d+ seconds\.", waited)


def test_duckdb_takes_no_more_memory_than_allowed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DUCKDB_MEMORY", "256MiB")
    assert rows("SELECT current_setting('memory_limit')") == [("256.0 MiB",)]


@pytest.mark.parametrize(
    "name", [DEFAULT, "o-ther.2.duckdb", "UPPER.DB", ".hidden.db", "temp.db", "system", "main.x"]
)
def test_the_database_is_called_as_duckdb_calls_it(name: str, workdir: Path) -> None:
    with duckdb.connect(name) as database:
        assert database.execute("SELECT current_database()").fetchone() == (database_name(name),)


def test_no_copy_of_a_load_stays_beside_the_tables(api: str) -> None:
    with duckdb.connect(DEFAULT) as database:
        database.execute("CREATE SCHEMA link_assets_staging")  # as earlier versions did
        database.execute("CREATE TABLE link_assets_staging.clicks AS SELECT 1 AS ip")
    load_links()
    load_clicks()
    load_clicks()
    found = rows("SELECT DISTINCT schema_name FROM duckdb_tables() WHERE NOT internal")
    assert found == [("link_assets",)]


def load_all_in_one_opening(*domains: int) -> None:
    """Loads the domains with the file kept open, as threads do that wait for each other."""
    file_turns = _turns(duckdb_file())
    with ThreadPoolExecutor(len(domains)) as threads:
        ready = [threading.Event() for _ in domains]
        go = threading.Event()

        def load(domain: int, fetched: threading.Event) -> None:
            def wait(place: SavedPosition) -> None:
                fetched.set()
                go.wait(30)

            with open_pipeline(f"clicks_{domain}") as pipeline:
                pipeline.on_fetched = wait
                pipeline.run(clicks_source(api_settings(), domain))

        loads = [threads.submit(load, *of) for of in zip(domains, ready, strict=True)]
        assert all(event.wait(30) for event in ready)
        with turn("holding"):
            go.set()
            wait_until(lambda: file_turns.waiting == len(domains))
        for task in loads:
            task.result(timeout=30)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The schemas, by their hashes, that the file's tables were compared with."""
    monkeypatch.setattr(lock_module, "SHARED_SECONDS", 60)
    hashes: list[str] = []
    update = CatalogDuckDbClient.update_stored_schema

    def compare(client: CatalogDuckDbClient, **options: Any) -> Any:
        if options.get("force") and not client.sql_client.is_staging_dataset_active:
            hashes.append(client.schema.version_hash)
        return update(client, **options)

    monkeypatch.setattr(CatalogDuckDbClient, "update_stored_schema", compare)
    return hashes


def test_tables_are_looked_at_once_for_as_long_as_the_file_is_open(
    api: str, looks: list[str]
) -> None:
    load_all_in_one_opening(1, 2, 3)
    assert len(looks) == 1
    load_clicks(1)
    load_clicks(2)
    assert looks == looks[:1] * 3
    assert rows("SELECT count(DISTINCT domain_id) FROM {dataset}.clicks") == [(3,)]


def test_a_domain_with_other_fields_gets_its_columns_whoever_was_before_it(
    api: str, sandbox: Sandbox, looks: list[str]
) -> None:
    sandbox.clicks = {domain: [{"dt": f"2026-02-0{domain}T00:00:00Z"}] for domain in (1, 2, 3)}
    sandbox.clicks[2][0]["Late"] = "x"
    load_all_in_one_opening(1, 2, 3)
    assert len(looks) == len({*looks}) == 2
    found = rows("SELECT domain_id, late FROM {dataset}.clicks ORDER BY 1")
    assert found == [(1, None), (2, "x"), (3, None)]


def test_a_load_that_was_overtaken_stops_though_its_tables_are_known(api: str) -> None:
    load_clicks()
    with open_pipeline("clicks_1") as pipeline:
        pipeline.sync_destination()
        with turn("loading") as opened:
            pipeline._prepare_tables(opened)
            pipeline.continues_from = SavedPosition("of another load", {})
            with pytest.raises(ConcurrentWriteError):
                pipeline._prepare_tables(opened)


def test_everything_is_in_the_file_when_a_load_is_done(api: str, workdir: Path) -> None:
    load_clicks()
    assert (workdir / DEFAULT).exists()
    assert not (workdir / f"{DEFAULT}.wal").exists()


def test_nothing_is_put_where_dlt_would_look_for_every_other_setting(api: str) -> None:
    load_clicks()
    providers = {p.name: p for p in Container()[PluggableRunContext].providers.providers}
    assert providers["config.toml"].is_empty
    assert rows("SELECT count(_dlt_load_id) FROM {dataset}.clicks") == [(40,)]


def test_a_thread_waits_for_another_thread_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    refused: list[str] = []

    def wait() -> None:
        try:
            with turn("waiting"):
                pass
        except WarehouseBusy as busy:
            refused.append(str(busy))

    with turn("holding"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(timeout=30)
    assert len(refused) == 1
    assert f"process {os.getpid()} on " in refused[0]
    wait()
    assert len(refused) == 1


def test_a_failure_gives_the_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with pytest.raises(ZeroDivisionError), turn("failing"):
        raise ZeroDivisionError
    with turn("carrying on"):
        pass


def test_pipelines_leave_no_folder_behind(
    api: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with open_pipeline("clicks_1") as pipeline:
        assert [Path(pipeline.pipelines_dir)] == list(folder.iterdir())
        pipeline.run(clicks_source(api_settings(), 1))
    with pytest.raises(ZeroDivisionError), open_pipeline("clicks_2"):
        raise ZeroDivisionError
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
    assert list(folder.iterdir()) == []


def test_a_missing_table_is_told_from_other_errors(api: str) -> None:
    with pytest.raises(DatabaseUndefinedRelation):
        rows("SELECT * FROM {dataset}.links")
    load_clicks()
    with pytest.raises(DatabaseUndefinedRelation, match="links"):
        rows("SELECT * FROM {dataset}.links")
    with reading() as reader:
        assert reader.columns("clicks")[:2] == ["domain_id", "click_id"]


def test_a_file_that_is_no_database_is_named_and_left_alone(api: str, workdir: Path) -> None:
    (workdir / DEFAULT).write_bytes(b"not a database " * 1000)
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(Exception, match="not a valid DuckDB database") as refused:
            use()
        assert str(workdir / DEFAULT) in str(refused.value)
    assert (workdir / DEFAULT).read_bytes() == b"not a database " * 1000


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that belongs to somebody else once `give_up_privileges` is called."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.chdir(folder)
        try:
            yield Path(folder).resolve()
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            Path(folder).chmod(0o700)


def give_up_privileges() -> None:
    """Makes permissions count: root is above them."""
    if os.getuid() == 0:
        os.seteuid(NOBODY)


def test_a_warehouse_that_may_not_be_written_is_named(api: str, unprivileged: Path) -> None:
    load_clicks()
    file = unprivileged / DEFAULT
    file.chmod(0o400)
    unprivileged.chmod(0o777)
    for beside in unprivileged.glob("*.lock*"):
        beside.unlink()
    give_up_privileges()
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(Exception, match="Permission denied") as refused:
            use()
        assert f'"{file}"' in str(refused.value)


def test_a_folder_that_may_not_be_written_is_named(api: str, unprivileged: Path) -> None:
    load_clicks()
    for beside in unprivileged.glob("*.lock*"):
        beside.unlink()
    unprivileged.chmod(0o555)
    give_up_privileges()
    for use in (load_clicks, lambda: rows("SELECT 1")):
        with pytest.raises(WarehouseUnusable) as refused:
            use()
        assert f"The warehouse {unprivileged / DEFAULT} cannot be used" in str(refused.value)
