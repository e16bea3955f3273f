"""Clicks at the ends of the calendar, as services send them for a time that they do not know."""

from __future__ import annotations

from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets_tests.defs.loads import said
from link_assets_tests.support import Location, rows

FIRST = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000001Z", "0001-01-05T00:00:00Z"]
LAST = ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999999Z", "9999-12-30T00:00:00Z"]
NOW_AND_THEN = "2026-02-01T12:00:00Z"


def click(time: str) -> dict[str, Any]:
    return {"dt": time, "path": "/a", "st": 302, "human": True}


@pytest.mark.long
@pytest.mark.parametrize(
    "times",
    [
        [*FIRST, *LAST, NOW_AND_THEN],
        pytest.param(FIRST, marks=pytest.mark.long),
        pytest.param(FIRST[:1], marks=pytest.mark.long),
        pytest.param(LAST, marks=pytest.mark.long),
        pytest.param(LAST[1:2], marks=pytest.mark.long),
    ],
    ids=["both", "first", "one_first", "last", "one_last"],
)
def test_a_domain_of_such_clicks_loads_again_and_again(
    location: Location, sandbox: Sandbox, times: list[str]
) -> None:
    sandbox.clicks = {1: [click(time) for time in times], 2: [click(NOW_AND_THEN)], 3: []}
    assert location.links().success
    for _ in range(2):
        result = location.clicks_and_days("1", "3")
        assert result.success
        told = said(location, result)
        assert "could not be" not in told
        assert "Not judged" not in told
    assert rows("SELECT count(*) FROM {dataset}.clicks WHERE domain_id = 1") == [(len(times),)]
    assert rows("SELECT sum(clicks) FROM {dataset}.daily_clicks WHERE domain_id = 1") == [
        (len(times),)
    ]
