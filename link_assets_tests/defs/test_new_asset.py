"""A new asset needs a module of its own and its name in `definitions.py`, and nothing else."""

# Dagster resolves the annotations of an asset's function: no `from __future__ import annotations`
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import dlt as data_load_tool
from dagster_dlt import dlt_assets
from dlt.extract import DltSource

from link_assets.contract import Field, Table
from link_assets.defs import configuration
from link_assets.defs.clicks import clicks
from link_assets.defs.links import links
from link_assets.defs.translator import (
    LINKS_KEY,
    LinkAssetsTranslator,
    asset_key,
    with_shown_metadata,
)
from link_assets.warehouse.pipeline import described_pipeline, open_pipeline
from link_assets_tests.support import Location, rows

TEAMS = Table("teams", "One row per team.", ("id",), (Field("id", "id", description="Its id."),))


def teams_source() -> DltSource:
    teams = data_load_tool.resource([{"id": "a"}, {"id": "b"}], name=TEAMS.name)
    return DltSource(data_load_tool.Schema("teams"), "link_assets", [teams])


# what the new asset's module would hold
TRANSLATOR = LinkAssetsTranslator([TEAMS], deps=[LINKS_KEY])


@with_shown_metadata
@dlt_assets(
    dlt_source=teams_source(),
    dlt_pipeline=described_pipeline(TEAMS.name),
    name=TEAMS.name,
    dagster_dlt_translator=TRANSLATOR,
    pool=configuration.POOL,
)
def teams() -> Iterator[Any]:
    """Load the teams."""
    with open_pipeline(TEAMS.name) as pipeline:
        pipeline.run(teams_source())
    yield dg.MaterializeResult(asset_key=asset_key(TEAMS))


def test_a_new_asset_is_described_by_its_table_and_loaded(location: Location) -> None:
    with_teams = dg.Definitions(
        assets=[links, clicks, teams],
        jobs=[dg.define_asset_job("teams_job", dg.AssetSelection.assets(asset_key(TEAMS)))],
    )
    described = with_teams.resolve_asset_graph().get(asset_key(TEAMS))
    assert described.key.to_user_string() == "link_assets/teams"
    assert described.description == "One row per team."
    assert described.parent_keys == {LINKS_KEY}
    window = timedelta(hours=configuration.FRESH_HOURS)
    assert described.freshness_policy == dg.FreshnessPolicy.time_window(window)
    job = with_teams.resolve_job_def("teams_job")
    assert job.execute_in_process(instance=location.instance).success
    assert rows("SELECT id FROM {dataset}.teams ORDER BY id") == [("a",), ("b",)]
