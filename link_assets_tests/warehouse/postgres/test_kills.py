"""Loads into PostgreSQL that are killed."""

from __future__ import annotations

import pytest

from link_assets_tests.scenarios.test_kills import sandbox as sandbox
from link_assets_tests.scenarios.test_kills import (
    test_a_killed_dagster_run_is_resumed_where_its_last_chunk_ended as test_a_killed_dagster_run,
)
from link_assets_tests.scenarios.test_kills import (
    test_a_load_that_is_killed_in_any_phase_is_completed_by_the_next as test_a_killed_load,
)
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

__all__ = ["sandbox", "test_a_killed_dagster_run", "test_a_killed_load"]
pytestmark = [needs_postgres, pytest.mark.long]
