"""Arithmetic on times at the ends of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from link_assets.clamped_times import FIRST, LAST, earlier, from_timestamp

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("time", "by", "expected"),
    [
        (datetime(2026, 3, 2, tzinfo=UTC), DAY, datetime(2026, 3, 1, tzinfo=UTC)),
        (FIRST + DAY, DAY, FIRST),
        (FIRST + DAY, DAY + MICROSECOND, FIRST),
        (FIRST, timedelta(), FIRST),
        (FIRST, timedelta.max, FIRST),
        (LAST, -MICROSECOND, LAST),
        (LAST, timedelta.min, LAST),
        (LAST - DAY, -DAY, LAST),
        (LAST, LAST - FIRST, FIRST),
    ],
)
def test_a_time_beyond_the_calendar_is_its_first_or_last(
    time: datetime, by: timedelta, expected: datetime
) -> None:
    assert earlier(time, by) == expected


@pytest.mark.parametrize("time", [FIRST, FIRST + DAY, LAST - DAY, LAST - MICROSECOND, LAST])
def test_a_timestamp_near_the_ends_is_read_back(time: datetime) -> None:
    assert abs(from_timestamp(time.timestamp()) - time) < timedelta(milliseconds=1)
