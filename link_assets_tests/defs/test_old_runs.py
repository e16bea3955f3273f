"""Old runs are deleted with all that Dagster keeps of them, but for what is still judged by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from link_assets.cli.main import main
from link_assets.defs.old_runs import Pruned, delete_old_runs
from link_assets.defs.status import read_status
from link_assets.defs.translator import LINKS_KEY
from link_assets_tests.support import INSTANCE, Location, resolved_job
from link_assets_tests.truth import loaded_clicks


@pytest.fixture
def location(api: str, workdir: Path) -> Iterator[Location]:
    """The code location on an instance as Dagster makes it, with a file of events for each run."""
    home = workdir / "home"
    home.mkdir()
    logs = {
        "module": "dagster._core.storage.local_compute_log_manager",
        "class": "LocalComputeLogManager",
        "config": {"base_dir": str(home / "logs")},
    }
    with dg.DagsterInstance.local_temp(str(home), {**INSTANCE, "compute_logs": logs}) as instance:
        yield Location(instance)


def ended_now() -> datetime:
    """A time after the end of all runs there are."""
    return datetime.now(UTC) + timedelta(seconds=1)


def runs_of(instance: dg.DagsterInstance, home: Path) -> tuple[set[str], set[str], set[str]]:
    """The runs by Dagster's list, and those that have a file of events, and logs."""
    files = {file.stem for file in (home / "history" / "runs").glob("*.db")} - {"index"}
    return set(instance.get_run_ids()), files, {log.name for log in (home / "logs").iterdir()}


def test_runs_are_deleted_but_for_the_last_load_of_each_domain_and_the_last_checks(
    location: Location, workdir: Path
) -> None:
    instance = location.instance
    location.everything()
    before = location.links().run_id, location.clicks_and_days("1", "2").run_id
    last = location.links().run_id, location.clicks_and_days("1").run_id
    shown, rows = read_status(instance), loaded_clicks()
    # that of links before the last, and no other: domain 3 was loaded first, domain 2 by `before`
    assert delete_old_runs(instance, ended_now()) == Pruned(2, 4)
    left, files, logs = runs_of(instance, workdir / "home")
    assert left == files == logs
    assert {before[1], *last} < left
    assert before[0] not in left
    assert read_status(instance).loads == shown.loads
    assert loaded_clicks() == rows
    assert delete_old_runs(instance, ended_now()) == Pruned(0, 4)


@pytest.mark.long
def test_runs_that_ended_later_and_those_under_way_stay(location: Location) -> None:
    instance = location.instance
    first = location.links().run_id
    location.links()
    under_way = instance.create_run_for_job(
        resolved_job("links_job"), status=dg.DagsterRunStatus.STARTED
    ).run_id
    assert delete_old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == Pruned(0, 0)
    delete_old_runs(instance, ended_now())
    assert first not in instance.get_run_ids()
    assert under_way in instance.get_run_ids()


@pytest.mark.long
def test_evaluations_of_checks_go_with_their_runs(location: Location) -> None:
    location.links()
    location.links()
    before = evaluations(location.instance)
    delete_old_runs(location.instance, ended_now())
    assert evaluations(location.instance) == before / 2


def evaluations(instance: dg.DagsterInstance) -> int:
    key = dg.AssetCheckKey(LINKS_KEY, "fresh")
    return len(instance.event_log_storage.get_asset_check_execution_history(key, limit=100))


@pytest.mark.long
def test_a_deletion_that_is_stopped_can_be_repeated(
    location: Location, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = location.instance
    location.links()
    location.links()

    def stop(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(instance.compute_log_manager, "delete_logs", stop)
    with pytest.raises(KeyboardInterrupt):
        delete_old_runs(instance, ended_now())
    with dg.DagsterInstance.from_ref(instance.get_ref()) as of_next_process:
        assert delete_old_runs(of_next_process, ended_now()) == Pruned(1, 1)
    left, files, logs = runs_of(instance, workdir / "home")
    assert left == files == logs


@pytest.mark.long
def test_runs_of_others_and_of_a_backfill_that_goes_on_stay(location: Location) -> None:
    instance = location.instance

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a"]))
    def other() -> None:
        pass

    others = [dg.materialize([other], instance=instance, partition_key="a") for _ in range(2)]
    tags = {"dagster/backfill": "goes_on"}
    instance.add_backfill(
        PartitionBackfill("goes_on", BulkActionStatus.REQUESTED, False, tags, 0.0)
    )
    of_backfill = [location.run("links_job", tags=tags) for _ in range(2)]
    location.links()
    location.links()
    assert delete_old_runs(instance, ended_now()) == Pruned(1, 1)
    assert {run.run_id for run in (*others, *of_backfill)} < {*instance.get_run_ids()}


def test_runs_from_the_ui_that_only_judge_checks_go_and_those_of_others_stay(
    location: Location,
) -> None:
    of_ours, of_others = (
        location.instance.add_run(
            dg.DagsterRun(
                "__ASSET_JOB",
                asset_selection=set(),
                asset_check_selection={dg.AssetCheckKey(asset, "fresh")},
                status=dg.DagsterRunStatus.SUCCESS,
            )
        )
        for asset in (LINKS_KEY, dg.AssetKey("other"))
    )
    assert delete_old_runs(location.instance, ended_now()) == Pruned(1, 0)
    left = location.instance.get_run_ids()
    assert of_ours.run_id not in left
    assert of_others.run_id in left


def test_the_command_says_how_many(
    location: Location, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.links()
    monkeypatch.setenv("DAGSTER_HOME", str(workdir / "home"))
    pruned = CliRunner().invoke(main, ["prune", "--days", "1"])
    assert (pruned.exit_code, pruned.output) == (
        0,
        "Runs deleted: 0.\nRecords of loads deleted: 0.\n",
    )
    assert CliRunner().invoke(main, ["prune", "--days", "0"]).exit_code == 2
