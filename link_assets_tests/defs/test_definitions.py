"""The code location as Dagster sees it, and what loading it needs and leaves behind: nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.metadata import normalize_metadata

import link_assets
from link_assets.contract import CLICKS, DAILY_CLICKS, DOMAINS, LINKS, Table
from link_assets.definitions import defs
from link_assets.defs.clicks import ClicksConfig
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY, DOMAINS_KEY, LINKS_KEY

REPOSITORY_FOLDER = Path(link_assets.__file__).parents[1]
DAGSTER_FREE = ("contract", "settings", "source", "rows", "warehouse")
"""The modules, and the packages with all of theirs, that a script uses without Dagster."""

SCHEDULES = ("LINKS", "CLICKS", "CHECKS")
NO_CRONS = ("hourly", "* * * *", "0 0 * * * *", "99 * * * *", "0 0 30 2 *", "'0 * * * *'")

REFUSE_CONNECTIONS = """
import socket
def refuse(self, address):
    raise AssertionError(f"connects to {address}")
socket.socket.connect = refuse
"""

TELL_SETTINGS = """
import json
from link_assets.definitions import defs
repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
told = {s.name: [s.cron_schedule, s.execution_timezone] for s in repository.schedule_defs}
for asset in graph.asset_nodes:
    hours = asset.freshness_policy.fail_window.to_timedelta().total_seconds() / 3600
    policy = asset.backfill_policy
    told[asset.key.path[-1]] = [hours, policy and policy.max_partitions_per_run, *asset.owners]
print(json.dumps(told))
"""

TELL_CODE = """
import json
from link_assets.definitions import defs
told = {}
for asset in defs.resolve_asset_graph().asset_nodes:
    (reference,) = asset.metadata["dagster/code_references"].code_references
    told[asset.key.path[-1]] = reference.source
print(json.dumps(told))
"""

TELL_REFUSALS = """
import json, os, sys
import dagster
told = {}
for name, value in json.loads(sys.argv[1]):
    os.environ[name] = value
    try:
        import link_assets.definitions
    except Exception as error:
        told[f"{name}={value}"] = f"{type(error).__name__}: {error}"
    del os.environ[name]
    for module in [m for m in sys.modules if m.startswith("link_assets")]:
        del sys.modules[module]
print(json.dumps(told))
"""

TELL_DAGSTER_IMPORTS = """
import importlib, json, pkgutil, sys
told = {}
def names():
    for given in sys.argv[1:]:
        module = importlib.import_module(f"link_assets.{given}")
        yield module.__name__
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
            yield found.name
for name in names():
    importlib.import_module(name)
    told[name] = sorted(m for m in sys.modules if m.split(".")[0] in ("dagster", "dagster_dlt"))[:3]
print(json.dumps(told))
"""


def python(workdir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in an empty folder with nothing but `environment`; HOME is elsewhere."""
    cwd, home = workdir / "empty", workdir / "home"
    cwd.mkdir()
    home.mkdir()
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def answer(run: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a script printed last; fails with what it said if it failed."""
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_definitions_load_without_secret_server_or_settings_and_leave_no_file(
    workdir: Path,
) -> None:
    told = answer(python(workdir, "-c", REFUSE_CONNECTIONS + TELL_SETTINGS))
    assert told == {
        "links_schedule": ["0 * * * *", "UTC"],
        "clicks_schedule": ["15 * * * *", "UTC"],
        "checks_schedule": ["45 * * * *", "UTC"],
        "domains": [25, None, "team:growth-data"],
        "links": [25, None, "team:growth-data"],
        "clicks": [25, 10, "team:growth-data"],
        "daily_clicks": [25, 10, "team:growth-data"],
    }
    assert list((workdir / "empty").iterdir()) == []


def test_settings_given_as_environment_take_effect(workdir: Path) -> None:
    given = {
        "LINKS_CRON": "1 2 * * *",
        "CLICKS_CRON": "*/5 * * * *",
        "CHECKS_CRON": "30 6 * * 1",
        "TIMEZONE": " Europe/Berlin ",
        "LINKS_FRESH_HOURS": "48",
        "CLICKS_FRESH_HOURS": "1.5",
        "DOMAINS_PER_RUN": "3",
        "OWNER": "team:data",
    }
    named = {f"LINK_ASSETS__{name}": value for name, value in given.items()}
    assert answer(python(workdir, "-c", TELL_SETTINGS, **named)) == {
        "links_schedule": ["1 2 * * *", "Europe/Berlin"],
        "clicks_schedule": ["*/5 * * * *", "Europe/Berlin"],
        "checks_schedule": ["30 6 * * 1", "Europe/Berlin"],
        "domains": [48, None, "team:data"],
        "links": [48, None, "team:data"],
        "clicks": [1.5, 3, "team:data"],
        "daily_clicks": [1.5, 3, "team:data"],
    }


GIT_URLS = [
    "https://github.com/you/link_assets/tree/main",
    "https://git.example.com/you/link_assets/-/tree/some/branch/",
]


@pytest.mark.parametrize("git_url", ["", *GIT_URLS])
def test_assets_refer_to_their_code_without_a_warning(workdir: Path, git_url: str) -> None:
    run = python(workdir, "-c", TELL_CODE, **{"LINK_ASSETS__GIT_URL": git_url})
    assert run.stderr == ""
    told = answer(run)
    root = git_url.rstrip("/") or str(REPOSITORY_FOLDER)
    assert set(told) == {"domains", "links", "clicks", "daily_clicks"}
    for name, reference in told.items():
        module = {"domains": "links"}.get(name, name)
        path, line = re.split("#L|:(?=[0-9]+$)", reference)
        assert path == f"{root}/link_assets/defs/{module}.py"
        source = (REPOSITORY_FOLDER / "link_assets" / "defs" / f"{module}.py").read_text()
        assert source.splitlines()[int(line) - 1].startswith("@")


def test_an_unusable_setting_fails_loading_by_its_name(workdir: Path) -> None:
    bad = [
        ("LINK_ASSETS__DOMAINS_PER_RUN", "0"),
        ("LINK_ASSETS__DOMAINS_PER_RUN", "many"),
        ("LINK_ASSETS__CLICKS_FRESH_HOURS", "-1"),
        ("LINK_ASSETS__DOMAINS", "1,example.com"),
        ("LINK_ASSETS__RUN_RETRIES", "-2"),
        ("LINK_ASSETS__TIMEZONE", "Mars/Olympus"),
        ("LINK_ASSETS__OWNER", "growth"),
        ("LINK_ASSETS__ALERT_FORMAT", "teams"),
        ("LINK_ASSETS__UI_URL", "dagster.example.com"),
        ("LINK_ASSETS__GIT_URL", "https://github.com/you/link_assets"),
        ("DESTINATION_TYPE", "filesystem"),
        ("LINK_ASSETS__GIT_URL", "git@github.com:you/link_assets/tree/main"),
        *((f"LINK_ASSETS__{name}_CRON", cron) for name in SCHEDULES for cron in NO_CRONS),
    ]
    told = answer(python(workdir, "-c", TELL_REFUSALS, json.dumps(bad)))
    assert list(told) == [f"{name}={value}" for name, value in bad]
    for (name, _), message in zip(bad, told.values(), strict=True):
        assert message.startswith(f"SettingsError: {name} must be "), message


def test_the_source_and_what_it_needs_import_no_dagster(workdir: Path) -> None:
    imported = answer(python(workdir, "-c", TELL_DAGSTER_IMPORTS, *DAGSTER_FREE))
    assert len(imported) > 25
    assert {name: found for name, found in imported.items() if found} == {}


def test_importing_the_definitions_imports_no_library_of_tables(workdir: Path) -> None:
    code = "import sys, json, link_assets.definitions; print(json.dumps([*sys.modules]))"
    assert not {"pyarrow", "pandas", "duckdb"} & {*answer(python(workdir, "-c", code))}


@pytest.mark.long
def test_imported_modules_are_left_out_of_garbage_collection(workdir: Path) -> None:
    code = "import gc, json; before = gc.get_threshold(); import link_assets.definitions; "
    counts = "gc.get_freeze_count(), len(gc.get_objects()), before, gc.get_threshold()"
    run = python(workdir, "-c", f"{code}print(json.dumps([{counts}]))")
    left_alone, looked_through, before, after = json.loads(run.stdout)
    assert left_alone > looked_through
    assert after == before


READ = """
from link_assets.warehouse.reader import reading
def use():  # what a script keeps of DuckDB to its end, DuckDB complains of
    with reading() as reader:
        reader.rows("SELECT 1")
use()
"""
LOAD_AND_READ_IN_A_THREAD = """
from threading import Thread
import dlt
from dlt.extract import DltSource
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import reading
def use():
    with open_pipeline("links") as pipeline:
        links = dlt.resource([{"id": "1"}], name="links")
        pipeline.run(DltSource(dlt.Schema("link_assets"), "link_assets", [links]))
    with reading() as reader:
        reader.rows("SELECT 1")
thread = Thread(target=use)
thread.start()
thread.join()
"""


@pytest.mark.long
@pytest.mark.parametrize("use", [READ, LOAD_AND_READ_IN_A_THREAD], ids=["reads", "loads"])
def test_a_process_that_has_used_the_warehouse_ends_without_output(workdir: Path, use: str) -> None:
    run = python(workdir, "-c", f"import link_assets.definitions{use}")
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.long
def test_dagster_validates_the_location_that_the_workspace_file_names(workdir: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=REPOSITORY_FOLDER,
        env={"HOME": str(workdir), "DAGSTER_HOME": str(workdir), "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    assert "Validation successful for code location link_assets.definitions" in said


# it comes with the development dependencies
if (DG := Path(sys.executable).with_name("dg")).exists():

    @pytest.mark.parametrize(
        ("command", "says"),
        [
            ("list defs --json", '"asset_key": "link_assets/clicks"'),
            pytest.param(
                "check defs", "All definitions loaded successfully.", marks=pytest.mark.long
            ),
        ],
    )
    def test_dg_finds_the_location_without_a_warning(
        command: str, says: str, workdir: Path
    ) -> None:
        run = subprocess.run(
            [str(DG), *command.split()],
            cwd=REPOSITORY_FOLDER,
            env={"HOME": str(workdir), "DAGSTER_HOME": str(workdir)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert says in run.stdout
        assert "superseded" not in run.stdout + run.stderr


def test_the_location_holds_its_assets_in_one_group_and_nothing_beside_them() -> None:
    graph = defs.resolve_asset_graph()
    assert graph.get_all_asset_keys() == {DOMAINS_KEY, LINKS_KEY, CLICKS_KEY, DAILY_CLICKS_KEY}
    assert [key.to_user_string() for key in graph.toposorted_asset_keys] == [
        "link_assets/domains",
        "link_assets/links",
        "link_assets/clicks",
        "link_assets/daily_clicks",
    ]
    assert graph.external_asset_keys == set()
    assert {asset.group_name for asset in graph.asset_nodes} == {"link_assets"}
    assert graph.get(CLICKS_KEY).parent_keys == {DOMAINS_KEY, LINKS_KEY}
    assert graph.get(DAILY_CLICKS_KEY).parent_keys == {DOMAINS_KEY, LINKS_KEY, CLICKS_KEY}
    assert graph.get(LINKS_KEY).parent_keys == set()


@pytest.mark.parametrize(
    ("key", "table", "kind"),
    [
        (DOMAINS_KEY, DOMAINS, "dlt"),
        (LINKS_KEY, LINKS, "dlt"),
        (CLICKS_KEY, CLICKS, "dlt"),
        (DAILY_CLICKS_KEY, DAILY_CLICKS, "sql"),
    ],
)
def test_an_asset_is_described_by_the_contract(key: dg.AssetKey, table: Table, kind: str) -> None:
    asset = defs.resolve_asset_graph().get(key)
    assert (asset.description or "").startswith(f"{table.description}\n\n")
    assert asset.owners == ["team:growth-data"]
    assert asset.kinds == {kind, "duckdb"}
    assert asset.metadata["dagster/table_name"] == f"link_assets.{table.name}"
    schema = asset.metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [(c.name, c.type, c.description or "") for c in schema.columns] == [
        (field.column, field.data_type, field.description) for field in table.columns
    ]
    tags = {c.name: dict(c.tags or {}) for c in schema.columns}
    assert {name for name, of in tags.items() if "key" in of} == set(table.primary_key)
    personal = {field.column: field.personal for field in table.columns if field.personal}
    assert {name: of["personal"] for name, of in tags.items() if "personal" in of} == personal
    required = {c.name for c in schema.columns if not c.constraints.nullable}
    assert required == set(table.filled)


@pytest.mark.parametrize("key", [DOMAINS_KEY, LINKS_KEY, CLICKS_KEY])
def test_every_metadata_value_of_an_asset_can_be_shown(key: dg.AssetKey) -> None:
    metadata = defs.resolve_asset_graph().get(key).metadata
    assert "dagster_dlt/source" in metadata
    shown = normalize_metadata(metadata, allow_invalid=True).values()
    assert not any("unserializable" in str(value.value) for value in shown)


def test_schedules_sensors_jobs_and_run_configuration_are_described() -> None:
    repository = defs.get_repository_def()
    switches = [*repository.schedule_defs, *repository.sensor_defs]
    assert len(switches) == 5
    assert all(switch.description for switch in switches)
    fields = ClicksConfig.model_fields
    assert {name for name, field in fields.items() if field.description} == {"full_refresh"}
    jobs = ("links_job", "clicks_job", "checks_job")
    assert all(repository.get_job(job).description for job in jobs)


def test_the_columns_of_the_tables_begin_with_their_keys() -> None:
    columns = [field.column for field in LINKS.columns]
    assert columns[:2] == ["id", "domain_id"]
    assert columns[-1] == "deleted_at"
    assert [field.column for field in CLICKS.columns][:2] == ["domain_id", "click_id"]


def test_clicks_are_partitioned_by_domain_and_links_are_not() -> None:
    graph = defs.resolve_asset_graph()
    for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
        partitions = graph.get(key).partitions_def
        assert isinstance(partitions, dg.DynamicPartitionsDefinition)
        assert partitions.name == "domain"
    assert graph.get(LINKS_KEY).partitions_def is None


def test_schedules_and_sensors_are_off_until_they_are_started() -> None:
    repository = defs.get_repository_def()
    assert {s.name: s.default_status for s in repository.schedule_defs} == dict.fromkeys(
        ("links_schedule", "clicks_schedule", "checks_schedule"), dg.DefaultScheduleStatus.STOPPED
    )
    assert {s.name: s.default_status for s in repository.sensor_defs} == {
        "new_domains_sensor": dg.DefaultSensorStatus.STOPPED,
        "alerts_sensor": dg.DefaultSensorStatus.STOPPED,
    }


@pytest.mark.parametrize("name", ["links_job", "clicks_job", "checks_job"])
def test_a_job_is_retried_and_runs_its_steps_in_its_own_process(name: str) -> None:
    job = defs.resolve_job_def(name)
    assert job.run_tags["dagster/max_retries"] == "2"
    assert job.run_tags["dagster/retry_strategy"] == "ALL_STEPS"
    assert job.executor_def is dg.in_process_executor
