"""Machines that load into one lake at once: processes that share no lock file."""

from __future__ import annotations

from pathlib import Path

import pytest

from link_assets_tests.scenarios.test_machines import (
    DOMAINS,
    LINKS,
    WORLD,
    on_machines_of_their_own,
)
from link_assets_tests.scenarios.test_machines import sandbox as sandbox
from link_assets_tests.scenarios.test_machines import (
    test_a_computation_waits_only_so_long_for_another_machine as test_a_computation_waits,
)
from link_assets_tests.scenarios.test_machines import (
    test_machines_that_compute_the_same_days_add_no_row_twice as test_machines_compute_days,
)
from link_assets_tests.scenarios.test_machines import (
    test_machines_that_load_the_same_add_no_row_twice as test_machines_load_the_same,
)
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_world, loaded_clicks
from link_assets_tests.warehouse.ducklake.lake import needs_ducklake

__all__ = [
    "sandbox",
    "test_a_computation_waits",
    "test_machines_compute_days",
    "test_machines_load_the_same",
]
pytestmark = needs_ducklake


@pytest.mark.usefixtures("api")
def test_eight_machines_fill_an_empty_lake_together(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machines_of_their_own([LINKS, LINKS, *DOMAINS], workdir / "first", monkeypatch)
    assert loaded_clicks() == expected_world(WORLD, *DOMAINS)
    assert rows("SELECT count(*), count(DISTINCT id) FROM {dataset}.links") == [(12, 12)]
