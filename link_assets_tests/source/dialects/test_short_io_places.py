"""Where a page of Short.io's clicks begins."""

from __future__ import annotations

import pytest

from link_assets.source.dialects.short_io_places import FIRST, LAST, Place, time_text


@pytest.mark.parametrize("oldest", [FIRST, LAST])
@pytest.mark.parametrize("beyond", [0, 1, 2])
def test_at_the_ends_of_the_calendar_a_page_can_still_be_asked_for(
    oldest: int, beyond: int
) -> None:
    before = Place(oldest, 30, beyond=beyond).before
    assert abs(before - oldest) <= 1
    assert time_text(before).endswith("Z")
