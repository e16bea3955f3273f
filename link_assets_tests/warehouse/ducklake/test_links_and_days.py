"""What is computed and marked in a lake: links that are gone, days, and the report's figures."""

from __future__ import annotations

from link_assets_tests.warehouse.ducklake.lake import needs_ducklake
from link_assets_tests.warehouse.test_daily_clicks import (
    test_clicks_of_days_that_are_not_kept_are_deleted_and_their_days_stay as test_old_clicks_go,
)
from link_assets_tests.warehouse.test_daily_clicks import (
    test_rows_that_were_changed_or_deleted_by_hand_are_put_right as test_days_are_put_right,
)
from link_assets_tests.warehouse.test_daily_clicks import (
    test_the_table_holds_what_the_clicks_of_each_day_and_link_come_to as test_days_are_computed,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_a_link_that_comes_back_loses_its_mark_and_can_be_marked_again as test_a_link_comes_back,
)
from link_assets_tests.warehouse.test_deleted_links import (
    test_a_link_that_is_gone_is_marked_once_and_keeps_its_tags as test_a_link_is_gone,
)
from link_assets_tests.warehouse.test_report_figures import (
    test_every_figure_is_that_of_the_clicks_that_the_api_serves as test_figures_are_true,
)
from link_assets_tests.warehouse.test_report_figures import (
    test_links_are_counted_by_the_documented_join as test_links_are_counted,
)

__all__ = [
    "test_a_link_comes_back",
    "test_a_link_is_gone",
    "test_days_are_computed",
    "test_days_are_put_right",
    "test_figures_are_true",
    "test_links_are_counted",
    "test_old_clicks_go",
]
pytestmark = needs_ducklake
