"""Another destination, by configuration: a PostgreSQL server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_manager
import psycopg2
import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from psycopg2 import sql

from link_assets.contract import CLICKS
from link_assets.domain_loads import open_loads
from link_assets.sandbox import Sandbox
from link_assets.settings import api_settings
from link_assets.source import transforms
from link_assets.warehouse import daily_clicks
from link_assets.warehouse.access import warehouse_lock
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.destinations import postgres_client
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.destinations.postgres_client import _warn_of_inserts
from link_assets.warehouse.old_clicks import OldClicks
from link_assets.warehouse.reader import reading
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.defs.loads import register
from link_assets_tests.scenarios.test_versions import load, serve, serve_spelled, spelled, versions
from link_assets_tests.scenarios.test_versions import load_links as list_links
from link_assets_tests.support import Location, failure_text, mostly_long, rows
from link_assets_tests.truth import expected_tags, loaded_tags
from link_assets_tests.warehouse.destinations.postgres_server import (
    needs_postgres,
    new_database,
    postgres_server,
    run_sql,
)

pytestmark = needs_postgres

SECRET = "nobody-may-see-this"
LATIN1 = "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"
PASSWORD = "p@ss:w/o?r#d%20 +&'\"\\é"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def server(port: int) -> str:
    """The address of an empty database."""
    return f"postgresql://loader:unused@127.0.0.1:{port}/{new_database(port)}"


@pytest.fixture(autouse=True)
def destination(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", server)


def test_everything_loads_and_every_check_runs(
    location: Location, workdir: Path, server: str
) -> None:
    location.everything()
    uri = server.replace("loader:unused@", "")
    assert location.click_metadata("1")["dagster/uri"] == uri
    location.everything()
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(counts) == [(1, 40), (2, 40), (3, 40)]
    columns = rows(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'link_assets' AND table_name = 'clicks'"
    )
    assert {field.column for field in CLICKS.columns} <= {name for (name,) in columns}
    checks = location.run("checks_job").get_asset_check_evaluations()
    assert {c.check_name for c in checks if not c.passed} == {"no_unknown_columns"}
    assert not list(workdir.glob("*.duckdb"))


@pytest.mark.long
def test_domains_loaded_at_once_in_chunks_lose_nothing(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")

    with open_loads(api_settings(), (1, 2, 3)) as loads, ThreadPoolExecutor(3) as threads:
        reads = threads.map(loads.load, (1, 2, 3))
        assert [read.stats.accepted for read in reads] == [40, 40, 40]
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(counts) == [(1, 40), (2, 40), (3, 40)]


def column_count(table: str) -> int:
    query = f"SELECT count(*) FROM information_schema.columns WHERE table_name = '{table}'"
    ((count,),) = rows(f"{query} AND table_schema = 'link_assets'")
    return count


@pytest.mark.parametrize("adbc", [True, False], ids=["ADBC", "INSERT"])
def test_any_connection_string_reaches_the_server_whole(
    adbc: bool, port: int, api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new_database(port, LATIN1)
    password = sql.SQL("ALTER ROLE guarded PASSWORD {}").format(sql.Literal(PASSWORD))
    run_sql(port, "postgres", password)
    sandbox.clicks = {1: [{"dt": "2026-01-01T00:00:00Z", "city": "Zürich"}]}
    query = "sslmode=prefer&options=-c%20statement_timeout%3D50000&application_name=a%20b%26c"
    address = f"postgresql://guarded:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{database}?{query}"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", str(not adbc))
    load_clicks(1)
    load_clicks(1)
    assert rows("SELECT city FROM {dataset}.clicks") == [("Zürich",)]
    settings = "SELECT current_setting('statement_timeout'), current_setting('application_name')"
    assert rows(settings) == [("50s", "a b&c")]


@pytest.mark.long
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_times_at_the_ends_of_the_calendar_are_read_whatever_zone_is_set(
    zone: str, location: Location, server: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", zone)
    options = quote(f"-c timezone={zone}")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", f"{server}?options={options}")
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    sandbox.clicks = {1: [{"dt": end.isoformat(), "path": "/a"} for end in ends]}
    register(location, 1)
    assert location.clicks_and_days("1").success
    assert rows("SELECT dt FROM {dataset}.clicks ORDER BY 1") == [(end,) for end in ends]
    first_and_last = "SELECT min(first_click), max(last_click) FROM {dataset}.daily_clicks"
    assert rows(first_and_last) == [tuple(ends)]


def test_after_an_error_the_session_still_has_its_time_zone(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Pacific/Kiritimati")
    with reading() as reader:
        with pytest.raises(DatabaseUndefinedRelation):
            reader.rows("SELECT * FROM nothing")
        assert reader.rows("SHOW TIME ZONE") == [("UTC",)]


@pytest.mark.long
def test_a_refused_connection_is_explained_without_the_password(
    location: Location, server: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for wrong, text in (
        (server.replace("loader:unused", f"guarded:{SECRET}"), 'user "guarded"'),
        (server.replace("loader:unused", f"nobody:{SECRET}"), 'role "nobody" does not exist'),
        (server.replace(":unused", f":{SECRET}") + "_gone", "does not exist"),
        (f"postgresql://loader:{SECRET}@127.0.0.1:1/x", "Connection refused"),
        (f"postgresql+psycopg2://loader:{SECRET}@127.0.0.1:1/x", "Connection refused"),
        (f"postgresql://loader:{SECRET}@127.0.0.1/x?sslmode={SECRET[:3]}", "sslmode"),
    ):
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", wrong)
        message = failure_text(location.links())
        assert text in message
        assert SECRET not in message + caplog.text


@pytest.mark.long
@pytest.mark.parametrize("adbc", mostly_long([True, False], 1), ids=["ADBC", "INSERT"])
def test_a_database_of_another_encoding_is_named_in_the_failure(
    adbc: bool, location: Location, port: int, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{server.rpartition('/')[0]}/{new_database(port, LATIN1)}"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", str(not adbc))
    location.instance.add_dynamic_partitions("domain", ["1"])
    assert "a database with the encoding UTF8" in failure_text(location.clicks("1"))


def test_a_domain_without_clicks_loads(api: str, sandbox: Sandbox) -> None:
    sandbox.clicks = {1: []}
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(0,)]


def test_no_database_of_the_driver_is_opened_only_to_ask_whether_there_is_one(
    server: str, api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the driver does not free what it takes for a database without an address
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(adbc_driver_manager, "AdbcDatabase", lambda **of: asked.append(of))
    with open_loads(api_settings(), [1]) as loads:
        assert loads.load(1).finished
    assert not asked


def test_without_adbc_a_warning_is_logged_once(
    api: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    _warn_of_inserts.cache_clear()
    load_clicks(1)
    assert "INSERT" not in caplog.text
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", "true")
    load_clicks(1)
    load_links()
    (said,) = [r.getMessage() for r in caplog.records if r.name == _warn_of_inserts.__module__]
    for name in ("adbc-driver-manager", "adbc-driver-postgresql", "link-assets[postgres]"):
        assert name in said


def staged(port: int, server: str) -> dict[str, int]:
    """How many rows stand in each table of a staging dataset, dlt's own aside."""
    database = server.rpartition("/")[2]
    tables = run_sql(
        port,
        database,
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_schema LIKE 'link_assets_staging%' AND table_name NOT LIKE '\\_dlt%'",
    )
    counts = {name: run_sql(port, database, f"SELECT count(*) FROM {name}") for (name,) in tables}
    return {name: count for name, ((count,),) in counts.items()}


def test_loads_and_clicks_are_found_by_an_index(
    port: int, server: str, api: str, sandbox: Sandbox
) -> None:
    load_links()
    load_clicks(1)
    database = server.rpartition("/")[2]
    # an earlier version made none
    indexes = ("link_assets.link_assets_loads_by_id", "link_assets.link_assets_clicks_by_time")
    run_sql(port, database, *(f"DROP INDEX {index}" for index in indexes))
    load_clicks(1)
    made = "SELECT tablename FROM pg_indexes WHERE indexname LIKE 'link_assets_%' ORDER BY 1"
    assert rows(made) == [("_dlt_loads",), ("clicks",)]


def test_an_index_is_left_for_the_next_load_while_another_program_writes(
    port: int, server: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_client, "INDEX_TIMEOUT", 50)
    load_clicks(1)
    database = server.rpartition("/")[2]
    run_sql(port, database, "DROP INDEX link_assets.link_assets_clicks_by_time")
    made = "SELECT count(*) FROM pg_indexes WHERE indexname = 'link_assets_clicks_by_time'"
    other = psycopg2.connect(host="127.0.0.1", port=port, user="loader", dbname=database)
    with closing(other), other.cursor() as cursor:
        cursor.execute("DELETE FROM link_assets.clicks WHERE false")
        load_clicks(2)
        assert rows(made) == [(0,)]
    load_clicks(2)
    assert rows(made) == [(1,)]
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(80,)]


@pytest.mark.long
def test_nothing_of_a_load_stays_staged(
    port: int, server: str, api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clicks = {1: [{"dt": "never"}, {"dt": "2026-01-01T00:00:00Z"}]}
    load_clicks(1)
    load_links()
    assert {*staged(port, server).values()} == {0}
    database = server.rpartition("/")[2]
    # as a load that failed, and an earlier version, leave it
    schema = f"link_assets_staging_clicks_{configured_warehouse().machine}"
    left = [f"INSERT INTO {schema}.clicks SELECT * FROM link_assets.clicks"]
    left += [f"INSERT INTO {schema}.rejected_rows SELECT * FROM link_assets.rejected_rows"]
    left += ["CREATE SCHEMA link_assets_staging_clicks_1"]
    left += ["CREATE TABLE link_assets_staging_clicks_1.gone AS SELECT 'secret' AS ip"]
    run_sql(port, database, *left)
    assert sum(staged(port, server).values()) == 3
    sandbox.clicks = {1: []}
    load_clicks(1)
    assert {*staged(port, server).values()} == {0}
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(1,)]


@pytest.mark.long
def test_a_name_that_the_database_quotes_is_shown(
    location: Location, port: int, server: str, sandbox: Sandbox
) -> None:
    location.links()
    database = server.rpartition("/")[2]
    changed = "ALTER TABLE link_assets.links ALTER title TYPE boolean USING NULL"
    run_sql(port, database, changed)
    sandbox.links = [{"id": "new", "title": "t"}]
    assert 'refused: column "title" is of type boolean but' in failure_text(location.links())


@pytest.mark.long
def test_a_value_that_the_database_quotes_is_not_shown(
    location: Location, port: int, server: str, sandbox: Sandbox, caplog: Any
) -> None:
    sandbox.links = [{"id": "1", "title": "t", "originalURL": "u"}]
    location.links()
    database = server.rpartition("/")[2]
    unique = "ALTER TABLE link_assets.links ADD CONSTRAINT one_title UNIQUE (title, original_url)"
    run_sql(port, database, unique)
    sandbox.links = [{"id": n, "title": SECRET, "originalURL": "it's"} for n in ("2", "3")]
    message = failure_text(location.links())
    assert 'violates unique constraint "one_title"' in message
    assert SECRET not in message + caplog.text


@pytest.mark.parametrize("adbc", mostly_long([True, False], 1), ids=["ADBC", "INSERT"])
@pytest.mark.long
def test_too_many_columns_or_fields_fail_with_the_name_of_the_table(
    adbc: bool, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", str(not adbc))
    location.instance.add_dynamic_partitions("domain", ["1"])
    click = {"dt": "2026-01-01T00:00:00Z"}
    sandbox.clicks = {1: [click | {f"a{i}": "some text of it" for i in range(800)}]}
    message = failure_text(location.clicks("1"))
    assert "row is too big" in message
    assert "more fields than PostgreSQL can keep in one row" in message
    assert column_count("clicks") > 800
    sandbox.clicks = {1: [click | {f"b{i}": "x" for i in range(800)}]}
    message = failure_text(location.clicks("1"))
    assert "link_assets.clicks would need more" in message
    assert "undocumented fields" in message
    sandbox.clicks = {1: [click]}
    assert location.clicks("1").success


def test_warehouses_of_one_machine_do_not_wait_for_each_other(
    server: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = warehouse_lock(configured_warehouse()).path
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", server.replace("unused", SECRET))
    assert warehouse_lock(configured_warehouse()).path == here
    for other in (server + "_too", server.replace("127.0.0.1", "localhost")):
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", other)
        assert warehouse_lock(configured_warehouse()).path != here


@pytest.mark.long
def test_the_last_version_of_a_row_is_kept(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 2)
    pages, kept = "a0 b0 | c0 d0 | e0 b1 | a2 | a1 c1", "a1 b1 c1 d0 e0"
    for _ in range(2):
        serve_spelled(sandbox, "links", pages)
        list_links()
        assert loaded_tags() == expected_tags(spelled("links", kept))
        serve_spelled(sandbox, "clicks", pages)
        load()
        assert versions("links") == versions("clicks") == kept


def test_text_with_nul_is_rejected(api: str, sandbox: Sandbox) -> None:
    bad = [{"dt": "2026-02-01T12:00:00Z", "n\x00w": "x\x00"}, {"id": "a", "tags": ["x\x00"]}]
    for table, row in zip(("clicks", "links"), bad, strict=True):
        serve(sandbox, table, [[row, spelled(table, "n0")[0]]])
        (load if table == "clicks" else list_links)()
        assert "n0" in versions(table)
    reasons = rows(
        "SELECT reason, payload LIKE '%%u0000%%' FROM {dataset}.rejected_rows ORDER BY 1"
    )
    nul = "is text with a NUL character, which not every warehouse can hold"
    assert reasons[-2:] == [(f"n\\u0000w: {nul}", True), (f"tags: {nul}", True)]


OLD = OldClicks([1], date(2026, 3, 2))


@pytest.fixture
def two_days(api: str, sandbox: Sandbox) -> None:
    """A click of domain 1 that is to be deleted, and one that is kept."""
    clicks = [{"dt": f"2026-03-0{day}T12:00:00Z", "path": "/a", "st": 302} for day in (1, 2)]
    sandbox.clicks = {1: clicks}
    load_clicks(1)


def clicks_of_days() -> list[int]:
    return [n for (n,) in rows("SELECT clicks FROM {dataset}.daily_clicks ORDER BY day")]


def test_a_click_that_another_machine_loads_while_old_ones_go_stays(
    two_days: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = (
        "INSERT INTO {dataset}.clicks (domain_id, dt, click_id, st, _dlt_load_id)"
        " VALUES (1, '2026-03-01 13:00:00+00', 'late', 302, '9999999999')"
    )
    replace_days = daily_clicks._replace
    inserted: list[Future[list[Any]]] = []

    def beside(*arguments: Any) -> None:
        """Has another connection insert an old click between the statements, if it can."""
        inserted.append(threads.submit(rows, insert))
        wait([inserted[0]], 0.5)
        replace_days(*arguments)

    monkeypatch.setattr(daily_clicks, "_replace", beside)
    with ThreadPoolExecutor(1) as threads:
        done = compute_days([1], OLD)[1]
    assert inserted[0].exception() is None
    assert (done.deleted, clicks_of_days()) == (1, [1, 1])
    assert rows("SELECT click_id FROM {dataset}.clicks WHERE dt < '2026-03-02'") == [("late",)]


def test_while_others_write_clicks_days_are_computed_and_old_clicks_stay(
    two_days: None, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_clicks, "DELETE_SECONDS", 0.1)
    with closing(psycopg2.connect(server)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE link_assets.clicks IN ROW EXCLUSIVE MODE")
        done = compute_days([1], OLD)[1]
        assert (done.deleted, clicks_of_days()) == (0, [1, 1])
    assert compute_days([1], OLD)[1].deleted == 1
    assert clicks_of_days() == [1, 1]
