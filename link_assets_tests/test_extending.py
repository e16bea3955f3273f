"""The examples of docs/extending.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.support import Location, mostly_long, rows

PROJECT = Path(__file__).parent.parent
EXTENDING = (PROJECT / "docs" / "extending.md").read_text()


def example(section: str) -> dict[str, Any]:
    """Run the example of a section; return the names that it defines."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", EXTENDING, re.DOTALL | re.MULTILINE)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"__name__": f"example_{section}".replace(" ", "_")}
    exec(compile(code, section, "exec"), names)
    return names


FIELD = """
from dataclasses import replace
from link_assets import contract
contract.CLICKS = replace(contract.CLICKS, fields=(*contract.CLICKS.fields, contract.{line}))
from link_assets_tests.children import load_clicks
from link_assets_tests.support import rows
load_clicks(1)
print(rows("SELECT geoname_id, typeof(geoname_id) FROM {{dataset}}.clicks"))
"""


def test_a_field_is_one_line(api: str, sandbox: Sandbox) -> None:
    (line,) = re.findall(r"^Field\(.*\)$", EXTENDING, re.MULTILINE)
    sandbox.clicks = {1: [{"dt": "2026-02-01T12:00:00Z", "geoname_id": "2950159"}]}
    run = subprocess.run(
        [sys.executable, "-c", FIELD.format(line=line).replace("{{", "{").replace("}}", "}")],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "[(2950159, 'BIGINT')]\n", run.stderr


def test_an_asset_is_one_module_and_one_line(location: Location) -> None:
    location.everything()
    asset = example("An asset")["busiest_domain"]
    result = dg.materialize([asset], instance=location.instance, selection=[asset])
    ((domain, clicks),) = rows(
        "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    )
    (materialization,) = result.asset_materializations_for_node("link_assets__busiest_domain")
    values = {name: value.value for name, value in materialization.metadata.items()}
    assert (values["domain"], values["clicks"]) == (domain, clicks)


@pytest.mark.long
@pytest.mark.parametrize("future", mostly_long([0, 2], 1))
def test_a_check_is_one_module_and_one_line(
    future: int, location: Location, sandbox: Sandbox
) -> None:
    from link_assets.defs.checks import all_checks
    from link_assets.defs.checks.table_checks import TableChecks

    click = {"dt": "2900-01-01T00:00:00Z", "host": "a.example"}
    later = [click | {"path": f"/{number}"} for number in range(future)]
    sandbox.faults = [
        Fault(
            path="/v1/domain/1",
            replace=lambda answer: {**answer, "data": [*answer["data"], *later]},
            times=1,
        )
    ]
    location.everything()
    clicks: TableChecks = all_checks.TABLES[1]
    step = replace(clicks, checks=(*clicks.checks, example("A check")["NO_FUTURE_CLICKS"])).step()
    job = dg.Definitions(asset_checks=[step]).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=location.instance, raise_on_error=False)
    (found,) = (
        e for e in result.get_asset_check_evaluations() if e.check_name == "no_future_clicks"
    )
    assert found.passed is not bool(future)
    assert found.metadata["future"].value == future


def test_a_warehouse_is_one_module_and_one_line(
    location: Location, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from link_assets.warehouse.destinations import configured

    made = example("A warehouse")["LakeWarehouse"]
    monkeypatch.setitem(configured.WAREHOUSES, "filesystem", made)
    monkeypatch.setenv("DESTINATION_TYPE", "filesystem")
    warehouse = configured.configured_warehouse()
    assert isinstance(warehouse, made)
    assert warehouse.lock_file() == workdir / "lake.lock"
    assert warehouse.loader_file_format == "parquet"
