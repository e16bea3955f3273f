"""Every check of a table: one step, each judged or saying why not, and nothing loaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from link_assets.defs.checks.all_checks import CHECKS as CHECKS_OF_TABLES
from link_assets.defs.checks.all_checks import TABLES
from link_assets.defs.checks.check import CheckResult
from link_assets.defs.checks.last_loads import LastLoads, LoadsCheck
from link_assets.defs.clicks import clicks
from link_assets.defs.links import links
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
    CHECKS,
    WARNINGS,
    by_the_guide,
    checked,
    evaluations,
    judged,
    materialized_at,
    spoil_the_file,
)
from link_assets_tests.support import Location, rows


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


def test_every_check_passes_on_a_good_load_without_asking_the_api_or_loading(
    loaded: Location, sandbox: Sandbox
) -> None:
    result = loaded.run("checks_job")
    found = evaluations(result)
    assert {name: e.description for name, e in found.items() if not e.passed} == {}
    assert found.keys() == CHECKS
    assert sandbox.requests == []
    assert not [e for e in result.all_events if e.is_step_materialization]


def test_the_checks_of_a_table_are_one_step(loaded: Location) -> None:
    result = loaded.run("checks_job")
    steps = {e.step_key for e in result.all_events if e.event_type_value == "STEP_SUCCESS"}
    assert steps == {"domains_checks", "links_checks", "clicks_checks", "daily_clicks_checks"}


def test_checks_of_loads_are_judged_when_the_warehouse_cannot_be_used(
    loaded: Location,
) -> None:
    spoil_the_file()
    result = loaded.run("checks_job")
    assert not result.success
    on_loads = {"links.fresh", "links.no_rejected_rows", "links.no_mass_disappearance"}
    on_loads |= {"clicks.fresh", "clicks.no_rejected_rows"}
    on_loads |= {"domains.fresh", "domains.no_rejected_rows", "daily_clicks.fresh"}
    found = judged(result)
    assert {name for name, told in found.items() if not told.startswith("Not judged: ")} == on_loads
    others = {told for name, told in found.items() if name not in on_loads}
    assert all("not a valid DuckDB database file" in told for told in others)
    assert found.keys() == CHECKS


def test_a_check_that_raises_leaves_the_others_judged(loaded: Location) -> None:
    rows("ALTER TABLE {dataset}.clicks ALTER st TYPE DATE USING NULL")
    materialized_at(
        loaded.instance,
        datetime.now(UTC),
        asset_key=CLICKS_KEY,
        partition="1",
        metadata={"rejected_rows": "some"},
    )
    result = loaded.run("checks_job")
    assert not result.success
    found = judged(result)
    unknown = {name for name, told in found.items() if told.startswith("Not judged: ")}
    assert unknown == {"clicks.no_rejected_rows", "clicks.known_links"}
    assert "Not judged: ValueError in number" in found["clicks.no_rejected_rows"]
    assert found.keys() == CHECKS


@pytest.mark.parametrize("name", ["fresh", "known_links", "usual_volume"])
def test_a_check_can_be_executed_alone(name: str, loaded: Location) -> None:
    one = dg.AssetSelection.checks(dg.AssetCheckKey(CLICKS_KEY, name))
    alone = dg.Definitions(
        [links, clicks],
        asset_checks=CHECKS_OF_TABLES,
        jobs=[dg.define_asset_job("alone", one)],
    )
    job = alone.resolve_job_def("alone")
    if name == "fresh":  # which needs no warehouse
        spoil_the_file()
    found = evaluations(job.execute_in_process(instance=loaded.instance))
    assert found.keys() == {f"clicks.{name}"}


def test_what_the_api_may_cause_is_a_warning_and_the_rest_an_error(loaded: Location) -> None:
    severities = {name: e.severity for name, e in checked(loaded).items()}
    warnings = {name for name, s in severities.items() if s == dg.AssetCheckSeverity.WARN}
    warn_of = WARNINGS | {"known_links", "usual_volume", "agrees_with_service"}
    assert warnings == {name for name in CHECKS if name.partition(".")[2] in warn_of}


def test_before_anything_is_loaded_every_check_says_what_to_materialize(
    location: Location, sandbox: Sandbox
) -> None:
    found = checked(location)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == CHECKS
    for name, evaluation in found.items():
        told = str(evaluation.description)
        assert "Materialize" in told, name
        assert "link_assets/" in told or "s was never loaded" in told, name
    assert "No domain is known" in str(found["clicks.fresh"].description)
    told = str(found["links.no_mass_disappearance"].description)
    assert told == "The links were never loaded. Materialize link_assets/links."
    assert sandbox.requests == []


@pytest.mark.long
def test_with_links_but_no_clicks_the_checks_of_clicks_name_what_is_missing(
    location: Location,
) -> None:
    assert location.links().success
    found = checked(location)
    passed = {name for name, evaluation in found.items() if evaluation.passed}
    nothing_to_compare = {"clicks.agrees_with_service"}
    of_clicks = {n for n in CHECKS if n.startswith(("clicks.", "daily_clicks."))}
    assert passed == CHECKS - of_clicks | nothing_to_compare
    told = {name: str(found[name].description) for name in CHECKS - passed}
    never = "; ".join(f"domain {d} (go{d}.example.com) was never loaded" for d in (1, 2, 3))
    assert f"Not fresh: {never}." in told["clicks.fresh"]
    assert "The clicks were never loaded" in told["clicks.no_rejected_rows"]
    for name in ("required_columns", "unique_keys", "no_unknown_columns", "known_links"):
        assert "The table clicks" in told[f"clicks.{name}"]
    assert "The table clicks" in told["clicks.usual_volume"]
    for name in ("unique_keys", "totals_agree"):
        assert "The table daily_clicks" in told[f"daily_clicks.{name}"]


def odd_links(last: LastLoads) -> CheckResult:
    """Find a problem, always."""
    return CheckResult(f"The load of {last.what} is odd.", "Look at it.")


def test_a_new_check_is_one_line_in_its_table(loaded: Location) -> None:
    of_links, *_ = TABLES
    odd = LoadsCheck("not_odd", "The last load is not odd.", odd_links)
    with_it = dg.Definitions(
        [links, clicks],
        asset_checks=[replace(of_links, checks=(*of_links.checks, odd)).step()],
        jobs=[dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())],
    )
    found = evaluations(
        with_it.resolve_job_def("checks").execute_in_process(instance=loaded.instance)
    )
    assert found.keys() == {n for n in CHECKS if n.startswith("links.")} | {"links.not_odd"}
    assert found["links.not_odd"].description == "The load of the links is odd. Look at it."
