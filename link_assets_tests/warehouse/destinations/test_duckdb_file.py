"""The setting that names the DuckDB file: it works, or it is refused at once with what to give."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from link_assets.cli.main import main
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.sandbox import Sandbox
from link_assets.settings import SettingsError
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.destinations.duckdb_file import DEFAULT_FILE, FORMER_FILE
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import Location, failure_text, rows

SETTING = "DESTINATION__DUCKDB__CREDENTIALS"


@pytest.fixture(autouse=True)
def home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home: a folder of its own."""
    folder = workdir / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("~/x.duckdb", "home/x.duckdb"),
        ("~/data/x.duckdb", "home/data/x.duckdb"),
        ("duckdb:///~/x.duckdb", "home/x.duckdb"),
        (" x.duckdb ", "x.duckdb"),
        ("duckdb:///{here}/x.duckdb", "x.duckdb"),
        ("duckdb:///data/x.duckdb", "data/x.duckdb"),
        ("file://{here}/my%20data/x.duckdb", "my data/x.duckdb"),
        ("file://localhost{here}/x.duckdb", "x.duckdb"),
        ("../x.duckdb", "../x.duckdb"),
        ("", DEFAULT_FILE),
        (" ", DEFAULT_FILE),
    ],
)
def test_the_rows_are_in_the_file_of_a_usable_address(
    given: str, file: str, api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = workdir / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    expected = (workdir if file.startswith("home") else here) / file
    monkeypatch.setenv(SETTING, given.format(here=here))
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
    found = {f.resolve() for f in workdir.rglob("*.duckdb")}
    assert found == {expected.resolve()}
    locks = {f.parent.resolve() for f in workdir.rglob("*.lock")}
    assert locks == {expected.resolve().parent}
    assert not (here / "~").exists()


REFUSED = [
    (":memory:", "rows have to outlast a run"),
    (":memory:shared", "rows have to outlast a run"),
    ("duckdb:///:memory:", "rows have to outlast a run"),
    ("duckdb:///", "rows have to outlast a run"),
    (":pipeline:", "rows have to outlast a run"),
    ("md:db", "DESTINATION_TYPE=motherduck"),
    ("md:", "DESTINATION_TYPE=motherduck"),
    ("motherduck:db?token=the-token-nobody-may-see", "DESTINATION_TYPE=motherduck"),
    ("MD:db", "DESTINATION_TYPE=motherduck"),
    ("md:///db", "DESTINATION_TYPE=motherduck"),
    (".", "is a folder"),
    ("~", "is a folder"),
    ("home", "is a folder"),
    ("new/", "is a folder"),
    ("duckdb:///home", "is a folder"),
    ("~nobody-of-that-name/x.duckdb", "must be a path"),
    ("duckdb://x.duckdb", "a URL such as duckdb:///"),
    ("duckdb:x.duckdb", "a URL such as duckdb:///"),
    ("duckdb:///x.duckdb?read_only=true", "a URL such as duckdb:///"),
    ("file://elsewhere/x.duckdb", "a URL such as duckdb:///"),
    ("postgresql://loader:the-token-nobody-may-see@db/links", "a URL such as duckdb:///"),
    ("s3://bucket/x.duckdb", "a URL such as duckdb:///"),
    ('{"database": "x.duckdb"}', "a URL such as duckdb:///"),
    ("ducklake:x", "a URL such as duckdb:///"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED)
def test_an_unusable_address_is_refused_with_what_to_give(
    given: str, says: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, given)
    with pytest.raises(SettingsError) as refused:
        configured_warehouse()
    assert str(refused.value).startswith(f"{SETTING} must be ")
    assert says in str(refused.value)
    assert "nobody-may-see" not in str(refused.value)
    assert {f.name for f in workdir.iterdir()} == {"home"}


def test_a_run_refuses_an_unusable_address_before_it_asks_the_api(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.everything()
    sandbox.reset_log()
    monkeypatch.setenv(SETTING, ":memory:")
    for result in (location.links(), location.clicks("1"), location.clicks("1", "3")):
        assert not result.success
        assert f"{SETTING} must be the path of a file" in failure_text(result)
    assert sandbox.requests == []


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_a_command_refuses_an_unusable_address_and_starts_nothing(
    command: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "md:db")
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {SETTING} must be the path of a file.")
    assert {f.name for f in workdir.iterdir()} == {"home"}


@pytest.mark.parametrize("name", ["CREDENTIALS", "DATABASE", "DUCKDB__CREDENTIALS"])
def test_a_variable_of_a_similar_name_does_not_move_the_warehouse(
    name: str, api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "elsewhere.duckdb")
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
    assert {f.name for f in workdir.glob("*.duckdb")} == {DEFAULT_FILE}


@pytest.mark.parametrize("name", [f"{SETTING}__DATABASE", "DESTINATION__CREDENTIALS"])
def test_dlts_other_names_of_the_setting_work_and_are_named_in_errors(
    name: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x.duckdb")
    assert configured_warehouse().address == str(workdir / "x.duckdb")
    monkeypatch.setenv(name, ":memory:")
    with pytest.raises(SettingsError, match=f"^{name} must be "):
        configured_warehouse()


@pytest.mark.long
def test_table_names_copied_from_the_ui_work_in_the_default_file(
    location: Location,
) -> None:
    location.everything()
    with duckdb.connect(DEFAULT_FILE, read_only=True) as database:
        for key, loaded in ((LINKS_KEY, 15), (CLICKS_KEY, 120)):
            name = table_name(location, key)
            assert database.execute(f"SELECT count(*) FROM {name}").fetchone() == (loaded,)


def table_name(location: Location, key: object) -> str:
    from link_assets.definitions import defs

    (spec,) = [s for s in defs.resolve_all_asset_specs() if s.key == key]
    return str(spec.metadata["dagster/table_name"])


def test_a_file_of_the_former_name_stays_the_warehouse(
    api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, FORMER_FILE)
    load_links()
    monkeypatch.delenv(SETTING)
    load_clicks(1)
    assert not (workdir / DEFAULT_FILE).exists()
    (workdir / DEFAULT_FILE).write_bytes((workdir / FORMER_FILE).read_bytes())
    assert configured_warehouse().address == str(workdir / FORMER_FILE)
    joined = "SELECT count(DISTINCT l.id) FROM {dataset}.links l, {dataset}.clicks c"
    assert rows(joined) == [(15,)]


@pytest.mark.long
def test_a_file_of_the_former_name_can_be_renamed(api: str, workdir: Path) -> None:
    load_clicks(1)
    (workdir / DEFAULT_FILE).rename(FORMER_FILE)
    load_clicks(2)
    (workdir / FORMER_FILE).rename(DEFAULT_FILE)
    load_clicks(3)
    assert rows("SELECT count(DISTINCT domain_id) FROM {dataset}.clicks") == [(3,)]
