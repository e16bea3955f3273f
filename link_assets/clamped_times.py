"""Arithmetic on times that may be anywhere in the calendar, as those of clicks are.

Python's own ends with an OverflowError or a ValueError beyond the years 1 and 9999; here what lies
beyond is the first or the last moment of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def earlier(time: datetime, by: timedelta) -> datetime:
    """Return the time that is so much before another; both are UTC."""
    try:
        return time - by
    except OverflowError:
        return FIRST if by > timedelta() else LAST


def from_timestamp(seconds: float) -> datetime:
    """Return the time (UTC) of a number of seconds since 1970.

    A float of the last second of the year 9999 may round up to the year 10000.
    """
    return earlier(datetime.fromtimestamp(0, UTC), timedelta(seconds=-seconds))
