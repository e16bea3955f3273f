"""Times as they are kept with a position and sent to APIs: UTC, ISO 8601 text with microseconds.

`resume` and the dialects use it; times of rows are the business of `link_assets.rows`.
"""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(time: datetime) -> str:
    """Return the time as text, such as 2026-02-01T12:00:00.000000+00:00."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str | None) -> datetime | None:
    """Return the time that `utc_text` wrote; None for None."""
    return datetime.fromisoformat(text) if text else None


def earliest(*times: datetime | None) -> datetime | None:
    """Return the earliest of the times that are there."""
    return min((t for t in times if t), default=None)


def latest(*times: datetime | None) -> datetime | None:
    """Return the latest of the times that are there."""
    return max((t for t in times if t), default=None)
