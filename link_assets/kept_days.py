"""Which days of clicks are kept, where the setting `keep_clicks_days` says that not all are.

    deleted          neither loaded nor deleted      loaded
    ... ────────────┼──────────── a day ────────────┼───────────── today
        first_day_kept                    first_day_loaded

A day is deleted once no read that began within a day brings clicks of it, so that the first chunk
of a read is there before. Of a domain that is being read over several loads nothing is deleted.
"""

from __future__ import annotations

from datetime import date, timedelta


def first_day_loaded(days: int, today: date) -> date | None:
    """Return the first day (UTC) of which clicks are loaded; None for `days` of 0: any day."""
    return today - timedelta(days=days) if days else None


def first_day_kept(days: int, today: date) -> date | None:
    """Return the first day (UTC) whose clicks are not deleted; None for `days` of 0: any day."""
    loaded = first_day_loaded(days, today)
    return loaded - timedelta(days=1) if loaded else None
