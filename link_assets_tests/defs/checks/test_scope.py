"""A run's checks judge what the run was to load, and forget no problem elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from link_assets.defs.checks import last_loads
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY
from link_assets_tests.support import Location


def know(location: Location, domains: Iterable[int]) -> None:
    """Registers domains that were loaded just now, as far as Dagster knows."""
    keys = [str(domain) for domain in domains]
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, keys)
    for key in keys:
        loaded = dg.AssetMaterialization(CLICKS_KEY, partition=key)
        location.instance.report_runless_asset_event(loaded)


def fresh(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """What a run's check `fresh` of the clicks found."""
    evaluations = result.get_asset_check_evaluations()
    (found,) = [e for e in evaluations if e.check_name == "fresh" and e.asset_key == CLICKS_KEY]
    return found


def late(location: Location, domain: str) -> None:
    """Has a domain been loaded for the last time two days ago."""
    with freeze_time(datetime.now(UTC) - timedelta(days=2)):
        old = dg.AssetMaterialization(CLICKS_KEY, partition=domain)
        location.instance.report_runless_asset_event(old)


@pytest.mark.long
def test_a_run_judges_its_own_domains_and_the_schedule_all(location: Location) -> None:
    location.everything()
    know(location, [4])
    own = fresh(location.clicks("1", "2"))
    assert str(own.description).startswith("Judged: the 2 domains of this run.")
    assert own.metadata["judged"].value == 2
    every = fresh(location.run("checks_job"))
    assert str(every.description).startswith("Judged: all 4 domains.")
    assert every.metadata["judged"].value == 4


@pytest.mark.long
def test_the_number_of_a_runs_check_queries_does_not_grow_with_the_domains(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.everything()
    know(location, range(100, 140))
    asked: list[Any] = []
    storage = type(location.instance.event_log_storage)
    latest, rows, known = (
        storage.get_latest_storage_id_by_partition,
        Reader.rows,
        last_loads.known_domains,
    )

    def latest_of(self: Any, key: Any, kind: Any, partitions: Any = None, **more: Any) -> Any:
        asked.append(sorted(partitions or ["every partition"]))
        return latest(self, key, kind, partitions, **more)

    def rows_of(self: Reader, query: str) -> Any:
        if query.startswith(f"SELECT domain_id, {DAY}, count(*)"):  # that of usual_volume
            asked.append("domain_id IN (1, 2)" in query)
        return rows(self, query)

    def every(instance: dg.DagsterInstance) -> Any:
        asked.append("every domain")
        return known(instance)

    monkeypatch.setattr(storage, "get_latest_storage_id_by_partition", latest_of)
    monkeypatch.setattr(Reader, "rows", rows_of)
    monkeypatch.setattr(last_loads, "known_domains", every)
    assert location.clicks("1", "2").success
    assert [a for a in asked if a != ["1", "2"]] == [True]
    asked.clear()
    assert location.run("checks_job").success
    assert "every domain" in asked


@pytest.mark.long
def test_a_run_repeats_the_known_problem_of_another_domain(
    location: Location, sandbox: Sandbox
) -> None:
    location.everything()
    late(location, "3")
    assert not fresh(location.run("checks_job")).passed
    for _ in range(2):
        found = fresh(location.clicks("1"))
        assert not found.passed
        told = str(found.description)
        assert told.startswith("Not fresh: domain 3 (go3.example.com) is late by 23.0 hours.")
        assert "Judged: the domain of this run and 1 domain with a known problem." in told
    found = fresh(location.clicks("3"))
    assert found.passed
    assert str(found.description).startswith("Judged: the domain of this run.")
    assert fresh(location.clicks("1")).passed


@pytest.mark.long
def test_more_problems_than_are_remembered_by_name_are_counted(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_loads, "REMEMBERED", 3)
    location.everything()
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, [str(n) for n in range(10, 18)])
    assert not fresh(location.run("checks_job")).passed
    found = fresh(location.clicks("1"))
    assert found.metadata["judged"].value == 4
    assert found.metadata["problem_domains"].value == "10, 11, 12"
    assert found.metadata["problem_domains_not_named"].value == 5
    told = "5 more domains had a problem when all were judged last."
    assert told in str(found.description)
    know(location, range(10, 18))
    named = fresh(location.clicks("1"))
    assert not named.passed
    assert str(named.description).startswith(told)
    assert "Execute this check" in str(named.description)
    assert fresh(location.run("checks_job")).passed
    assert fresh(location.clicks("1")).passed


@pytest.mark.long
def test_a_known_problem_is_repeated_after_an_evaluation_that_judged_nothing(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.everything()
    late(location, "3")
    assert not fresh(location.run("checks_job")).passed

    def fail(*_: Any) -> None:
        raise ConnectionError("the instance cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(last_loads, "_by_domain", fail)
        result = location.clicks("1")
        assert not result.success
        told = str(fresh(result).description)
        assert told.startswith("Not judged: ConnectionError in fail")
    told = str(fresh(location.clicks("1")).description)
    assert told.startswith("Not fresh: domain 3 (go3.example.com) is late")
