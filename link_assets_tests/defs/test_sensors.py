"""What the sensor asks for, and that it loads what it should."""

from __future__ import annotations

import dagster as dg
import pytest

from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.run_requests import DOMAINS
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Sandbox, World
from link_assets_tests.defs.ticks import covered, know, sense
from link_assets_tests.support import Location


@pytest.mark.usefixtures("two_per_run")
def test_the_sensor_asks_for_new_domains_once_in_as_few_runs_as_possible(
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


@pytest.mark.long
def test_runs_that_the_sensor_asks_for_load_the_new_domains(
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
