"""The check `totals_agree`: daily clicks against the clicks, of one moment."""

from __future__ import annotations

import time

import pytest

from link_assets.defs.checks import totals
from link_assets.defs.translator import DAILY_CLICKS_KEY
from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import checked, numbers, troubles
from link_assets_tests.support import Location, rows

NAME = "daily_clicks.totals_agree"


def test_domains_that_differ_are_named_with_their_hosts_and_both_numbers(
    loaded: Location,
) -> None:
    rows("UPDATE {dataset}.daily_clicks SET clicks = 0 WHERE domain_id = 2")
    rows("DELETE FROM {dataset}.daily_clicks WHERE domain_id = 3")
    found = checked(loaded)
    said = "domain {0} (go{0}.example.com) have 0 clicks, clicks has 20"
    by_domain = "; ".join(f"the days of {said.format(domain)}" for domain in (2, 3))
    assert troubles(found) == {NAME: f"Daily clicks do not add up: {by_domain}. "}
    assert numbers(found, NAME) == {
        "judged": 3,
        "not_judged": 0,
        "differing": 2,
        "clicks": 60,
        "differences": {"2": "0 instead of 20", "3": "0 instead of 20"},
        "problem_domains": "2, 3",
    }


@pytest.mark.long
def test_the_remedy_that_it_names_makes_it_pass(loaded: Location) -> None:
    rows("UPDATE {dataset}.daily_clicks SET clicks = 0 WHERE domain_id = 2")
    assert not checked(loaded)[NAME].passed
    assert loaded.clicks_and_days("1", "3").success
    assert checked(loaded)[NAME].passed


def test_a_row_that_stands_twice_fails_this_check_and_that_of_keys(loaded: Location) -> None:
    rows("INSERT INTO {dataset}.daily_clicks SELECT * FROM {dataset}.daily_clicks")
    assert troubles(checked(loaded)).keys() == {NAME, "daily_clicks.unique_keys"}


def test_a_domain_that_is_being_loaded_is_not_judged(loaded: Location) -> None:
    rows("DELETE FROM {dataset}.daily_clicks WHERE domain_id < 3")
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{time.time()}' WHERE domain_id = 1")
    found = checked(loaded)
    assert troubles(found)[NAME].startswith("Daily clicks do not add up: the days of domain 2")
    assert "domain 1" not in troubles(found)[NAME]
    counted = {name: numbers(found, NAME)[name] for name in ("judged", "not_judged", "differing")}
    assert counted == {"judged": 2, "not_judged": 1, "differing": 1}
    told = str(found[NAME].description)
    assert told.endswith("2 domains judged; 1 loaded since their days were computed.")


@pytest.mark.long
def test_a_load_that_began_before_the_days_were_computed_and_ended_after_is_still_to_come(
    loaded: Location, sandbox: Sandbox
) -> None:
    began = time.time()
    computed = loaded.run("clicks_job", partition_key="1", asset_selection=[DAILY_CLICKS_KEY])
    assert computed.success
    rows("DELETE FROM {dataset}.daily_clicks WHERE domain_id = 1")
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{began}' WHERE domain_id = 1")
    found = checked(loaded)
    assert troubles(found) == {}
    assert str(found[NAME].description).endswith("1 loaded since their days were computed.")


@pytest.mark.long
def test_days_of_a_run_judge_its_own_domains(loaded: Location, sandbox: Sandbox) -> None:
    rows("DELETE FROM {dataset}.daily_clicks WHERE domain_id = 3")
    result = loaded.clicks_and_days("1")
    (found,) = [
        e for e in result.get_asset_check_evaluations() if e.check_name == totals.TOTALS_AGREE.name
    ]
    assert (found.passed, found.description) == (True, "1 domain judged.")


def test_a_domain_whose_days_were_never_computed_is_counted_as_not_judged(
    loaded: Location,
) -> None:
    loaded.instance.add_dynamic_partitions("domain", ["9"])
    found = checked(loaded)[NAME]
    assert (found.passed, found.description) == (True, "3 domains judged; 1 never computed.")
