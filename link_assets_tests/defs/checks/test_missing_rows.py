"""The check `no_mass_disappearance`: missing links that were not marked as deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from link_assets.defs.checks.last_loads import LastLoad, LastLoads
from link_assets.defs.checks.missing_rows import disappearance

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


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
def test_missing_links_that_were_not_marked_as_deleted_are_a_problem_with_a_remedy(
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
