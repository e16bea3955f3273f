"""Records of old loads are deleted, but for those that say where a load goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from link_assets.sandbox import Sandbox, World
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.old_loads import delete_old_loads
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse import test_link_join as joins
from link_assets_tests.warehouse.helpers import load_clicks as load_in_own_pipeline

FIXTURES = (port, server, warehouse) = joins.port, joins.server, joins.warehouse
"""For pytest to find here: one kind of warehouse after the other, empty."""
WORLD = World(domains=2, links_per_domain=2, clicks_per_domain=40)


def loads() -> set[str]:
    return {load for (load,) in rows("SELECT load_id FROM {dataset}._dlt_loads")}


def positions() -> dict[int, int]:
    found = rows("SELECT domain_id, max(number) FROM {dataset}._positions GROUP BY domain_id")
    return dict(map(tuple, found))


def later() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def test_loads_go_on_from_where_they_stood(sandbox: Sandbox) -> None:
    sandbox.world, sandbox.page_size = WORLD, 15
    load_links()
    for domain in (1, 2, 1, 2, 1):
        load_clicks(domain)
    load_in_own_pipeline(2)
    for domain in (1, 2):
        compute_days([domain])
    made = loads()
    needed = {
        load
        for table in ("_positions", "_dlt_pipeline_state")
        for (load,) in rows(f"SELECT DISTINCT _dlt_load_id FROM {{dataset}}.{table}")
    }
    assert delete_old_loads(datetime.now(UTC) - timedelta(days=1)) == 0
    assert loads() == made
    assert delete_old_loads(later()) == len(made - needed) > 0
    assert loads() == made & needed
    before = positions()
    sandbox.world = WORLD.grown(5)
    load_links()
    for domain in (1, 2):
        load_clicks(domain)
    assert loaded_clicks() == expected_world(sandbox.world)
    assert all(number > before[domain] for domain, number in positions().items())


def test_where_nothing_was_loaded_there_is_nothing_to_delete(sandbox: Sandbox) -> None:
    assert delete_old_loads(later()) == 0


@pytest.mark.long
def test_a_warehouse_that_only_has_links_keeps_the_state_of_their_pipeline(
    sandbox: Sandbox,
) -> None:
    sandbox.world = WORLD
    load_links()
    needed = rows("SELECT DISTINCT _dlt_load_id FROM {dataset}._dlt_pipeline_state")
    delete_old_loads(later())
    assert loads() == {load for (load,) in needed} != set()
