"""The README keeps up with the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from link_assets.definitions import defs
from link_assets.settings import (
    API_SECTION,
    LOCATION_SECTION,
    ApiSettings,
    LocationSettings,
    environment_name,
)

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text()
TABLES = {
    match[1]: match[2].strip(" `")
    for match in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", README, re.MULTILINE)
}


@pytest.mark.parametrize(
    ("spec", "section"), [(ApiSettings, API_SECTION), (LocationSettings, LOCATION_SECTION)]
)
def test_every_setting_is_in_the_table_with_its_default(spec: type, section: str) -> None:
    for field in fields(spec):
        told = TABLES[environment_name(f"{section}.{field.name}")]
        if isinstance(field.default, int | float | str) and field.default != "":
            assert told == f"{field.default}"


def test_every_check_schedule_and_sensor_is_in_a_table() -> None:
    repository = defs.get_repository_def()
    checks = {key.name for key in repository.asset_graph.asset_check_keys}
    assert checks <= TABLES.keys()
    assert {schedule.name for schedule in repository.schedule_defs} <= TABLES.keys()
    assert {sensor.name for sensor in repository.sensor_defs} <= TABLES.keys()


def test_every_file_it_points_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (PROJECT / target).exists()] == []


def test_its_test_command_is_the_one_the_gate_runs() -> None:
    command = "pip install uv && uv run pytest"
    assert command in README
    assert f"\n{command}\n" in (PROJECT / ".ci" / "run").read_text()
