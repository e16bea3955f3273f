"""Several machines that load into one PostgreSQL database: processes that share no lock file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from link_assets.domain_loads import open_loads
from link_assets.sandbox import Sandbox, World
from link_assets.settings import api_settings
from link_assets.warehouse import daily_clicks, former_names
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import ConcurrentWriteError, WarehouseBusy
from link_assets.warehouse.pipeline import WarehousePipeline, open_pipeline
from link_assets.warehouse.reader import reading
from link_assets_tests.children import WAIT, child, finish, load_clicks, load_links
from link_assets_tests.support import mostly_long, rows
from link_assets_tests.truth import (
    expected_clicks,
    expected_days,
    loaded_clicks,
    loaded_days,
    world_clicks,
)
from link_assets_tests.warehouse.destinations.postgres_server import (
    needs_postgres,
    new_database,
    postgres_server,
    run_sql,
)
from link_assets_tests.warehouse.helpers import wait_until

pytestmark = needs_postgres

WORLD = World(domains=6, links_per_domain=2, clicks_per_domain=30)
DOMAINS = WORLD.domain_ids()
LINKS = 0
"""Stands among domains for the links."""
COUNT = "SELECT count(*), count(DISTINCT {key}) FROM {{dataset}}.{table}"


def load_together(what: int, started: str) -> None:
    """Loads a domain, or the links, and waits for the others before anything is written."""

    write = WarehousePipeline.writing_alone

    def wait(pipeline: WarehousePipeline, *parts: Any) -> AbstractContextManager[OpenWarehouse]:
        Path("fetched").touch()
        while not Path(started).exists():
            time.sleep(0.001)
        return write(pipeline, *parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WarehousePipeline, "writing_alone", wait)
        # one that another machine has been faster than writes nothing, and says so
        with suppress(ConcurrentWriteError):
            load_clicks(what) if what else load_links()


def compute_together(domain: int, started: str) -> None:
    """Computes the days of a domain, and waits for the others before it looks for them."""
    compute = daily_clicks._compute_changed

    def wait(*arguments: Any) -> Any:
        Path("fetched").touch()
        while not Path(started).exists():
            time.sleep(0.001)
        return compute(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daily_clicks, "_compute_changed", wait)
        daily_clicks.compute_days([domain])


def rename_together(what: int, started: str) -> None:
    """Loads a domain, or the links, and waits for the others once it knows what to rename."""
    find = former_names._former_columns

    def wait(*arguments: Any) -> Any:
        found = find(*arguments)
        while found and not Path(started).exists():
            Path("fetched").touch()
            time.sleep(0.001)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(former_names, "_former_columns", wait)
        load_clicks(what) if what else load_links()


def on_machines_of_their_own(
    loads: Sequence[int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[int, str], None] = load_together,
) -> None:
    """Has each loaded by a process with temporary files of its own; all write at once."""
    folder.mkdir()
    started, homes = folder / "started", [folder / str(place) for place in range(len(loads))]
    with ExitStack() as stack:
        children = []
        for home, what in zip(homes, loads, strict=True):
            home.mkdir()
            monkeypatch.chdir(home)
            children.append(stack.enter_context(child(load, what, str(started))))
        wait_until(
            lambda: all(
                (home / "fetched").exists() or process.exitcode is not None
                for home, process in zip(homes, children, strict=True)
            ),
            WAIT,
        )
        started.touch()
        for home, process in zip(homes, children, strict=True):
            monkeypatch.chdir(home)
            finish(process)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(world=WORLD, page_size=20)


@pytest.fixture(autouse=True)
def database(port: int, api: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, configured as the warehouse."""
    name = new_database(port)
    address = f"postgresql://loader:unused@127.0.0.1:{port}/{name}"
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    return name


@pytest.mark.long
def test_machines_rename_a_column_of_an_earlier_version_together(
    port: int, database: str, sandbox: Sandbox, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clicks = {domain: [{"dt": "never"}, *world_clicks(WORLD, domain)] for domain in DOMAINS}
    for domain in DOMAINS:
        load_clicks(domain)
    query = "SELECT rejected_row_id, resource, domain_id, reason, payload FROM {dataset}."
    before = rows(f"{query}rejected_rows ORDER BY domain_id")
    assert len(before) == len(DOMAINS)
    holders = "SELECT table_schema FROM information_schema.columns WHERE column_name = '{}'"
    datasets = run_sql(port, database, holders.format("rejected_row_id"))
    assert len(datasets) == 2  # one of them for staging
    former = "ALTER TABLE {}.rejected_rows RENAME rejected_row_id TO row_id"
    schemas = (
        "UPDATE link_assets._dlt_version SET schema = replace(schema, 'rejected_row_', 'row_')"
    )
    run_sql(port, database, *(former.format(*dataset) for dataset in datasets), schemas)
    on_machines_of_their_own([LINKS, 1], workdir / "renamed", monkeypatch, rename_together)
    assert rows(f"{query}rejected_rows ORDER BY domain_id") == before
    assert run_sql(port, database, holders.format("row_id")) == []


@pytest.mark.long
@pytest.mark.parametrize("attempt", mostly_long(range(12), 1))
def test_first_loads_of_eight_machines_make_the_tables_together(
    attempt: int, sandbox: Sandbox, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machines_of_their_own([LINKS, LINKS, *DOMAINS], workdir / "first", monkeypatch)
    given = {domain: world_clicks(WORLD, domain) for domain in DOMAINS}
    assert loaded_clicks() == expected_clicks(given)
    assert rows(COUNT.format(key="id", table="links")) == [(12, 12)]
    # each domain has a field of its own and one that all of them have
    for domain, clicks in given.items():
        for click in clicks:
            click |= {f"Field of {domain}": "x", "New": "y"}
    sandbox.clicks = given
    on_machines_of_their_own(DOMAINS, workdir / "then", monkeypatch)
    assert loaded_clicks() == expected_clicks(given)
    own = ", ".join(f"count(field_of_{domain})" for domain in DOMAINS)
    assert rows(f"SELECT count(new), {own} FROM {{dataset}}.clicks") == [(180, *[30] * 6)]


@pytest.mark.parametrize("what", mostly_long([1, LINKS], 1), ids=["a domain", "the links"])
def test_machines_that_load_the_same_add_no_row_twice(
    what: int, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machines_of_their_own([what] * 4, workdir / "same", monkeypatch)
    table, key, expected = ("clicks", "click_id", 30) if what else ("links", "id", 12)
    assert rows(COUNT.format(key=key, table=table)) == [(expected, expected)]


@pytest.mark.parametrize("attempt", mostly_long(range(5), 1))
def test_machines_that_compute_the_same_days_add_no_row_twice(
    attempt: int, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_links()
    load_clicks(1)
    on_machines_of_their_own([1] * 4, workdir / "days", monkeypatch, compute_together)
    assert loaded_days() == expected_days({1: world_clicks(WORLD, 1)}, WORLD.links())


def test_a_computation_waits_only_so_long_for_another_machine(
    port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.2")
    with reading() as elsewhere, elsewhere._client.begin_transaction():
        configured_warehouse().writing_alone(elsewhere._client, "daily_clicks", 1)
        with pytest.raises(WarehouseBusy, match=r"not free for 0\.2 seconds .*computing daily"):
            daily_clicks.compute_days([1])
    daily_clicks.compute_days([1])


def test_a_domain_that_another_machine_is_loading_leaves_the_others_in_its_load(
    port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.2")
    with open_pipeline("clicks_elsewhere") as elsewhere:
        elsewhere.restore()
        # by the name that all versions lock
        held = configured_warehouse().loading_alone(elsewhere.dlt, ["link_assets_clicks_2"], 1)
        with held, open_loads(api_settings(), DOMAINS) as loads, ThreadPoolExecutor(6) as threads:
            tasks = {domain: threads.submit(loads.load, domain) for domain in DOMAINS}
            errors = {domain: task.exception() for domain, task in tasks.items()}
    assert [domain for domain, error in errors.items() if error] == [2]
    assert "waiting for loading link_assets_clicks_2" in str(errors[2])
    others = {domain: world_clicks(WORLD, domain) for domain in DOMAINS if domain != 2}
    assert loaded_clicks() == expected_clicks(others)


def test_a_load_waits_only_so_long_for_another_machine(
    port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_clicks(1)
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.2")
    with open_pipeline("clicks_elsewhere") as elsewhere:
        elsewhere.restore()
        with configured_warehouse().loading_alone(elsewhere.dlt, ["link_assets_clicks_1"], 1):
            with pytest.raises(WarehouseBusy, match=r"not free for 0\.2 seconds .*loading"):
                load_clicks(1)
            load_clicks(2)
    load_clicks(1)
    locks = "SELECT * FROM pg_locks WHERE locktype = 'advisory'"
    wait_until(lambda: not run_sql(port, database, locks))
