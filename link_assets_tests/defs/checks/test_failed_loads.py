"""What the checks say when the load before them fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from filelock import FileLock

from link_assets.defs.checks import failed_loads, table_checks
from link_assets.defs.checks.all_checks import CHECKS, TABLES
from link_assets.defs.clicks import clicks
from link_assets.defs.links import links
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.support import Location, failure_text

CLICKS_CHECKS = {
    "fresh",
    "no_rejected_rows",
    "usual_volume",
    "agrees_with_service",
    "required_columns",
    "unique_keys",
    "no_unknown_columns",
    "known_links",
}
ON_LOADS = {"fresh", "no_rejected_rows"}
BUSY = "Not judged: The warehouse was not free for 0.2 seconds"


def latest(location: Location, asset: dg.AssetKey) -> dict[str, dg.AssetCheckEvaluation]:
    """The evaluations that the UI shows for an asset; none of its checks is left without one."""
    shown: dict[str, dg.AssetCheckEvaluation] = {}
    for table in TABLES:
        for key in table.by_key:
            (record,) = location.instance.event_log_storage.get_asset_check_execution_history(
                key, limit=1
            ) or [None]
            if key.asset_key == asset and record:
                assert record.status != Status.PLANNED, key
                assert record.evaluation
                shown[key.name] = record.evaluation
    return shown


def told(location: Location, asset: dg.AssetKey = CLICKS_KEY) -> dict[str, str]:
    return {name: str(e.description) for name, e in latest(location, asset).items()}


def failed(location: Location, asset: dg.AssetKey = CLICKS_KEY) -> set[str]:
    return {name for name, e in latest(location, asset).items() if not e.passed}


@pytest.fixture
def only_what_the_guide_lists(sandbox: Sandbox) -> None:
    """Leaves out the fields that a check would warn of."""
    assert sandbox.world
    known = {"host", "path", "method", "url", "dt", "st", "ip", "proto", "human", "lcpath"}
    sandbox.clicks = {
        domain: [{n: v for n, v in row.items() if n in known} for row in clicks]
        for domain in sandbox.world.domain_ids()
        for clicks in [sandbox.world.clicks(domain, 0, 40)]
    }


@pytest.mark.usefixtures("only_what_the_guide_lists")
def test_one_failing_domain_fails_the_checks_that_concern_it_and_no_other(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=None)]
    result = location.clicks("1", "3")
    assert "1 of 3 domains failed" in failure_text(result)
    assert failed(location) == {"fresh"}
    said = told(location)
    assert said.keys() == CLICKS_CHECKS
    assert said["fresh"].startswith("Not fresh: domain 2 (go2.example.com) was never loaded.")
    assert all(
        "The load of this run failed; this is what there is now." in t for t in said.values()
    )
    assert "Judged: the last load of 2 of the 3 domains of this run" in said["no_rejected_rows"]
    assert said["required_columns"].startswith("80 rows judged.")


@pytest.mark.long
def test_a_retry_that_succeeds_is_judged_as_any_run(location: Location, sandbox: Sandbox) -> None:
    assert location.links().success
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=4)]
    result = location.clicks("1", "3")
    assert not result.success
    location.retry("clicks_job", result.run_id)
    assert told(location)["fresh"].startswith("Judged: the 3 domains of this run.")


@pytest.mark.long
def test_a_failed_listing_leaves_the_checks_of_links_as_they_were(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    before = {name: e.passed for name, e in latest(location, LINKS_KEY).items()}
    sandbox.faults = [Fault(path="/v1/links", status=503, times=None)]
    result = location.links()
    assert "links, page 1: the API answered 503" in failure_text(result)
    assert {name: e.passed for name, e in latest(location, LINKS_KEY).items()} == before
    assert len(before) == 6


@pytest.mark.long
def test_a_run_of_both_tables_that_fails_at_the_links_says_so_for_the_clicks(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    both = dg.Definitions(
        [links, clicks],
        asset_checks=CHECKS,
        jobs=[dg.define_asset_job("both", dg.AssetSelection.assets(LINKS_KEY, CLICKS_KEY))],
    )
    sandbox.faults = [Fault(path="/v1/links", status=503, times=None)]
    job = both.resolve_job_def("both")
    result = job.execute_in_process(
        instance=location.instance, partition_key="1", raise_on_error=False
    )
    assert not result.success
    reason = "Not judged: the run failed before the clicks were loaded."
    assert set(told(location).values()) == {reason}
    severities = {e.severity for e in latest(location, CLICKS_KEY).values()}
    assert severities == {dg.AssetCheckSeverity.WARN}
    assert not told(location, LINKS_KEY)["fresh"].startswith("Not judged")


def without_key(patch: pytest.MonkeyPatch) -> None:
    patch.delenv("SOURCES__LINK_ASSETS__API_KEY")


def damaged_file(patch: pytest.MonkeyPatch) -> None:
    Path("warehouse.duckdb").write_bytes(b"not a database" * 500)


def no_folder(patch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    patch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "file/link_assets.duckdb")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (without_key, ""),
        pytest.param(damaged_file, "not a valid DuckDB database file", marks=pytest.mark.long),
        pytest.param(no_folder, "its lock file", marks=pytest.mark.long),
    ],
)
def test_after_any_failure_each_check_is_judged_or_says_why_not(
    trouble: Callable[[pytest.MonkeyPatch], None],
    reason: str,
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location.everything()
    trouble(monkeypatch)
    assert not location.clicks("1").success
    said = told(location)
    assert said.keys() == CLICKS_CHECKS
    for name, sentence in said.items():
        judged = name in ON_LOADS or not reason
        assert judged == (not sentence.startswith("Not judged: ")), sentence
        assert judged or reason in sentence
    assert not location.links().success
    assert len(latest(location, LINKS_KEY)) == 6


@pytest.mark.long
def test_nobody_waits_twice_for_a_warehouse_that_is_not_free(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.everything()
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.2")

    def wait_again() -> Any:
        raise AssertionError("waits again")

    monkeypatch.setattr(table_checks, "reading", wait_again)
    with FileLock("warehouse.duckdb.lock"):
        assert not location.clicks("1", "3").success
    said = told(location)
    assert {name for name, t in said.items() if t.startswith(BUSY)} == CLICKS_CHECKS - ON_LOADS


@pytest.mark.long
def test_a_check_that_raises_does_not_hide_why_the_load_failed(
    location: Location, sandbox: Sandbox
) -> None:
    location.everything()
    odd = dg.AssetMaterialization(CLICKS_KEY, partition="1", metadata={"rejected_rows": "some"})
    location.instance.report_runless_asset_event(odd)
    sandbox.faults = [Fault(path="/v1/domain/1", status=503, times=None)]
    result = location.clicks("1")
    reason = "clicks of domain 1 (go1.example.com), page 1: the API answered 503"
    assert failure_text(result).startswith(reason)
    not_judged = {name for name, t in told(location).items() if t.startswith("Not judged: ")}
    assert not_judged == {"no_rejected_rows"}


def test_an_instance_that_cannot_be_reached_does_not_hide_why_the_load_failed(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert location.links().success

    def fail(*_: Any) -> None:
        raise ConnectionError("no instance")

    monkeypatch.setattr(failed_loads, "planned_checks", fail)
    sandbox.faults = [Fault(path="/v1/domain/1", status=503, times=None)]
    result = location.clicks("1")
    reason = "clicks of domain 1 (go1.example.com), page 1: the API answered 503"
    assert failure_text(result).startswith(reason)


@pytest.mark.long
def test_a_run_that_planned_no_check_records_none(location: Location, sandbox: Sandbox) -> None:
    assert location.links().success
    selection = dg.AssetSelection.assets(CLICKS_KEY).without_checks()
    alone = dg.Definitions(
        [links, clicks],
        asset_checks=CHECKS,
        jobs=[dg.define_asset_job("alone", selection)],
    )
    sandbox.faults = [Fault(path="/v1/domain/1", status=503, times=None)]
    job = alone.resolve_job_def("alone")
    result = job.execute_in_process(
        instance=location.instance, partition_key="1", raise_on_error=False
    )
    assert not result.success
    assert latest(location, CLICKS_KEY) == {}
