"""What loading a table, or one domain of it, came to, as a materialization shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from link_assets.source.load_stats import LoadStats
from link_assets.source.resume import OldClicks
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.pipeline import WriteSeconds
from link_assets.warehouse.row_counts import Growth


@dataclass(frozen=True)
class LoadResult:
    """What a load came to.

    `seconds` is how long it took and `began` when it began (UTC), `chunks` in how many loads it was
    written, None for a table that is not loaded in chunks. `growth` is what it added, None if that
    was not counted, and `host` the domain's, None if it is not known. `old` are the clicks that a
    read of all pages compares with. `charts` are metadata of its latest clicks. `written` is how
    long writing took, None if that was not measured.
    """

    stats: LoadStats
    seconds: float
    chunks: int | None = None
    growth: Growth | None = None
    host: str | None = None
    began: datetime | None = None
    old: OldClicks | None = None
    charts: Mapping[str, Any] = field(default_factory=dict)
    written: WriteSeconds | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the materialization's metadata, without what nothing is known of.

        `rows_loaded` are the rows that the API delivered and that could be read, but for
        `rows_too_old`, which are not kept.
        """
        stats = self.stats
        shown = {
            "host": self.host,
            "rows_loaded": stats.accepted,
            "rows_too_old": stats.too_old or None,
            "rejected_rows": stats.rejected_before + stats.rejected,
            "pages": stats.pages,
            "chunks": self.chunks,
            "began": timestamp(self.began),
            "seconds": round(self.seconds, 2),
            **self._seconds_and_requests,
            "resumed_from_page": stats.resumed_from,
            "first_click": timestamp(stats.first_click),
            "last_click": timestamp(stats.last_click),
            "dagster/uri": configured_warehouse().uri or None,
        }
        known = {name: value for name, value in shown.items() if value is not None}
        return {**known, **self.growth_metadata, **self.charts}

    @property
    def _seconds_and_requests(self) -> dict[str, Any]:
        """Return what took the load's time, where that was counted; its parts may overlap."""
        stats, written = self.stats, self.written
        fetched = {
            "requests": stats.requests,
            "retries": stats.retries,
            "seconds_fetching": round(stats.seconds_fetching, 2),
        }
        wrote = written and {
            "seconds_waiting": round(written.waiting, 2),
            "seconds_writing": round(written.writing, 2),
        }
        return {**(fetched if stats.requests else {}), **(wrote or {})}

    @property
    def growth_metadata(self) -> dict[str, Any]:
        """Return what of the metadata is known only when the run's rows are counted.

        `clicks_missed` are those that a full read found and runs before it should have.
        """
        if self.growth is None:
            return {}
        audit = {"full_read": True, "clicks_missed": self.growth.missed}
        after = self.growth.after
        return {
            **self.growth.metadata,
            **newest_click_metadata(after.newest, after.future, self.growth.counted_at),
            **(audit if self.stats.is_audit else {}),
        }


def newest_click_metadata(newest: datetime | None, future: int, now: datetime) -> dict[str, Any]:
    """Return what a materialization shows of the newest click, without what there is nothing of.

    Args:
        newest: The time of the newest click that is not of the future.
        future: How many clicks are.
        now: The time at which both were counted.
    """
    shown: dict[str, Any] = {"clicks_of_the_future": future} if future else {}
    if newest is None:
        return shown
    # one that is later today is not of the future
    age = max(now - newest, timedelta()).total_seconds() / 3600
    return {"newest_click": timestamp(newest), "newest_click_age_hours": round(age, 2), **shown}


def timestamp(time: datetime | None) -> dg.MetadataValue | None:
    """Return a time as metadata; None for None."""
    return dg.MetadataValue.timestamp(time) if time else None
