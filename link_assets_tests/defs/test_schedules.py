"""What the schedules ask for, and that it loads what it should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from link_assets.defs.run_requests import DOMAINS, PARTITION, RANGE
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox, World
from link_assets_tests.defs.ticks import REPOSITORY, groups, know, sense, tick
from link_assets_tests.support import Location, rows


@pytest.mark.usefixtures("two_per_run")
def test_a_clicks_tick_asks_for_every_domain_once_in_as_few_runs_as_possible(
    instance: dg.DagsterInstance,
) -> None:
    know(instance, "7", "10", "8", "30", "9")
    assert groups(instance) == [["7", "10"], ["8", "30"], ["9"]]


def test_as_many_domains_share_a_run_as_the_settings_say(
    instance: dg.DagsterInstance,
) -> None:
    know(instance, *(str(number) for number in range(1, 22)))
    assert [len(group) for group in groups(instance)] == [10, 10, 1]


@pytest.mark.usefixtures("two_per_run")
def test_no_request_covers_a_domain_that_the_allow_list_leaves_out(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(instance, "1", "2", "3", "4", "5", "6")
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1,3,4,5,99")
    assert groups(instance) == [["1", "3"], ["4", "5"]]
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "99")
    assert "No domain is known yet" in (tick(instance).skip_message or "")


def test_a_clicks_tick_without_domains_says_what_to_materialize(
    instance: dg.DagsterInstance,
) -> None:
    skipped = tick(instance)
    assert not skipped.run_requests
    assert skipped.skip_message == "No domain is known yet: materialize link_assets/links."


@pytest.mark.long
@pytest.mark.usefixtures("two_per_run")
def test_the_runs_that_a_clicks_tick_asks_for_load_every_domain(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.world = World(domains=5, links_per_domain=1, clicks_per_domain=4)
    assert location.links().success
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1,2,3,5")
    requests = tick(location.instance).run_requests or []
    assert len(requests) == 2
    for request in requests:
        chosen = {"partition_key": request.partition_key} if request.partition_key else {}
        assert location.run("clicks_job", tags=dict(request.tags), **chosen).success
    per_domain = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    assert rows(per_domain) == [(1, 4), (2, 4), (3, 4), (5, 4)]
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"1", "2", "3", "5"}
    assert sense(location.instance).run_requests == []


@pytest.mark.usefixtures("two_per_run")
def test_a_tick_leaves_out_the_domains_that_are_still_being_loaded(
    instance: dg.DagsterInstance,
) -> None:
    know(instance, "1", "2", "3", "4", "5")
    ends = dict(zip(RANGE, ("2", "3"), strict=True))
    for status, tags in (
        (dg.DagsterRunStatus.STARTED, ends),
        (dg.DagsterRunStatus.STARTING, {PARTITION: "5"}),
        (dg.DagsterRunStatus.FAILURE, {PARTITION: "4"}),
    ):
        instance.add_run(dg.DagsterRun("clicks_job", status=status, tags=tags))
    assert groups(instance) == [["1", "4"]]
    scattered = {PARTITION: "1", DOMAINS: "1,4"}
    waiting = dg.DagsterRunStatus.NOT_STARTED
    instance.add_run(dg.DagsterRun("clicks_job", status=waiting, tags=scattered))
    assert tick(instance).skip_message == "Every known domain is being loaded already."
    know(instance, "6")
    assert groups(instance) == [["6"]]
    whole = dict(zip(RANGE, ("1", "6"), strict=True))
    instance.add_run(dg.DagsterRun("clicks_job", status=dg.DagsterRunStatus.STARTED, tags=whole))
    assert tick(instance).skip_message == "Every known domain is being loaded already."


@pytest.mark.parametrize(("hours", "asked"), [(5.9, []), (6.1, [["1"]])])
def test_a_run_without_a_sign_of_life_for_six_hours_is_taken_for_lost(
    hours: float, asked: list[list[str]], instance: dg.DagsterInstance
) -> None:
    know(instance, "1")
    run = dg.DagsterRun("clicks_job", status=dg.DagsterRunStatus.STARTED, tags={PARTITION: "1"})
    instance.add_run(run)
    assert groups(instance) == []
    last_sign = (datetime.now(UTC) - timedelta(hours=hours)).replace(tzinfo=None)
    storage = instance.run_storage
    assert isinstance(storage, SqlRunStorage)
    with storage.connect() as connection:
        connection.execute(RunsTable.update().values(update_timestamp=last_sign))
    assert groups(instance) == asked


@pytest.mark.parametrize(
    ("schedule", "job"), [("links_schedule", "links_job"), ("checks_schedule", "checks_job")]
)
def test_the_other_schedules_ask_for_one_run_of_their_job(
    schedule: str, job: str, instance: dg.DagsterInstance
) -> None:
    (request,) = tick(instance, schedule).run_requests or []
    assert request.partition_key is None
    assert REPOSITORY.get_schedule_def(schedule).job_name == job
