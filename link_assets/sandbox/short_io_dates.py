"""How Short.io reads dates, zones and periods, with the traps that callers fell into."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from link_assets.sandbox.short_io_errors import invalid
from link_assets.sandbox.short_io_switches import ShortIoSwitches
from link_assets.sandbox.world import milliseconds

EVER = 2**62
"""Later than every click, in milliseconds."""
_BARE_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PERIODS: dict[str, Callable[[date], tuple[date, date]]] = {
    "today": lambda today: (today, _after(today, 1)),
    "yesterday": lambda today: (_after(today, -1), today),
    "week": lambda today: (_after(today, -today.weekday()), _after(today, 1)),
    "month": lambda today: (today.replace(day=1), _after(today, 1)),
    "lastmonth": lambda today: (
        _after(today.replace(day=1), -1).replace(day=1),
        today.replace(day=1),
    ),
    "last7": lambda today: (_after(today, -7), _after(today, 1)),
    "last30": lambda today: (_after(today, -30), _after(today, 1)),
}
"""The days of each period: from the first on, until before the second."""


def _after(day: date, days: int) -> date:
    return day + timedelta(days=days)


@dataclass(frozen=True)
class Dates:
    """The dates of a request: `body` is where it says them, and `zone` what it reads them in."""

    body: Mapping[str, Any]
    zone: tzinfo
    part: str = "body"

    @staticmethod
    def of(body: Mapping[str, Any], part: str = "body") -> Dates:
        """Return the dates of a request; refuse a zone that does not exist."""
        name = body.get("tz", "UTC")
        if name == "UTC":
            return Dates(body, UTC, part)
        try:
            return Dates(body, ZoneInfo(name), part)
        except (ValueError, TypeError, OSError, LookupError):
            raise invalid(f"{part}/tz must be a time zone") from None

    def ms(self, name: str) -> int | None:
        """Return a date in milliseconds since 1970, None if it is not given.

        A bare date is the start of its day. In a zone other than UTC the digits count and their
        offset is ignored.
        """
        text = self.body.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except (ValueError, TypeError):
            raise self._not_a_date(name) from None
        if moment.tzinfo is None and not _BARE_DATE.fullmatch(text):
            raise self._not_a_date(name)
        if moment.tzinfo is None or self.zone is not UTC:
            moment = moment.replace(tzinfo=self.zone)
        return milliseconds(moment)

    def period(self, switches: ShortIoSwitches) -> range:
        """Return the milliseconds of the period: the last 30 days if none is given."""
        period = self.body.get("period", "last30")
        if period == "total":
            return range(
                0 if switches.total_is_empty else -EVER, 0 if switches.total_is_empty else EVER
            )
        if period == "custom":
            start, end = self.ms("startDate"), self.ms("endDate")
            stop = EVER if end is None else end + switches.end_inclusive
            return range(-EVER if start is None else start, stop)
        if period not in _PERIODS:
            allowed = ", ".join([*_PERIODS, "total", "custom"])
            raise invalid(
                f"{self.part}/period must be equal to one of the allowed values: {allowed}"
            )
        first, stop = _PERIODS[period](switches.clock().astimezone(self.zone).date())
        return range(self.midnight(first), self.midnight(stop))

    def window(self, switches: ShortIoSwitches) -> range:
        """Return the milliseconds of the period that beforeDate and afterDate leave."""
        period = self.period(switches)
        after, before = self.ms("afterDate"), self.ms("beforeDate")
        if self.body.get("period") == "total":
            return period
        start, stop = period.start, period.stop
        if after is not None:
            start = max(start, after + (not switches.after_inclusive))
        if before is not None:
            stop = min(stop, before + switches.before_inclusive)
        return range(start, max(start, stop))

    def midnight(self, day: date) -> int:
        """Return the start of a day in milliseconds since 1970."""
        return milliseconds(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def day(self, ms: int) -> date:
        """Return the day of a time."""
        return datetime.fromtimestamp(ms / 1000, self.zone).date()

    def _not_a_date(self, name: str) -> Exception:
        return invalid(f'{self.part}/{name} must match format "date-time"')


def written(ms: int, zone: tzinfo) -> str:
    """Return a time as rows say it: with `Z` in UTC, with the zone's offset elsewhere."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
    return moment.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")
