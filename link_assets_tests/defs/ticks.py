"""What a schedule or the sensor asks for, read from one tick of it."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.definitions.sensor_definition import SensorExecutionData

from link_assets.definitions import defs
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.run_requests import DOMAINS, RANGE

REPOSITORY = defs.get_repository_def()


def know(instance: dg.DagsterInstance, *domains: str) -> None:
    """Registers domains, as materializing the links would."""
    instance.add_dynamic_partitions(PARTITIONS_NAME, list(domains))


def tick(instance: dg.DagsterInstance, schedule: str = "clicks_schedule") -> ScheduleExecutionData:
    """What a schedule asks for now."""
    context = dg.build_schedule_context(instance=instance, repository_def=REPOSITORY)
    return REPOSITORY.get_schedule_def(schedule).evaluate_tick(context)


def sense(
    instance: dg.DagsterInstance, cursor: str | None = None, sensor: str = "new_domains_sensor"
) -> SensorExecutionData:
    """What a sensor asks for now."""
    reference = instance.get_ref()
    context = dg.build_sensor_context(
        instance_ref=reference, repository_def=REPOSITORY, cursor=cursor
    )
    return REPOSITORY.get_sensor_def(sensor).evaluate_tick(context)


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
