"""The asset `daily_clicks`: computed after the clicks of its run, for each domain on its own."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from link_assets.defs.run_requests import DOMAINS
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.defs.loads import world_of
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.truth import expected_days, loaded_days, world_clicks


def shown(location: Location, domain: str) -> dict[str, Any]:
    """The values on the latest materialization of a domain's days."""
    wanted = dg.AssetRecordsFilter(asset_key=DAILY_CLICKS_KEY, asset_partitions=[domain])
    (record,) = location.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization
    return {name: v.value for name, v in record.asset_materialization.metadata.items()}


def expected(sandbox: Sandbox, *domains: int) -> list[Any]:
    world = world_of(sandbox)
    return expected_days({d: world_clicks(world, d) for d in domains}, world.links())


def computed(location: Location) -> set[str]:
    return location.instance.get_materialized_partitions(DAILY_CLICKS_KEY)


def test_a_run_of_clicks_computes_the_days_of_its_domains(
    location: Location, sandbox: Sandbox
) -> None:
    location.everything()
    truth = expected(sandbox, 1, 2, 3)
    assert loaded_days() == truth
    of_two = [row for row in truth if row[0] == 2]
    metadata = shown(location, "2")
    assert metadata["days_computed"] == len({day for _, day, *_ in of_two})
    assert metadata["rows_total"] == metadata["dagster/partition_row_count"] == len(of_two)
    assert metadata["clicks"] == sum(row[4] for row in of_two) == 40
    assert metadata["dagster/row_count"] == len(truth)
    assert metadata["host"] == "go2.example.com"
    assert metadata["last_click"] == max(row[8] for row in of_two).timestamp()


@pytest.mark.long
def test_a_run_of_scattered_domains_computes_and_records_these_alone(location: Location) -> None:
    assert location.links().success
    assert location.run("clicks_job", partition_key="1", tags={DOMAINS: "1,3"}).success
    assert computed(location) == {"1", "3"}
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.daily_clicks ORDER BY 1") == [(1,), (3,)]
    assert shown(location, "3")["clicks"] == 40


def test_domains_beside_one_that_fails_have_their_days_computed(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=None)]
    result = location.clicks_and_days("1", "3")
    assert failure_text(result).startswith("1 of 3 domains failed; the others are loaded.")
    assert loaded_days() == expected(sandbox, 1, 3)
    assert computed(location) == {"1", "3"}
    assert shown(location, "3")["clicks"] == 40
    told = {
        e.check_name: e
        for e in result.get_asset_check_evaluations()
        if e.asset_key == DAILY_CLICKS_KEY
    }
    assert told.keys() == {"fresh", "unique_keys", "totals_agree"}
    assert {name for name, e in told.items() if not e.passed} == {"fresh"}
    said = str(told["fresh"].description)
    assert said.startswith("Not fresh: domain 2 (go2.example.com) was never loaded.")


@pytest.mark.long
def test_what_a_failing_domain_has_loaded_is_in_its_days(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    assert location.links().success
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=None, page=3)]
    assert not location.clicks_and_days("1", "3").success
    counts = "SELECT domain_id, {} FROM {{dataset}}.{} GROUP BY 1 ORDER BY 1"
    clicks = rows(counts.format("count(*)", "clicks"))
    assert dict(clicks)[2] == 30
    assert rows(counts.format("CAST(sum(clicks) AS BIGINT)", "daily_clicks")) == clicks
    assert computed(location) == {"1", "3"}


@pytest.mark.long
def test_clicks_can_fail_and_be_loaded_without_days(location: Location, sandbox: Sandbox) -> None:
    assert location.links().success
    alone = dg.define_asset_job("alone", dg.AssetSelection.assets(CLICKS_KEY))
    from link_assets.definitions import defs

    job = dg.Definitions.merge(defs, dg.Definitions(jobs=[alone])).resolve_job_def("alone")
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=None)]
    tags = {DOMAINS: "1,2"}
    options: dict[str, Any] = {"partition_key": "1", "tags": tags, "raise_on_error": False}
    assert not job.execute_in_process(instance=location.instance, **options).success
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"1"}
    assert computed(location) == set()


@pytest.mark.long
def test_a_warehouse_from_before_has_all_days_computed_by_the_first_run(
    location: Location, sandbox: Sandbox
) -> None:
    location.everything()
    rows("DROP TABLE {dataset}.daily_clicks")
    location.everything()
    assert loaded_days() == expected(sandbox, 1, 2, 3)


@pytest.mark.long
def test_without_clicks_the_run_says_what_to_materialize(location: Location) -> None:
    assert location.links().success
    alone = dg.define_asset_job("alone", dg.AssetSelection.assets(DAILY_CLICKS_KEY))
    from link_assets.definitions import defs

    job = dg.Definitions.merge(defs, dg.Definitions(jobs=[alone])).resolve_job_def("alone")
    result = job.execute_in_process(
        instance=location.instance, partition_key="1", raise_on_error=False
    )
    assert failure_text(result) == "There are no clicks yet: materialize link_assets/clicks first."
