"""What each check finds, what it says to do, and that checking loads nothing."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time
from dagster_dlt import DagsterDltResource

from link_assets.contract import CLICKS, LINK_TAGS, LINKS, Table
from link_assets.defs import configuration
from link_assets.defs.checks import last_loads
from link_assets.defs.checks.last_loads import (
    LastLoad,
    LastLoads,
    disappearance,
    lateness,
    rejections,
    volume,
)
from link_assets.defs.checks.row_checks import Rows, repeated_keys
from link_assets.defs.checks.table_checks import CHECKS as CHECKS_OF_TABLES
from link_assets.defs.clicks import clicks
from link_assets.defs.links import links
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.sandbox import Sandbox, World, serve
from link_assets.warehouse.pipeline import reading
from link_assets_tests.support import Location, dagster_instance, rows

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

ERRORS = {"fresh", "no_rejected_rows", "unique_keys"}
WARNINGS = {"required_columns", "no_unknown_columns"}
CHECKS = {f"{table}.{name}" for table in ("links", "clicks") for name in ERRORS | WARNINGS}
CHECKS |= {"links.no_mass_disappearance", "clicks.known_links", "clicks.usual_volume"}

REMEDIES = {
    "fresh": "Materialize what is named",
    "no_rejected_rows": "SELECT domain_id, reason, payload FROM link_assets.rejected_rows",
    "unique_keys": "delete them and materialize the asset again",
    "required_columns": "Ask the API's provider",
    "no_unknown_columns": "add those you rely on to link_assets/contract.py",
    "known_links": "Materialize link_assets/links",
    "no_mass_disappearance": "See whether the API key still reads every domain",
    "usual_volume": "See whether these domains still redirect",
}

Evaluations = Mapping[str, dg.AssetCheckEvaluation]


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


@pytest.fixture
def sandbox() -> Sandbox:
    return by_the_guide()


@pytest.fixture(scope="module")
def good_load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the warehouse and the Dagster instance after a load without any trouble."""
    folder = tmp_path_factory.mktemp("good_load")
    (folder / "dagster").mkdir()
    api = by_the_guide()
    with (
        pytest.MonkeyPatch.context() as patch,
        serve(api) as url,
        dagster_instance(str(folder / "dagster")) as instance,
    ):
        patch.chdir(folder)
        patch.setenv("SOURCES__LINK_ASSETS__BASE_URL", url)
        patch.setenv("SOURCES__LINK_ASSETS__API_KEY", api.api_key)
        Location(instance).everything()
    return folder


@pytest.fixture
def loaded(good_load: Path, workdir: Path, api: str) -> Iterator[Location]:
    """A copy of the good load, to spoil."""
    shutil.copytree(good_load, workdir, dirs_exist_ok=True)
    with dagster_instance(str(workdir / "dagster")) as instance:
        yield Location(instance)


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


def materialized_at(instance: dg.DagsterInstance, time: datetime, **event: Any) -> None:
    """Records a materialization as one of that time."""
    with freeze_time(time):
        instance.report_runless_asset_event(dg.AssetMaterialization(**event))


def test_every_check_passes_on_a_good_load_without_asking_the_api_or_loading(
    loaded: Location, sandbox: Sandbox
) -> None:
    result = loaded.run("checks_job")
    found = evaluations(result)
    assert {name: e.description for name, e in found.items() if not e.passed} == {}
    assert found.keys() == CHECKS
    assert sandbox.requests == []
    assert not [e for e in result.all_events if e.is_step_materialization]


def spoil_the_file() -> None:
    """Leaves a warehouse that nobody can open."""
    Path("warehouse.duckdb").write_bytes(b"not a database" * 500)


def judged(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each check of a run says, by table and name, also of a run that failed."""
    found = result.get_asset_check_evaluations()
    return {f"{e.asset_key.path[-1]}.{e.check_name}": str(e.description) for e in found}


def test_the_checks_of_a_table_are_one_step(loaded: Location) -> None:
    result = loaded.run("checks_job")
    steps = {e.step_key for e in result.all_events if e.event_type_value == "STEP_SUCCESS"}
    assert steps == {"links_checks", "clicks_checks"}


def test_what_is_known_of_loads_is_told_though_the_warehouse_cannot_be_used(
    loaded: Location,
) -> None:
    spoil_the_file()
    result = loaded.run("checks_job")
    assert not result.success
    on_loads = {"links.fresh", "links.no_rejected_rows", "links.no_mass_disappearance"}
    on_loads |= {"clicks.fresh", "clicks.no_rejected_rows"}
    found = judged(result)
    assert {name for name, told in found.items() if not told.startswith("Not judged: ")} == on_loads
    others = {told for name, told in found.items() if name not in on_loads}
    assert all("not a valid DuckDB database file" in told for told in others)
    assert found.keys() == CHECKS


def test_a_check_that_fails_keeps_no_other_from_being_told(loaded: Location) -> None:
    rows("ALTER TABLE {dataset}.clicks ALTER st TYPE DATE USING NULL")
    materialized_at(
        loaded.instance,
        datetime.now(UTC),
        asset_key=CLICKS_KEY,
        partition="1",
        metadata={"rejected_rows": "some"},
    )
    result = loaded.run("checks_job")
    assert not result.success
    found = judged(result)
    unknown = {name for name, told in found.items() if told.startswith("Not judged: ")}
    assert unknown == {"clicks.no_rejected_rows", "clicks.known_links"}
    assert "Not judged: ValueError in number" in found["clicks.no_rejected_rows"]
    assert found.keys() == CHECKS


@pytest.mark.parametrize("name", ["fresh", "known_links", "usual_volume"])
def test_a_check_can_be_executed_alone(name: str, loaded: Location) -> None:
    one = dg.AssetSelection.checks(dg.AssetCheckKey(CLICKS_KEY, name))
    alone = dg.Definitions(
        [links, clicks],
        asset_checks=CHECKS_OF_TABLES,
        jobs=[dg.define_asset_job("alone", one)],
        resources={"dlt": DagsterDltResource()},
    )
    job = alone.resolve_job_def("alone")
    if name == "fresh":  # which needs no warehouse
        spoil_the_file()
    found = evaluations(job.execute_in_process(instance=loaded.instance))
    assert found.keys() == {f"clicks.{name}"}


def test_what_may_be_the_api_s_doing_warns_and_the_rest_is_an_error(loaded: Location) -> None:
    severities = {name: e.severity for name, e in checked(loaded).items()}
    warnings = {name for name, s in severities.items() if s == dg.AssetCheckSeverity.WARN}
    warn_of = WARNINGS | {"known_links", "usual_volume"}
    assert warnings == {name for name in CHECKS if name.partition(".")[2] in warn_of}


def test_before_anything_is_loaded_every_check_says_what_to_materialize(
    location: Location, sandbox: Sandbox
) -> None:
    found = checked(location)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == CHECKS
    for name, evaluation in found.items():
        told = str(evaluation.description)
        assert "Materialize" in told, name
        assert "link_assets/" in told or "links was never loaded" in told, name
    assert "No domain is known" in str(found["clicks.fresh"].description)
    told = str(found["links.no_mass_disappearance"].description)
    assert told == "The links were never loaded. Materialize link_assets/links."
    assert sandbox.requests == []


def test_with_links_but_no_clicks_the_checks_of_clicks_name_what_is_missing(
    location: Location,
) -> None:
    assert location.links().success
    found = checked(location)
    passed = {name for name, evaluation in found.items() if evaluation.passed}
    assert passed == {name for name in CHECKS if name.startswith("links.")}
    told = {name: str(found[name].description) for name in CHECKS - passed}
    never = "1 was never loaded; 2 was never loaded; 3 was never loaded"
    assert f"Not fresh: {never}." in told["clicks.fresh"]
    assert "The clicks were never loaded" in told["clicks.no_rejected_rows"]
    for name in ("required_columns", "unique_keys", "no_unknown_columns", "known_links"):
        assert "The table clicks" in told[f"clicks.{name}"]
    assert "The table clicks" in told["clicks.usual_volume"]


def load(hours: float) -> LastLoad:
    """A load so many hours ago."""
    return LastLoad(at=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("expected", "loads", "problem"),
    [
        (["1"], {"1": load(0)}, ""),
        (["1"], {"1": load(25)}, ""),
        (["1"], {"1": load(-1)}, ""),
        (["1", "2"], {"1": load(26), "2": load(1)}, "Not fresh: 1 is late by 1.0 hours."),
        (["1"], {"1": load(25.5)}, "Not fresh: 1 is late by 30 minutes."),
        (["1"], {"1": load(97.25)}, "Not fresh: 1 is late by 72.2 hours."),
        (["1", "2"], {"1": load(1)}, "Not fresh: 2 was never loaded."),
        (
            ["1", "2", "3"],
            {"2": load(30), "3": load(2)},
            "Not fresh: 2 is late by 5.0 hours; 1 was never loaded.",
        ),
        ([], {}, "No domain is known."),
    ],
)
def test_lateness_names_what_is_late_by_how_much_and_what_never_came(
    expected: list[str], loads: dict[str, LastLoad], problem: str
) -> None:
    finding = lateness(LastLoads("clicks", expected, loads, 25), NOW)
    assert finding.problem == problem
    assert bool(finding.remedy) == bool(problem)


def test_lateness_is_given_as_numbers_too() -> None:
    last = LastLoads("clicks", ["1", "2", "3"], {"1": load(26.5), "3": load(1)}, 25)
    finding = lateness(last, NOW)
    assert finding.metadata == {
        "judged": 3,
        "late": 1,
        "never_loaded": 1,
        "window_hours": 25,
        "late_by_hours": {"1": 1.5},
        "oldest_load_age_hours": 26.5,
    }
    assert finding.domains == ["1", "2"]


def test_one_stale_or_missing_domain_fails_freshness_while_the_others_are_fresh(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=35, minutes=3)
    loaded.instance.add_dynamic_partitions(PARTITIONS_NAME, ["4", "5"])
    materialized_at(loaded.instance, long_ago, asset_key=CLICKS_KEY, partition="5")
    late = "Not fresh: 5 is late by 10.1 hours; 4 was never loaded. "
    assert troubles(checked(loaded)) == {"clicks.fresh": late}
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1,2,3,5")
    patient = replace(configuration.SETTINGS, clicks_fresh_hours=36)
    monkeypatch.setattr(configuration, "SETTINGS", patient)
    assert troubles(checked(loaded)) == {}


def test_links_loaded_too_long_ago_are_late(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=35, minutes=3)
    materialized_at(loaded.instance, long_ago, asset_key=LINKS_KEY, metadata={"rejected_rows": 0})
    assert troubles(checked(loaded)) == {"links.fresh": "Not fresh: links is late by 10.1 hours. "}
    patient = replace(configuration.SETTINGS, links_fresh_hours=36)
    monkeypatch.setattr(configuration, "SETTINGS", patient)
    assert troubles(checked(loaded)) == {}


def test_an_allow_list_that_admits_no_domain_is_not_taken_for_fresh(
    loaded: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "99")
    fresh = checked(loaded)["clicks.fresh"]
    assert not fresh.passed
    assert "LINK_ASSETS__DOMAINS" in str(fresh.description)


def test_required_fields_the_api_omits_and_fields_it_adds_are_named(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.links
    for link in sandbox.links[:2]:
        del link["updatedAt"]
    del sandbox.links[1]["originalURL"]
    sandbox.links[2] |= {"skipQS": True, "Colour": "red"}
    assert loaded.links().success
    found = checked(loaded)
    assert troubles(found) == {
        "links.required_columns": "Columns that the API's guide calls required are empty: "
        "original_url (1 rows), updated_at (2 rows). ",
        "links.no_unknown_columns": "The API sends fields that its guide does not list: "
        "colour, skip_qs. They are loaded as they come; ",
    }
    empty = numbers(found, "links.required_columns")
    assert empty == {"judged": 12, "original_url": 1, "updated_at": 2}
    unknown = numbers(found, "links.no_unknown_columns")
    assert unknown.pop("judged") == len(LINKS.columns) + unknown["unknown"]
    assert unknown == {"unknown": 2, "unknown_columns": ["colour", "skip_qs"]}


@pytest.mark.parametrize(("table", "key"), [("links", "id"), ("clicks", "domain_id, dt, click_id")])
def test_a_row_written_past_the_loader_is_a_repeated_key(
    table: str, key: str, loaded: Location
) -> None:
    rows(f"INSERT INTO {{dataset}}.{table} SELECT * FROM {{dataset}}.{table} LIMIT 2")
    repeated = f"2 keys ({key}) stand in more than one row of {table}. "
    assert troubles(found := checked(loaded)) == {
        f"{table}.unique_keys": f"{repeated}Rows were written past the loader: "
    }
    assert numbers(found, f"{table}.unique_keys")["repeated_keys"] == 2


LONG_AGO = "1000000000.5"
"""A load's id, which is when it began."""


def spoil_what_was_there() -> None:
    """Leaves a click of domain 3 twice and all through unknown links, as if loaded long ago."""
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{LONG_AGO}', path = '/no', st = 301")
    rows("INSERT INTO {dataset}.clicks SELECT * FROM {dataset}.clicks WHERE domain_id = 3 LIMIT 1")


def test_a_run_that_loads_looks_at_what_it_loaded_alone(loaded: Location, sandbox: Sandbox) -> None:
    spoil_what_was_there()
    assert sandbox.clicks
    new = sandbox.clicks[1][0] | {"dt": "2026-03-02T00:00:00Z", "path": "/nowhere"}
    sandbox.clicks[1][:] = [new]
    found = evaluations(loaded.clicks("1"))
    assert troubles(found).keys() == {"clicks.known_links"}
    counted = numbers(found, "clicks.known_links")
    assert counted.pop("rows_loaded_since") <= datetime.now(UTC).timestamp()
    assert counted == {"redirects": 1, "without_link": 1}


def test_what_a_run_without_a_load_finds_stays_found_until_it_is_mended(loaded: Location) -> None:
    spoil_what_was_there()
    both = {"clicks.unique_keys", "clicks.known_links"}
    assert troubles(checked(loaded)).keys() == both
    assert troubles(evaluations(loaded.clicks("1"))).keys() == both
    rows("DELETE FROM {dataset}.clicks")
    assert loaded.clicks("1", "3", full_refresh=True).success
    assert troubles(checked(loaded)) == {}


def test_a_run_looks_at_what_came_since_the_last_look_too(loaded: Location) -> None:
    rows("INSERT INTO {dataset}.clicks SELECT * FROM {dataset}.clicks WHERE domain_id = 3 LIMIT 1")
    assert troubles(evaluations(loaded.clicks("1"))).keys() == {"clicks.unique_keys"}


@pytest.mark.parametrize(("since", "problems"), [(None, 3), (1_999_999_999, 2), (2_000_000_001, 0)])
def test_a_key_is_repeated_if_one_of_its_rows_is_new(
    since: int | None, problems: int, loaded: Location
) -> None:
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{LONG_AGO}'")
    for domain, load in ((1, LONG_AGO), (2, "2000000000.5"), (3, "2000000000.7")):
        rows(
            f"INSERT INTO {{dataset}}.clicks SELECT * REPLACE ('{load}' AS _dlt_load_id)"
            f" FROM {{dataset}}.clicks WHERE domain_id = {domain} LIMIT 1"
        )
    with reading() as reader:
        found = repeated_keys(reader, Rows(CLICKS, since))
    assert found.metadata.get("repeated_keys", 0) == problems


def test_rejected_rows_fail_by_domain_until_a_later_load_is_clean(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.clicks
    good = list(sandbox.clicks[2])
    sandbox.clicks[2][:0] = [{"path": "/no-time"}, {"dt": "never"}]
    sandbox.clicks[3][:0] = [{"dt": "2026-03-01T00:00:00Z", "st": "odd"}]
    assert loaded.clicks("2", "3").success
    told = "3 rows could not be read in the last load (2: 2, 3: 1). "
    whole = "They are kept whole, with the reason: "
    assert troubles(checked(loaded)) == {"clicks.no_rejected_rows": told + whole}
    sandbox.clicks[2][:] = good
    assert loaded.clicks("2").success
    told = "1 rows could not be read in the last load (3: 1). "
    assert troubles(checked(loaded)) == {"clicks.no_rejected_rows": told + whole}


def test_a_rejected_link_fails_its_check_and_can_be_found_as_it_says(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.links
    sandbox.links.append({"path": "no-id"})
    assert loaded.links().success
    told = checked(loaded)["links.no_rejected_rows"]
    assert not told.passed
    query = str(told.description).partition("the reason: ")[2].rstrip(".")
    found = rows(query.replace("link_assets.", "{dataset}."))
    assert [(domain, payload) for domain, _, payload in found] == [(None, '{"path":"no-id"}')]


def rejecting(rows: int) -> LastLoad:
    """A load that rejected so many rows."""
    return LastLoad(NOW, {"rejected_rows": rows})


@pytest.mark.parametrize(
    ("loads", "problem"),
    [
        ({"1": rejecting(0), "2": LastLoad(NOW)}, ""),
        (
            {"1": rejecting(4), "2": rejecting(0), "3": rejecting(1)},
            "5 rows could not be read in the last load (1: 4, 3: 1).",
        ),
        ({}, "The clicks were never loaded."),
    ],
)
def test_rejections_are_counted_by_domain(loads: dict[str, LastLoad], problem: str) -> None:
    assert rejections(LastLoads("clicks", [*loads], loads, 25)).problem == problem


def test_redirects_through_links_that_are_not_there_are_counted(loaded: Location) -> None:
    redirects = rows("SELECT count(*) FROM {dataset}.clicks WHERE st = 302")[0][0]
    rows("UPDATE {dataset}.clicks SET path = '/gone' WHERE st = 302 AND domain_id = 2")
    moved = rows("SELECT count(*) FROM {dataset}.clicks WHERE path = '/gone'")[0][0]
    rows("UPDATE {dataset}.clicks SET path = upper(path) WHERE domain_id = 1")
    assert redirects > moved > 0
    unknown = f"{moved} of {redirects} redirects went through links that are not in the links table"
    told = f"{unknown}: /gone of domain 2. "
    assert troubles(found := checked(loaded)) == {"clicks.known_links": told}
    expected = {"redirects": redirects, "without_link": moved}
    assert numbers(found, "clicks.known_links") == expected


def test_a_link_of_another_domain_does_not_make_a_redirect_known(loaded: Location) -> None:
    rows("UPDATE {dataset}.links SET domain_id = 3 WHERE domain_id = 2")
    moved = rows("SELECT count(*) FROM {dataset}.clicks WHERE st = 302 AND domain_id = 2")[0][0]
    assert numbers(checked(loaded), "clicks.known_links")["without_link"] == moved > 0


UNUSUAL = "The last whole day brought far fewer clicks than usual: {}."


@pytest.mark.parametrize(
    ("daily", "problem"),
    [
        ({}, ""),
        ({"1": [100] * 15}, ""),
        ({"1": [29] + [100] * 14}, "domain 1 had 29 instead of about 100"),
        ({"1": [30] + [100] * 14}, ""),
        ({"1": [0] + [100] * 14}, "domain 1 had 0 instead of about 100"),
        ({"1": [0] + [20] * 14}, "domain 1 had 0 instead of about 20"),
        ({"1": [0] + [19] * 14}, ""),
        ({"1": [0] * 15}, ""),
        ({"1": [0] + [1000] * 6 + [0] * 8}, ""),
        ({"1": [0] + [1000] * 8 + [0] * 6}, "domain 1 had 0 instead of about 1000"),
        ({"1": [6] + [20] * 7 + [21] * 7}, "domain 1 had 6 instead of about 20.5"),
        ({"1": [1000] + [100] * 14}, ""),
        (
            {"1": [9] + [40] * 14, "2": [40] * 15, "3": [0] + [50] * 14},
            "domain 1 had 9 instead of about 40; domain 3 had 0 instead of about 50",
        ),
    ],
)
def test_a_day_is_unusual_below_the_share_of_the_median_of_a_busy_domain(
    daily: dict[str, list[int]], problem: str
) -> None:
    finding = volume(daily)
    assert finding.problem == (UNUSUAL.format(problem) if problem else "")
    assert bool(finding.remedy) == bool(problem)


@pytest.mark.parametrize(
    ("share", "yesterday", "low"),
    [(0, 0, False), (0.5, 50, False), (0.51, 50, True), (1, 99, True), (0.07, 7, False)],
)
def test_the_share_below_which_a_day_is_unusual_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, share: float, yesterday: int, low: bool
) -> None:
    monkeypatch.setattr(
        configuration, "SETTINGS", replace(configuration.SETTINGS, volume_share=share)
    )
    found = volume({"1": [yesterday] + [100] * 14})
    numbers = {"judged": 1, "not_judged": 0, "low": int(low), "lowest_share": yesterday / 100}
    told = {"low_domains": {"1": f"{yesterday} instead of about 100"}} if low else {}
    assert found.metadata == numbers | told


def clicks_on(day: datetime, *times: str) -> list[dict[str, Any]]:
    """Clicks at these times of a day in UTC, each at a path of its own."""
    date = day.date().isoformat()
    return [{"path": f"/{date}/{i}", "dt": f"{date}T{at}"} for i, at in enumerate(times)]


def clicks_by_day(now: datetime, yesterday: Sequence[str], usual: int) -> list[dict[str, Any]]:
    """`usual` clicks on each of 14 days, these times of yesterday, and many before and after."""
    days = [now - timedelta(days=back) for back in range(17)]
    busy, noon = ["00:00:00Z"] * 90, ["12:00:00Z"] * usual
    listed = clicks_on(days[0], *busy) + clicks_on(days[1], *yesterday)
    listed += [click for day in days[2:16] for click in clicks_on(day, *noon)]
    return listed + clicks_on(days[16], *busy)


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time that checks take for now from here on, so that no midnight comes in between."""
    stopped = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return stopped.astimezone(tz)

    monkeypatch.setattr(last_loads, "datetime", Clock)
    return stopped


def test_domains_with_far_fewer_clicks_yesterday_are_told_with_both_numbers(
    location: Location, sandbox: Sandbox, stopped_clock: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = ["00:00:00Z", "23:59:59.999Z", "02:00:00+01:00", "21:00:00-02:00"]
    at_threshold = ["12:00:00Z"] * 9
    days = {1: (edges, 30), 2: (at_threshold, 30), 3: (at_threshold[1:], 30), 4: ([], 40)}
    days |= {5: ([], 19)}
    now = stopped_clock
    sandbox.clicks = {domain: clicks_by_day(now, *day) for domain, day in days.items()}
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, [str(domain) for domain in days])
    assert location.clicks("1", "5").success
    expected = {
        "1": "4 instead of about 30",
        "3": "8 instead of about 30",
        "4": "0 instead of about 40",
    }
    found = checked(location)
    assert not found["clicks.usual_volume"].passed
    low = numbers(found, "clicks.usual_volume")
    assert low.pop("low_domains") == expected
    assert low == {
        "judged": 4,
        "not_judged": 1,
        "low": 3,
        "lowest_share": 0,
        "problem_domains": "1, 3, 4",
    }
    listed = "; ".join(f"domain {domain} had {told}" for domain, told in expected.items())
    told = str(found["clicks.usual_volume"].description)
    assert told.startswith(f"{UNUSUAL.format(listed)} {REMEDIES['usual_volume']}")
    monkeypatch.setattr(configuration, "SETTINGS", replace(configuration.SETTINGS, volume_share=0))
    assert checked(location)["clicks.usual_volume"].passed


def test_a_load_that_resumed_is_not_judged_by_its_volume(
    location: Location, sandbox: Sandbox, stopped_clock: datetime
) -> None:
    sandbox.clicks = {1: clicks_by_day(stopped_clock, [], 40)}
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, ["1"])
    assert location.clicks("1").success
    assert not checked(location)["clicks.usual_volume"].passed
    resumed = dg.AssetMaterialization(
        CLICKS_KEY, partition="1", metadata={"rejected_rows": 0, "resumed_from_page": 2}
    )
    location.instance.report_runless_asset_event(resumed)
    assert checked(location)["clicks.usual_volume"].passed


@pytest.mark.long
def test_where_no_click_is_of_late_no_volume_is_judged(loaded: Location) -> None:
    assert rows("SELECT count(*) > 0 FROM {dataset}.clicks") == [(True,)]
    found = checked(loaded)
    told = "No domain could be judged; 3 with too few clicks to judge (under 20 a day)."
    assert found["clicks.usual_volume"].description == f"{told} Looked at all 3 domains."
    assert numbers(found, "clicks.usual_volume") == {"judged": 0, "not_judged": 3, "low": 0}


@pytest.mark.parametrize(
    ("missing", "marked", "unnamed", "problem", "remedy"),
    [
        (0, 0, 0, "", ""),
        (0, 0, 2, "", ""),
        (3, 3, 0, "", ""),
        (6, 0, 0, "they are more than the share 0.5 of them", "LINK_ASSETS__DISAPPEARED_SHARE"),
        (1, 0, 2, "2 rejected links have no id to tell them by", "link_assets.rejected_rows"),
    ],
)
def test_missing_links_that_were_not_marked_are_a_problem_with_its_own_remedy(
    missing: int, marked: int, unnamed: int, problem: str, remedy: str
) -> None:
    numbers = {"links_missing": missing, "links_before": 9, "links_without_id": unnamed}
    listing = LastLoad(NOW, {**numbers, "marked_deleted": marked})
    finding = disappearance(LastLoads("links", ["links"], {"links": listing}, 25))
    assert finding.metadata == numbers
    told = f"{missing} of 9 links were missing from the last listing, and none was marked"
    assert finding.problem.startswith(told if problem else "")
    assert problem in finding.problem
    assert remedy in finding.remedy
    assert bool(finding.problem) == bool(problem)
