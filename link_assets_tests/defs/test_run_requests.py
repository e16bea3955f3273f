"""A run loads any set of domains, and Dagster shows what became of each, and of no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from hypothesis import given
from hypothesis import strategies as st

from link_assets.defs import configuration
from link_assets.defs.partitions import domain_partitions
from link_assets.defs.run_requests import (
    DOMAINS,
    PARTITION,
    RANGE,
    clicks_requests,
    requested_domains,
    run_request,
)
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox, World
from link_assets_tests.support import Location, failure_text, mostly_long, rows

ALL = ["1", "2", "3", "4", "5", "6", "7"]
ODD = {"1", "3", "5", "7"}
LOADED = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"


@pytest.fixture
def seven(sandbox: Sandbox, location: Location, monkeypatch: pytest.MonkeyPatch) -> Location:
    """Seven domains of four clicks each are known, and all fit into a run."""
    sandbox.world = World(domains=7, links_per_domain=1, clicks_per_domain=4)
    location.instance.add_dynamic_partitions("domain", ALL)
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, domains_per_run=10)
    )
    return location


def ask(location: Location, domains: set[str]) -> dg.RunRequest:
    """The one run that is asked for to load these domains."""
    (request,) = clicks_requests(location.instance, domains)
    return request


def run(location: Location, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    chosen = {"partition_key": request.partition_key} if request.partition_key else {}
    return location.run("clicks_job", tags=dict(request.tags), **chosen)


def statuses(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """The partitions that the UI shows as loaded, as failed and as under way."""
    known = get_and_update_asset_status_cache_value(instance, CLICKS_KEY, domain_partitions)
    assert known
    subsets = {
        "loaded": known.deserialize_materialized_partition_subsets(domain_partitions),
        "failed": known.deserialize_failed_partition_subsets(domain_partitions),
        "under way": known.deserialize_in_progress_partition_subsets(domain_partitions),
    }
    return {name: set(keys) for name, s in subsets.items() if (keys := s.get_partition_keys())}


def events(instance: dg.DagsterInstance) -> list[str | None]:
    """The partition of each materialization, oldest first."""
    records = instance.fetch_materializations(CLICKS_KEY, limit=100).records
    return [record.partition_key for record in reversed(records)]


def checked(result: dg.ExecuteInProcessResult) -> set[str]:
    return {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}


def tags_of(request: dg.RunRequest) -> dict[str, str]:
    """The tags that a run of this request has."""
    partition = {PARTITION: request.partition_key} if request.partition_key else {}
    return {**request.tags, **partition}


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_the_domains_of_a_request_are_read_back_from_its_run(
    chosen: Sequence[bool],
) -> None:
    everything = [str(number * 7 % 31) for number in range(len(chosen))]
    domains = [key for key, wanted in zip(everything, chosen, strict=True) if wanted]
    tags = tags_of(run_request(domains, everything))
    assert requested_domains(tags, everything) == domains
    assert (PARTITION in tags) != (RANGE[0] in tags)


def test_domains_side_by_side_are_requested_as_dagsters_backfills_do() -> None:
    request = run_request(["2", "3"], ALL)
    assert (request.partition_key, dict(request.tags)) == (None, {RANGE[0]: "2", RANGE[1]: "3"})
    assert run_request(["2"], ALL).tags == {}


def test_scattered_domains_need_no_more_runs_than_neighbours(
    location: Location,
) -> None:
    everything = [str(number) for number in range(3000)]
    location.instance.add_dynamic_partitions("domain", everything)
    requests = list(clicks_requests(location.instance, set(everything[::2])))
    assert len(requests) == 150
    asked = [requested_domains(tags_of(request), everything) for request in requests]
    assert [key for group in asked for key in group] == everything[::2]


def test_a_run_of_scattered_domains_loads_and_records_only_these(
    seven: Location, sandbox: Sandbox
) -> None:
    shown: list[dict[str, set[str]]] = []
    sandbox.on_request = lambda _: shown.append(statuses(seven.instance))
    result = run(seven, ask(seven, ODD))
    assert result.success
    assert shown[0] == {"under way": ODD}
    assert statuses(seven.instance) == {"loaded": ODD}
    assert rows(LOADED) == [(1, 4), (3, 4), (5, 4), (7, 4)]
    assert sorted(map(str, events(seven.instance))) == sorted(ODD)
    assert [seven.click_metadata(key)["rows_loaded"] for key in sorted(ODD)] == [4] * 4
    assert {"fresh", "unique_keys", "no_rejected_rows"} <= checked(result)


@pytest.mark.long
def test_a_failed_run_of_scattered_domains_shows_only_the_failed_ones_as_failed(
    seven: Location, sandbox: Sandbox
) -> None:
    assert seven.clicks("1", "7").success
    sandbox.faults = [
        Fault(path=f"/v1/domain/{domain}", status=403, times=None) for domain in (3, 7)
    ]
    result = run(seven, ask(seven, ODD))
    assert failure_text(result).startswith("2 of 4 domains failed; the others are loaded.")
    assert statuses(seven.instance) == {"loaded": set(ALL), "failed": {"3", "7"}}
    assert sorted(map(str, events(seven.instance)[7:])) == ["1", "5"]
    sandbox.faults.clear()
    sandbox.reset_log()
    seven.retry("clicks_job", result.run_id)
    assert {record.path.split("/")[3] for record in sandbox.requests} == ODD
    assert statuses(seven.instance) == {"loaded": set(ALL)}


@pytest.mark.long
@pytest.mark.parametrize("failing", mostly_long(["1", "5"], 1))
def test_one_failing_domain_among_scattered_ones_is_shown_as_failed_alone(
    failing: str, seven: Location, sandbox: Sandbox
) -> None:
    sandbox.faults = [Fault(path=f"/v1/domain/{failing}", status=403, times=None)]
    assert not run(seven, ask(seven, ODD)).success
    assert statuses(seven.instance) == {"loaded": ODD - {failing}, "failed": {failing}}


def test_a_run_that_fails_before_it_loads_shows_its_domains_as_failed(
    seven: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES__LINK_ASSETS__API_KEY")
    assert not run(seven, ask(seven, ODD)).success
    assert statuses(seven.instance) == {"failed": ODD}


@pytest.mark.long
def test_a_run_that_names_partitions_and_lists_domains_loads_both(seven: Location) -> None:
    tags = {RANGE[0]: "1", RANGE[1]: "2", DOMAINS: "2, 5,"}
    assert seven.run("clicks_job", tags=tags).success
    assert requested_domains(tags, ALL) == ["1", "2", "5"]
    assert statuses(seven.instance) == {"loaded": {"1", "2", "5"}}


@pytest.mark.long
def test_another_process_loads_scattered_domains_by_the_tags_of_the_request(
    seven: Location, workdir: Path
) -> None:
    home = workdir / "home"
    home.mkdir()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("domain", ALL)
        tags = json.dumps(tags_of(ask(seven, ODD)))
        command = ["dagster", "job", "execute", "-m", "link_assets.definitions"]
        done = subprocess.run(
            [sys.executable, "-m", *command, "-j", "clicks_job", "--tags", tags],
            env={**os.environ, "DAGSTER_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert rows(LOADED) == [(1, 4), (3, 4), (5, 4), (7, 4)]
        assert statuses(instance) == {"loaded": ODD}
