"""Backups of the DuckDB file: whole, made beside loads, and put back in one piece."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from link_assets.cli.main import main
from link_assets.domain_loads import open_loads
from link_assets.sandbox import RequestRecord, Sandbox
from link_assets.settings import api_settings
from link_assets.source.resume import ClicksRead
from link_assets.warehouse import backup
from link_assets.warehouse.backup import back_up, restore
from link_assets.warehouse.errors import ConcurrentWriteError
from link_assets.warehouse.positions import Position, read_positions
from link_assets.warehouse.reader import reading
from link_assets_tests.children import load_clicks
from link_assets_tests.defs.loads import world_of
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse.helpers import (
    process,
    read_line,
    set_lock_timeout,
    wait_until,
)

WAREHOUSE, COPY = Path("warehouse.duckdb"), Path("copy.duckdb")
KILLED_WRITER = """
import os, duckdb
file = duckdb.connect("warehouse.duckdb")
file.execute("DELETE FROM warehouse.link_assets.clicks")
os._exit(9)
"""
OTHER_WRITER = """
import duckdb
try:
    duckdb.connect("warehouse.duckdb").execute("CREATE TABLE warehouse.link_assets.other (a INT)")
    print("written", flush=True)
except duckdb.IOException:
    print("refused", flush=True)
"""
LOOKER = """
import duckdb
file = duckdb.connect("warehouse.duckdb", read_only=True)
print("open", flush=True)
input()
"""


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def refusal(*arguments: str) -> str:
    refused = command(*arguments)
    assert isinstance(refused.exception, SystemExit), refused.exception
    assert refused.exit_code == 1, refused.output
    return " ".join(refused.output.split())


def domains(file: Path = WAREHOUSE) -> set[int]:
    """The domains whose clicks a file has."""
    with duckdb.connect(file, read_only=True) as database:
        found = database.execute("SELECT DISTINCT domain_id FROM link_assets.clicks").fetchall()
    return {domain for (domain,) in found}


def load_all(**settings: Any) -> None:
    """Loads the clicks of all three domains."""
    with open_loads(replace(api_settings(), **settings), [1, 2, 3]) as loads:
        for domain in (1, 2, 3):
            loads.load(domain)


def replaced_files() -> list[Path]:
    """What restored backups have replaced, the latest last."""
    return sorted(Path.cwd().glob("warehouse.duckdb.replaced-*Z"))


def loads_of_domain_1() -> int:
    with reading() as reader:
        return read_positions(reader, [1]).get(1, Position()).number


@pytest.fixture
def backed_up(api: str) -> None:
    """A warehouse with the clicks of domains 1 and 2, and its backup with those of domain 1."""
    load_clicks(1)
    assert command("backup", str(COPY)).exit_code == 0
    load_clicks(2)


@pytest.mark.usefixtures("backed_up")
def test_loads_go_on_from_where_a_restored_backup_stands(sandbox: Sandbox) -> None:
    assert domains() == {1, 2}
    restored = command("restore", str(COPY))
    assert restored.exit_code == 0
    (replaced,) = replaced_files()
    assert str(replaced) in restored.output
    assert (domains(), domains(replaced)) == ({1}, {1, 2})
    for domain in (1, 2, 3):
        load_clicks(domain)
    assert loaded_clicks() == expected_world(world_of(sandbox))


@pytest.mark.long
def test_backups_beside_a_load_are_whole_and_do_not_disturb_it(api: str, sandbox: Sandbox) -> None:
    copies: list[Path] = []

    def copy(_: RequestRecord) -> None:
        if len(sandbox.requests) in (4, 6, 9):  # the first domain is loaded by then
            copies.append(Path(f"copy{len(copies)}.duckdb"))
            back_up(copies[-1])

    sandbox.on_request = copy
    load_all(chunk_rows=15)
    sandbox.on_request = None
    everything = expected_world(world_of(sandbox))
    assert loaded_clicks() == everything
    assert len(copies) == 3
    for copied in copies:
        restore(copied)
        load_all()
        assert loaded_clicks() == everything


@pytest.mark.long
def test_a_load_that_began_before_a_backup_was_restored_goes_on_from_it(
    api: str, sandbox: Sandbox
) -> None:
    by_page = replace(api_settings(), chunk_rows=15)

    def act(_: RequestRecord) -> None:
        asked = len(sandbox.requests)
        if asked == 2:
            wait_until(lambda: loads_of_domain_1() == 1)
            back_up(COPY)
        if asked == 3:
            wait_until(lambda: loads_of_domain_1() == 2)
            restore(COPY)

    sandbox.on_request = act
    with open_loads(by_page, [1]) as loads, pytest.raises(ConcurrentWriteError):
        loads.load(1)
    sandbox.on_request = None
    load_clicks(1)
    assert len(loaded_clicks()) == 40


@pytest.mark.long
def test_a_load_that_began_before_goes_on_from_a_backup_that_stands_at_as_many_loads(
    api: str, sandbox: Sandbox
) -> None:
    settings = replace(api_settings(), chunk_rows=15)
    with open_loads(settings, [1]) as loads, loads.begin(1, ClicksRead()) as chunks:
        chunks.load()
    back_up(COPY)
    with open_loads(settings, [1]) as loads, pytest.raises(ConcurrentWriteError):  # noqa: PT012
        read = ClicksRead()
        with loads.begin(1, read) as chunks:
            chunks.load()
            chunks.wait()
            restore(COPY)
            with open_loads(settings, [1]) as others, others.begin(1, ClicksRead()) as other:
                other.load()  # as many loads as the one that was lost
            chunks.load()
    load_clicks(1)
    assert loaded_clicks() == expected_world(world_of(sandbox), 1)


def test_what_a_file_had_not_taken_up_is_kept_with_it_and_not_added_to_the_backup(
    api: str,
) -> None:
    load_clicks(1)
    assert command("backup", str(COPY)).exit_code == 0
    with process(KILLED_WRITER) as writer:
        writer.wait(30)
    changes = Path("warehouse.duckdb.wal").read_bytes()
    # as DuckDB would leave it if it could not open the file
    WAREHOUSE.write_bytes(b"no database")
    assert command("restore", str(COPY)).exit_code == 0
    assert domains() == {1}
    (replaced,) = replaced_files()
    assert replaced.read_bytes() == b"no database"
    assert replaced.with_name(f"{replaced.name}.wal").read_bytes() == changes


def test_a_backup_has_what_its_file_had_not_taken_up(api: str) -> None:
    load_clicks(1)
    with process(KILLED_WRITER) as writer:
        writer.wait(30)
    back_up(COPY)
    assert domains(COPY) == set()


@pytest.mark.usefixtures("backed_up")
def test_a_restore_can_be_undone_and_repeated() -> None:
    restore(COPY)
    (first,) = replaced_files()
    restore(first)
    assert (domains(), domains(first)) == ({1, 2}, {1, 2})
    restore(COPY)
    assert [*map(domains, replaced_files())] == [{1, 2}, {1}, {1, 2}]


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_changes_beside_a_copy_are_not_passed_over() -> None:
    changes = Path("copy.duckdb.wal")
    changes.write_bytes(b"of an earlier copy")
    assert "is not all of a backup" in refusal("restore", str(COPY))
    assert domains() == {1, 2}
    back_up(COPY)
    assert not changes.exists()
    assert domains(COPY) == {1, 2}


@pytest.mark.usefixtures("backed_up")
def test_copies_are_for_those_who_may_read_the_warehouse() -> None:
    WAREHOUSE.chmod(0o600)
    back_up(COPY)
    assert stat.S_IMODE(COPY.stat().st_mode) == 0o600
    COPY.chmod(0o644)
    restore(COPY)
    assert stat.S_IMODE(WAREHOUSE.stat().st_mode) == 0o600


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_links_to_a_warehouse_and_to_a_backup_stay_links() -> None:
    Path("elsewhere").mkdir()
    for name in (WAREHOUSE, COPY):
        name.rename(Path("elsewhere", name))
        name.symlink_to(Path("elsewhere", name))
    restore(COPY)
    assert (WAREHOUSE.is_symlink(), domains()) == (True, {1})
    back_up(COPY)
    assert (COPY.is_symlink(), domains(COPY)) == (True, {1})


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_no_other_program_writes_while_the_file_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = "import time; time.sleep(1)\n"
    monkeypatch.setattr(backup, "COPY", wait + backup.COPY)
    with ThreadPoolExecutor(1) as threads:
        copied = threads.submit(back_up, Path("other.duckdb"))
        wait_until(Path("other.duckdb.arriving").exists)
        with process(OTHER_WRITER) as writer:
            assert read_line(writer) == "refused"
        copied.result()
    assert domains(Path("other.duckdb")) == {1, 2}


@pytest.mark.usefixtures("backed_up")
def test_a_damaged_or_lost_warehouse_is_replaced() -> None:
    WAREHOUSE.write_bytes(b"no database")
    assert "cannot be opened" in refusal("backup", "other.duckdb")
    assert command("restore", str(COPY)).exit_code == 0
    assert domains() == {1}
    WAREHOUSE.unlink()
    assert "nothing to back up" in refusal("backup", "other.duckdb")
    assert "replaced" not in command("restore", str(COPY)).output
    assert domains() == {1}


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
@pytest.mark.parametrize("act", [back_up, restore])
def test_a_copy_that_breaks_off_leaves_what_was_there(
    act: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = WAREHOUSE.read_bytes(), COPY.read_bytes()

    half = f"import sys; open(sys.argv[2], 'w').write('half'); sys.exit({errno.ENOSPC})"
    monkeypatch.setattr(backup, "COPY", half)
    with pytest.raises(OSError, match="No space"):
        act(COPY)
    assert (WAREHOUSE.read_bytes(), COPY.read_bytes()) == before
    assert not list(Path().glob("*.arriving"))


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
@pytest.mark.parametrize("act", ["backup", "restore"])
def test_a_program_that_has_the_file_open_is_named(
    act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_lock_timeout(monkeypatch)
    with process(LOOKER) as looker:
        assert read_line(looker) == "open"
        assert f"process {looker.pid}" in refusal(act, str(COPY))


@pytest.mark.usefixtures("backed_up")
def test_what_is_no_backup_is_refused_and_nothing_is_replaced() -> None:
    with duckdb.connect("other.duckdb") as database:
        database.execute("CREATE TABLE clicks (a INT)")
    Path("text.duckdb").write_text("no database")
    for given in ("other.duckdb", "text.duckdb", "missing.duckdb", "warehouse.duckdb"):
        assert f"{given} is no backup" in refusal("restore", given)
    assert "is the warehouse itself" in refusal("backup", "warehouse.duckdb")
    assert "nowhere/copy.duckdb.arriving cannot be written" in refusal(
        "backup", "nowhere/copy.duckdb"
    )
    assert domains() == {1, 2}


@pytest.mark.parametrize("act", ["backup", "restore"])
def test_a_warehouse_that_is_no_file_is_left_to_its_database(
    act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://a:secret@127.0.0.1/b")
    message = refusal(act, "copy.duckdb")
    assert "by the means of its database" in message
    assert "secret" not in message
