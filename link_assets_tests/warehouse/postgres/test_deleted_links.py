"""Links in PostgreSQL that are gone from a listing."""

from __future__ import annotations

import pytest

from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres
from link_assets_tests.warehouse.test_deleted_links import (
    test_a_link_that_another_run_lists_meanwhile_is_not_marked as test_a_link_is_listed_meanwhile,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_a_link_that_comes_back_loses_its_mark_and_can_be_marked_again as test_a_link_comes_back,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_a_link_that_is_gone_is_marked_once_and_keeps_its_tags as test_a_link_is_gone,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_links_are_marked_only_up_to_the_allowed_share as test_only_a_share_is_marked,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_links_that_a_killed_run_left_unmarked_are_marked_by_the_next as test_a_mark_is_made_later,
)

__all__ = [
    "test_a_link_comes_back",
    "test_a_link_is_gone",
    "test_a_link_is_listed_meanwhile",
    "test_a_mark_is_made_later",
    "test_only_a_share_is_marked",
]
pytestmark = [needs_postgres, pytest.mark.long]
