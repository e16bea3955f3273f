"""Which rows a run looks at: what it loaded, or all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
    LONG_AGO,
    by_the_guide,
    checked,
    evaluations,
    numbers,
    troubles,
)
from link_assets_tests.support import Location, rows


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


def spoil_what_was_there() -> None:
    """Leaves a click of domain 3 twice and all through unknown links, as if loaded long ago."""
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{LONG_AGO}', path = '/no', st = 301")
    rows("INSERT INTO {dataset}.clicks SELECT * FROM {dataset}.clicks WHERE domain_id = 3 LIMIT 1")


@pytest.mark.long
def test_a_run_that_loads_looks_only_at_what_it_loaded(loaded: Location, sandbox: Sandbox) -> None:
    spoil_what_was_there()
    assert sandbox.clicks
    new = sandbox.clicks[1][0] | {"dt": "2026-03-02T00:00:00Z", "path": "/nowhere"}
    sandbox.clicks[1][:] = [new]
    found = evaluations(loaded.clicks("1"))
    assert troubles(found).keys() == {"clicks.known_links"}
    counted = numbers(found, "clicks.known_links")
    assert counted.pop("rows_loaded_since") <= datetime.now(UTC).timestamp()
    assert counted == {"redirects": 1, "without_link": 1}


@pytest.mark.long
def test_what_a_look_at_all_rows_finds_is_found_until_it_is_mended(
    loaded: Location,
) -> None:
    spoil_what_was_there()
    both, of_days = {"clicks.unique_keys", "clicks.known_links"}, {"daily_clicks.totals_agree"}
    assert troubles(checked(loaded)).keys() - of_days == both
    assert troubles(evaluations(loaded.clicks("1"))).keys() - of_days == both
    rows("DELETE FROM {dataset}.clicks")
    assert loaded.clicks("1", "3", full_refresh=True).success
    assert troubles(checked(loaded)) == {}


@pytest.mark.long
def test_a_run_also_looks_at_rows_loaded_since_the_last_evaluation(loaded: Location) -> None:
    rows("INSERT INTO {dataset}.clicks SELECT * FROM {dataset}.clicks WHERE domain_id = 3 LIMIT 1")
    assert troubles(evaluations(loaded.clicks("1"))).keys() == {"clicks.unique_keys"}
