"""What the checks of a run found, and an API and a warehouse for them to judge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.test_utils import freeze_time

from link_assets.contract import CLICKS, LINK_TAGS, LINKS, Table
from link_assets.sandbox import Sandbox, World
from link_assets_tests.support import Location

ERRORS = {"fresh", "no_rejected_rows", "unique_keys"}


WARNINGS = {"required_columns", "no_unknown_columns"}


TABLES = ("domains", "links", "clicks")
CHECKS = {f"{table}.{name}" for table in TABLES for name in ERRORS | WARNINGS}
CHECKS |= {"links.no_mass_disappearance", "clicks.known_links", "clicks.usual_volume"}
CHECKS |= {"clicks.agrees_with_service"}
CHECKS |= {f"daily_clicks.{name}" for name in ("fresh", "unique_keys", "totals_agree")}


REMEDIES = {
    "fresh": "Materialize what is named",
    "no_rejected_rows": "SELECT domain_id, reason, payload FROM link_assets.rejected_rows",
    "unique_keys": "delete them and materialize the asset again",
    "required_columns": "Ask the API's provider",
    "no_unknown_columns": "add those you rely on to link_assets/contract.py",
    "known_links": "Materialize link_assets/links",
    "no_mass_disappearance": "See whether the API key still reads every domain",
    "usual_volume": "See whether these domains still redirect",
    "agrees_with_service": "Load these domains once more",
    "totals_agree": "Materialize link_assets/daily_clicks for these domains",
}


Evaluations = Mapping[str, dg.AssetCheckEvaluation]

LONG_AGO = "1000000000.5"
"""A load's id, which is when it began."""


def documented(rows: list[dict[str, Any]], table: Table) -> list[Any]:
    """The rows with the guide's fields alone."""
    names = {field.name.partition(".")[0] for field in table.fields} | {LINK_TAGS}
    return [{name: row[name] for name in row if name in names} for row in rows]


def by_the_guide() -> Sandbox:
    """An API that sends what its guide lists and nothing else."""
    world = World(clicks_per_domain=20, links_per_domain=4)
    return Sandbox(
        links=documented(world.links(), LINKS),
        clicks={d: documented(world.clicks(d, 0, 20), CLICKS) for d in world.domain_ids()},
    )


def evaluations(result: dg.ExecuteInProcessResult) -> Evaluations:
    """What the checks of a run found, by table and name."""
    assert result.success
    found = result.get_asset_check_evaluations()
    return {f"{e.asset_key.path[-1]}.{e.check_name}": e for e in found}


def checked(location: Location) -> Evaluations:
    """What every check finds now, by table and name."""
    return evaluations(location.run("checks_job"))


def troubles(found: Evaluations) -> dict[str, str]:
    """What each check that does not pass says before its remedy, which it must have."""
    told: dict[str, str] = {}
    for name, evaluation in found.items():
        if not evaluation.passed:
            problem, remedy, _ = str(evaluation.description).partition(
                REMEDIES[evaluation.check_name]
            )
            assert remedy, f"{name} does not say what to do: {evaluation.description}"
            told[name] = problem
    return told


def numbers(found: Evaluations, name: str) -> dict[str, Any]:
    """The values that a check found, by its table and name, without the sentence among them."""
    values = found[name].metadata.items()
    return {label: value.value for label, value in values if label != "finding"}


def judged(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each check of a run says, by table and name, also of a run that failed."""
    found = result.get_asset_check_evaluations()
    return {f"{e.asset_key.path[-1]}.{e.check_name}": str(e.description) for e in found}


def materialized_at(instance: dg.DagsterInstance, time: datetime, **event: Any) -> None:
    """Records a materialization as one of that time."""
    with freeze_time(time):
        instance.report_runless_asset_event(dg.AssetMaterialization(**event))


def spoil_the_file() -> None:
    """Leaves a warehouse that nobody can open."""
    Path("warehouse.duckdb").write_bytes(b"not a database" * 500)
