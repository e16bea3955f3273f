"""What the schedules and the sensor ask for, and that it loads what it should."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from link_assets.definitions import defs
from link_assets.defs import configuration
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.run_requests import DOMAINS, PARTITION, RANGE
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox, World
from link_assets_tests.support import Location, dagster_instance, rows

REPOSITORY = defs.get_repository_def()


@pytest.fixture
def instance(workdir: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of its own, with no API and no warehouse."""
    (workdir / "dagster").mkdir()
    with dagster_instance(str(workdir / "dagster")) as instance:
        yield instance


@pytest.fixture
def two_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two domains a run."""
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, domains_per_run=2)
    )


def know(instance: dg.DagsterInstance, *domains: str) -> None:
    """Registers domains, as materializing the links would."""
    instance.add_dynamic_partitions(PARTITIONS_NAME, list(domains))


def tick(instance: dg.DagsterInstance, schedule: str = "clicks_schedule") -> ScheduleExecutionData:
    """What a schedule asks for now."""
    context = dg.build_schedule_context(instance=instance, repository_def=REPOSITORY)
    return REPOSITORY.get_schedule_def(schedule).evaluate_tick(context)


def sense(instance: dg.DagsterInstance, cursor: str | None = None) -> SensorExecutionData:
    """What the sensor asks for now."""
    reference = instance.get_ref()
    context = dg.build_sensor_context(
        instance_ref=reference, repository_def=REPOSITORY, cursor=cursor
    )
    return REPOSITORY.get_sensor_def("new_domains_sensor").evaluate_tick(context)


def covered(request: dg.RunRequest, everything: Sequence[str]) -> list[str]:
    """The partitions a run request stands for, as Dagster or the request's own tag names them."""
    if listed := request.tags.get(DOMAINS):
        assert listed.split(",")[0] == request.partition_key
        return listed.split(",")
    if request.partition_key is not None:
        return [request.partition_key]
    first, last = (everything.index(request.tags[tag]) for tag in RANGE)
    return list(everything[first : last + 1])


def groups(instance: dg.DagsterInstance) -> list[list[str]]:
    """The domains of each run that the clicks schedule asks for now."""
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    requests = tick(instance).run_requests or []
    # the daemon starts one run for each run key of a tick
    assert len({request.run_key for request in requests if request.run_key}) == len(requests)
    return [covered(request, everything) for request in requests]


@pytest.mark.usefixtures("two_per_run")
def test_a_clicks_tick_asks_for_every_domain_once_in_as_few_runs_as_it_can(
    instance: dg.DagsterInstance,
) -> None:
    know(instance, "7", "10", "8", "30", "9")
    assert groups(instance) == [["7", "10"], ["8", "30"], ["9"]]


def test_domains_per_run_of_the_settings_is_how_many_share_a_run(
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
def test_the_sensor_asks_for_the_first_clicks_of_new_domains_in_as_few_runs_as_it_can(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(instance, "1", "2", "30", "4", "5", "6", "7")
    instance.report_runless_asset_event(dg.AssetMaterialization(CLICKS_KEY, partition="2"))
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1,2,30,4,5,7")
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    first = sense(instance)
    asked = [covered(request, everything) for request in first.run_requests or []]
    assert asked == [["1", "30"], ["4", "5"], ["7"]]
    assert sense(instance, first.cursor).run_requests == []
    know(instance, "8")
    monkeypatch.delenv("LINK_ASSETS__DOMAINS")
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    later = sense(instance, first.cursor).run_requests or []
    assert [covered(request, everything) for request in later] == [["6", "8"]]


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


@pytest.mark.long
def test_the_first_clicks_of_domains_are_loaded_by_the_runs_that_the_sensor_asks_for(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.world = World(domains=3, links_per_domain=1, clicks_per_domain=4)
    assert location.links().success
    assert location.clicks("2").success
    requests = sense(location.instance).run_requests or []
    assert [request.tags.get(DOMAINS) for request in requests] == ["1,3"]
    know(location.instance, "4")
    sandbox.world = World(domains=4, links_per_domain=1, clicks_per_domain=4)
    (request,) = sense(location.instance).run_requests or []
    chosen = {"partition_key": request.partition_key, "tags": dict(request.tags)}
    assert location.run("clicks_job", **chosen).success
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"1", "2", "3", "4"}


def test_the_sensor_asks_for_nothing_when_every_domain_was_loaded(
    instance: dg.DagsterInstance,
) -> None:
    know(instance, "1")
    instance.report_runless_asset_event(dg.AssetMaterialization(CLICKS_KEY, partition="1"))
    asked = sense(instance)
    assert asked.run_requests == []
    assert asked.skip_message == "Every known domain has been loaded or asked for before."


@pytest.mark.parametrize(
    ("schedule", "job"), [("links_schedule", "links_job"), ("checks_schedule", "checks_job")]
)
def test_the_other_schedules_ask_for_one_run_of_their_job(
    schedule: str, job: str, instance: dg.DagsterInstance
) -> None:
    (request,) = tick(instance, schedule).run_requests or []
    assert request.partition_key is None
    assert REPOSITORY.get_schedule_def(schedule).job_name == job


def test_jobs_load_what_their_names_say() -> None:
    graph = defs.resolve_asset_graph()
    selected = {
        job: {key.to_user_string() for key in definition.asset_layer.executable_asset_keys}
        for job in ("links_job", "clicks_job", "checks_job")
        if (definition := defs.resolve_job_def(job))
    }
    assert selected == {
        "links_job": {"link_assets/links"},
        "clicks_job": {"link_assets/clicks"},
        "checks_job": set(),
    }
    checked = defs.resolve_job_def("checks_job").asset_layer.asset_graph.asset_check_keys
    assert checked == graph.asset_check_keys
