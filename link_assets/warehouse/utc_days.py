"""The day (UTC) of a click in SQL that every warehouse runs, whatever the session's time zone."""

from __future__ import annotations

from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
# by seconds: a cast to a date would take the session's time zone
DAY = "CAST(floor(extract(epoch FROM dt) / 86400) AS BIGINT)"
"""The SQL of the day of `dt`, as the number of days since EPOCH."""
DATE = "CAST(dt AT TIME ZONE 'UTC' AS DATE)"
"""The SQL of the same day as a date."""


def midnight(day: date) -> str:
    """Return the SQL of the moment at which a day (UTC) begins."""
    return f"'{day.isoformat()} 00:00:00+00'"


def up_to(day: date, time: str = "dt") -> str:
    """Return the SQL that a time is not after a day (UTC).

    Clicks that are not `up_to` today are of the future: what is said of the newest clicks leaves
    them out and counts them apart, since one wrong date would hide all others.
    """
    return f"{time} < {midnight(day + timedelta(days=1))}" if day < date.max else "TRUE"


def date_of(day: int) -> date:
    """Return the date of a number of days since EPOCH; one beyond the calendar is its last."""
    # the last microsecond of the year 9999 rounds up to the day after
    return EPOCH + timedelta(days=min(day, (date.max - EPOCH).days))
