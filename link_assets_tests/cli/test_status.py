"""The command `status`, as people and monitoring run it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event
from sqlalchemy.engine import Engine

from link_assets.cli.main import main
from link_assets.defs import configuration
from link_assets.defs import status as status_module
from link_assets.defs.status import read_status
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets.warehouse.access import exclusive_access
from link_assets_tests.cli.conftest import Command
from link_assets_tests.support import mostly_long
from link_assets_tests.truth import world_clicks

DOCUMENT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def told(done: Result) -> dict[str, Any]:
    """What a command printed as JSON."""
    return json.loads(done.stdout)


def load_of(status: dict[str, Any], table: str, domain: str | None = None) -> dict[str, Any]:
    (load,) = (s for s in status["loads"] if (s["table"], s["domain"]) == (table, domain))
    return load


@pytest.fixture
def loaded(link_assets: Command, api: str) -> None:
    assert link_assets("load").exit_code == 0


@pytest.mark.usefixtures("loaded")
def test_what_is_loaded_is_healthy_and_told_by_domain(link_assets: Command) -> None:
    shown = link_assets("status")
    assert shown.exit_code == 0, shown.output
    assert re.search(r" clicks +2 \(go2.example.com\) .* 40 +0 +0 +40 ", shown.output)
    assert "Healthy." in shown.output
    done = link_assets("status", "--json")
    status = told(done)
    assert (done.exit_code, status["healthy"], status["problems"]) == (0, True, [])
    load = load_of(status, "clicks", "2")
    assert (load["host"], load["late"], load["last_try"]) == ("go2.example.com", False, "succeeded")
    assert (load["rows_new"], load["rejected_rows"], load["rows_total"]) == (40, 0, 40)
    results = {check["result"] for check in status["checks"]}
    assert results == {"passed", "warned"}


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_the_document_has_every_key_of_the_json(link_assets: Command) -> None:
    status = told(link_assets("status", "--json"))
    keys = [*status, *status["loads"][0], *status["checks"][0]]
    assert [key for key in keys if f"`{key}`" not in DOCUMENT] == []


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_a_narrow_terminal_has_the_ages_and_states(link_assets: Command) -> None:
    shown = link_assets("status", COLUMNS="60").output
    assert max(map(len, shown.splitlines())) <= 60
    assert re.search(r"daily_clicks 2 \(go2.example.com\) +\d+ min +ok", shown)
    assert re.search(r"^clicks 2 \(go2.example.com\) +\d+ min +40 +ok", shown, re.M)
    warning = r"^links: no_unknown_columns: warning, (less than a|\d+) minutes? ago\n  The API"
    assert re.search(warning, shown, re.M)


def test_each_domain_has_its_id_in_40_columns(link_assets: Command) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("domain", ["1234567"])
        for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
            metadata = {"host": "go.example.com", "rows_new": 1_234_567, "rejected_rows": 1}
            loaded = dg.AssetMaterialization(key, partition="1234567", metadata=metadata)
            instance.report_runless_asset_event(loaded)
    shown = link_assets("status", COLUMNS="40").output
    for table in ("clicks", "daily_clicks"):
        (line,) = re.findall(rf"^{table} 1234567.*", shown, re.M)
        assert re.search(r" 0 min +ok *$", line)
        assert len(line) <= 40


@pytest.mark.long
def test_a_narrow_terminal_has_rejected_rows_where_there_are_any(
    link_assets: Command, sandbox: Sandbox, api: str
) -> None:
    sandbox.clicks = {2: [{"dt": "2026-03-01T00:00:00Z", "path": "/a", "st": "none"}]}
    link_assets("load", "--skip-checks")
    shown = link_assets("status", COLUMNS="60").output
    assert re.search(r"^clicks 2 \(go2.example.com\) +\d+ min +0 +1 +ok", shown, re.M)


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_a_late_domain_and_one_that_was_never_loaded_are_not_healthy(
    link_assets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("domain", ["9"])
    status = told(link_assets("status", "--json"))
    assert status["healthy"] is False
    assert load_of(status, "clicks", "9")["last_try"] == "none"
    assert "clicks: Not fresh: domain 9 was never loaded." in status["problems"]
    settings = replace(configuration.SETTINGS, clicks_fresh_hours=1e-9)
    monkeypatch.setattr(configuration, "SETTINGS", settings)
    done = link_assets("status", "--json")
    assert done.exit_code == 1
    assert load_of(told(done), "clicks", "2")["late"] is True
    assert load_of(told(done), "links")["late"] is False


@pytest.mark.long
def test_a_failed_domain_has_the_cause_until_it_is_loaded(
    link_assets: Command, sandbox: Sandbox, api: str
) -> None:
    assert link_assets("load").exit_code == 0
    sandbox.faults = [Fault(path="/v1/domain/2", status=403)]
    assert link_assets("load", "--skip-checks").exit_code == 1
    done = link_assets("status", "--json")
    failed = load_of(told(done), "clicks", "2")
    assert (done.exit_code, failed["last_try"], failed["late"]) == (1, "failed", False)
    assert failed["cause"].startswith("clicks of domain 2 (go2.example.com), page 1: the API answ")
    assert load_of(told(done), "daily_clicks", "2")["cause"] == failed["cause"]
    for table in ("clicks", "daily_clicks"):
        assert load_of(told(done), table, "1")["last_try"] == "succeeded"
    sandbox.faults = []
    assert link_assets("load", "--skip-checks", "--domain", "2").exit_code == 0
    assert link_assets("status").exit_code == 0


@pytest.mark.long
def test_links_that_failed_have_the_cause(link_assets: Command, sandbox: Sandbox, api: str) -> None:
    assert link_assets("load").exit_code == 0
    sandbox.faults = [Fault(path="/v1/links", status=403)]
    assert link_assets("load", "--skip-checks").exit_code == 1
    done = link_assets("status", "--json")
    assert done.exit_code == 1
    assert "the API answered 403" in load_of(told(done), "links")["cause"]


def test_an_error_that_nobody_expected_is_told_with_its_own_text(
    link_assets: Command, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("link_assets.defs.links.links_source", fail)
    done = link_assets("load", "--only", "links", "--skip-checks")
    assert "\nlinks: ZeroDivisionError: of all things\n" in done.output
    status = told(link_assets("status", "--json"))
    assert load_of(status, "links")["cause"] == "ZeroDivisionError: of all things"


@pytest.mark.long
def test_a_failed_check_is_not_healthy(link_assets: Command, sandbox: Sandbox, api: str) -> None:
    assert sandbox.world
    clicks = world_clicks(sandbox.world, 1)
    sandbox.clicks = {1: [{**click, "st": "none"} for click in clicks]}
    link_assets("load")
    done = link_assets("status", "--json")
    assert done.exit_code == 1
    assert [p for p in told(done)["problems"] if "check no_rejected_rows of clicks failed" in p]


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_a_warehouse_in_use_is_not_waited_for_and_that_is_said(
    link_assets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "WAREHOUSE_SECONDS", 0.1)
    with exclusive_access("a load"):
        status = told(link_assets("status", "--json"))
    assert status["healthy"] is True
    assert "Hosts are those of the last loads: The warehouse was not free" in status["notes"][0]
    assert load_of(status, "clicks", "2")["host"] == "go2.example.com"


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_a_warehouse_that_is_gone_is_not_healthy_and_not_made(
    link_assets: Command, workdir: Path
) -> None:
    for file in workdir.glob("warehouse.duckdb*"):
        file.unlink()
    done = link_assets("status", "--json")
    assert done.exit_code == 1
    assert "warehouse.duckdb does not exist." in done.output
    assert list(workdir.glob("warehouse.duckdb*")) == []


@pytest.mark.parametrize("content", mostly_long([b"", b"garbage" * 1000], few=1))
def test_a_warehouse_that_is_broken_is_not_healthy(
    content: bytes, link_assets: Command, api: str, workdir: Path
) -> None:
    assert link_assets("load", "--only", "domains", "--skip-checks").exit_code == 0
    (workdir / "warehouse.duckdb").write_bytes(content)
    done = link_assets("status", "--json")
    assert done.exit_code == 1
    (problem,) = [text for text in told(done)["problems"] if "cannot be read" in text]
    assert "warehouse.duckdb" in problem
    assert "not a valid DuckDB database file" in problem


def nowhere(workdir: Path) -> tuple[str, str]:
    return "", f"There is no folder {workdir}/.dagster_home"


def empty(workdir: Path) -> tuple[str, str]:
    (workdir / ".dagster_home").mkdir()
    return "", f"Dagster has no runs in its home {workdir}/.dagster_home yet"


def broken(workdir: Path) -> tuple[str, str]:
    (workdir / "history").mkdir()
    (workdir / "history" / "runs.db").write_bytes(b"garbage" * 1000)
    return str(workdir), f"Dagster's records in its home {workdir} cannot be used (file is not a"


def badly_set(workdir: Path) -> tuple[str, str]:
    (workdir / "dagster.yaml").write_text("runs: [")
    return str(workdir), f"Dagster's home {workdir} cannot be used: "


@pytest.mark.parametrize("prepared", mostly_long([empty, broken, nowhere, badly_set], few=2))
def test_what_cannot_be_found_out_is_said_as_json_as_well_and_no_file_is_made(
    prepared: Callable[[Path], tuple[str, str]], workdir: Path
) -> None:
    home, says = prepared(workdir)
    before = sorted(workdir.rglob("*.yaml")), sorted(workdir.rglob("*.db"))
    runner = CliRunner(env={"DAGSTER_HOME": home})
    done = runner.invoke(main, ["status", "--json"])
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())
    status = told(done)
    assert says in status["problems"][0]
    assert {key: value for key, value in status.items() if key not in ("at", "problems")} == {
        "healthy": False,
        "notes": [],
        "loads": [],
        "checks": [],
    }
    assert (sorted(workdir.rglob("*.yaml")), sorted(workdir.rglob("*.db"))) == before


@pytest.mark.long
def test_a_setting_that_cannot_work_leaves_the_status_unknown(link_assets: Command) -> None:
    done = link_assets("status", "--json", LINK_ASSETS__LOCK_TIMEOUT_SECONDS="-1")
    assert done.exit_code == 2
    assert "LINK_ASSETS__LOCK_TIMEOUT_SECONDS must be" in told(done)["problems"][0]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL that is run within the block."""
    run: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        run.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.long
def test_500_domains_take_as_many_queries_as_two(home: Path) -> None:
    def queries(domains: range) -> int:
        with dg.DagsterInstance.get() as instance:
            keys = [str(domain) for domain in domains]
            instance.add_dynamic_partitions("domain", keys)
            for asset, key in product((CLICKS_KEY, DAILY_CLICKS_KEY), keys):
                loaded = dg.AssetMaterialization(asset, partition=key)
                instance.report_runless_asset_event(loaded)
            with statements() as run:
                status = read_status(instance)
            assert len([load for load in status.loads if load.domain]) == 2 * domains.stop
        return len(run)

    assert queries(range(2)) == queries(range(2, 500))
