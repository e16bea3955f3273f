"""Short.io's API: everything that is particular to it, and nothing else.

Domains, links and folders come from api.short.io by GET, clicks from statistics.short.io by POST.
No part of this was tried with a key: the vendor's specification and clients say most of it, other
programs' records the rest. Where they leave something open, this works either way. How clicks are
paged is in `short_io_places`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from link_assets.contract import CLICK_FACTS, CLICKS, LINKS
from link_assets.rows.convert import UnreadableValue, convert_value
from link_assets.rows.raw_json import DamagedRow, RawRow
from link_assets.source.dialects.base import (
    DOMAIN,
    DailyCounts,
    Dialect,
    Endpoint,
    Page,
    PagingError,
    Position,
)
from link_assets.source.dialects.short_io_places import (
    CLICKS_OF_A_PAGE,
    EPOCH,
    MILLISECOND,
    SURE_CLICKS,
    Place,
    time_text,
)

DOMAINS_OF_A_PAGE = 300
LINKS_OF_A_PAGE = 150
EARLIEST = "2000-01-01T00:00:00.000Z"
"""Older than the service. Without a beginning it tells the last thirty days only."""
LATEST = (datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
"""A time after every click."""
MILLISECONDS_FROM = 10**11
"""Numbers from here on are taken for milliseconds; as seconds they would be after the year 5000."""
CHART_KEYS = ("clicksStatistics", "clickStatistics")
"""The key of a chart, as the service spells it and as its documentation does."""
NUMBERED_TIMES = ("createdAt", "updatedAt", "expiresAt", "ttl")
PLAN = (
    "Short.io gives single clicks to accounts of its Team plan and up: see the plan of this "
    "domain's account, and that the key belongs to it"
)


class OffsetEndpoint(Endpoint):
    """A listing that is paged by the number of rows before a page, up to an empty one."""

    def next_position(self, page: Page) -> Position | None:
        """Return how many rows there were so far."""
        return str(int(page.position or 0) + len(page.rows)) if page.rows else None

    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the offset."""
        return {"offset": position}


class TokenEndpoint(Endpoint):
    """A listing that is paged by tokens."""

    def next_position(self, page: Page) -> Position | None:
        """Return the token that came with the page."""
        return page.token

    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the token."""
        return {"pageToken": position}


class WholeEndpoint(Endpoint):
    """A listing of one page."""

    def next_position(self, page: Page) -> Position | None:
        """Return None."""
        return None

    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return nothing."""
        return {}


@dataclass(frozen=True)
class ClicksEndpoint(Endpoint):
    """The clicks of a domain, newest first, by the time before which they happened."""

    limit: int = CLICKS_OF_A_PAGE

    def next_position(self, page: Page) -> Position | None:
        """Return the place of the next page; None if there are no older clicks."""
        here = self._place(page.position)
        if page.is_refusal:
            following = here.after_refusal()
        else:
            following = here.after_page(len(page.rows), _times(page))
        return msgspec.json.encode(following).decode() if following else None

    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the time before which clicks are asked for, and how many of them."""
        place = self._place(position)
        return {"beforeDate": time_text(place.before), "limit": place.limit}

    def fresh_parameters(self) -> Mapping[str, Any]:
        """Return the end of the period: with equal ones the service would answer from its cache."""
        return {"endDate": _now()}

    def is_past(self, first: datetime, last: datetime, since: datetime) -> bool:
        """Return whether a click of the page is too old: the next page has no newer ones."""
        return first < since

    def is_refusal(self, status: int, position: Position | None) -> bool:
        """Return whether the status may mean that the limit is too high, and a lower one may do."""
        return status == 400 and self._place(position).limit > SURE_CLICKS

    def advice(self, status: int, position: Position | None) -> str:
        """Return what to do about an account without clicks."""
        return PLAN if status in (402, 403) else ""

    def _place(self, position: Position | None) -> Place:
        if position is not None:
            return msgspec.json.decode(position, type=Place)
        return Place(LATEST, self.limit, self.limit, beyond=1)


@dataclass(frozen=True)
class DailyPeople(DailyCounts):
    """The chart of a domain's clicks, which counts people only, as text."""

    def by_day(self, answer: Any) -> Mapping[date, int]:
        """Return the counts of the first line of the chart; its key is spelled in two ways."""
        counts: Counter[date] = Counter()
        for point in _points(answer):
            day, clicks = _point(point)
            counts[day] += clicks
        return counts


def _points(answer: Any) -> list[Any]:
    """Return the points of a chart, which may stand in its first line; ValueError if none do."""
    said = answer if isinstance(answer, dict) else {}
    chart = next((said[key] for key in CHART_KEYS if said.get(key) is not None), None)
    if isinstance(chart, dict) and isinstance(lines := chart.get("datasets"), list):
        line = next(iter(lines), {"data": []})
        chart = line.get("data") if isinstance(line, dict) else None
    if not isinstance(chart, list):
        raise ValueError(f"the answer has no chart of clicks under '{CHART_KEYS[0]}'")
    return chart


def _point(point: Any) -> tuple[date, int]:
    """Return the day (UTC) and the clicks of a point; ValueError if it has none."""
    try:
        time = convert_value(_as_time(point["x"]), "timestamp")
        clicks = convert_value(point["y"], "bigint") or 0
        return cast(datetime, time).astimezone(UTC).date(), cast(int, clicks)
    except (UnreadableValue, AttributeError, LookupError, TypeError):
        raise ValueError("a point of its chart has no day or no number that can be read") from None


class ShortIoDialect(Dialect):
    """Short.io's API."""

    documented = MappingProxyType(
        {
            LINKS.name: frozenset({"FolderId", "integrationTT", "skipQS", "splitURLv2", "ttl"}),
            CLICKS.name: frozenset({"geoname_id", "utm_term", "utm_content", "ja4"}),
        }
    )
    absent = frozenset({"updated_at"})

    def auth(self) -> Mapping[str, Any]:
        """Return the key as it is, in the header Authorization."""
        return {
            "type": "api_key",
            "name": "Authorization",
            "api_key": self.settings.api_key,
            "location": "header",
        }

    def domains(self) -> Endpoint:
        """Return the listing of all domains of the key."""
        return OffsetEndpoint(
            what="domains",
            path="/api/domains",
            rows_key=None,
            identity=("id",),
            parameters={"limit": DOMAINS_OF_A_PAGE},
        )

    def links(self) -> Endpoint:
        """Return the listing of a domain's links; archived ones and those in folders are there."""
        size = min(self.settings.page_size or LINKS_OF_A_PAGE, LINKS_OF_A_PAGE)
        return TokenEndpoint(
            what="links",
            path="/api/links",
            rows_key="links",
            identity=("id", "idString"),
            token_key="nextPageToken",
            parameters={"limit": size},
            domain_parameter="domain_id",
        )

    def folders(self) -> Endpoint:
        """Return the listing of one domain's folders, which not every account may have."""
        return WholeEndpoint(
            what="folders",
            path=f"/links/folders/{DOMAIN}",
            rows_key="linkFolders",
            identity=("id",),
            statuses_of_none=frozenset({402, 403, 404}),
        )

    def clicks(self, domain_id: int) -> Endpoint:
        """Return the listing of a domain's clicks, all of them in UTC."""
        limit = self.settings.page_size or CLICKS_OF_A_PAGE
        return ClicksEndpoint(
            what=f"clicks of domain {domain_id}",
            path=f"{self.settings.statistics_url.rstrip('/')}/domain/{domain_id}/last_clicks",
            rows_key=None,
            identity=CLICK_FACTS,
            method="POST",
            parameters={"limit": limit, "period": "custom", "startDate": EARLIEST, "tz": "UTC"},
            newest_first=True,
            limit=limit,
        )

    def daily_people(self, domain_id: int, first: date, last: date) -> DailyCounts:
        """Return the request for the chart of days.

        It asks for more than these days: it does not matter whether bounds are counted in, and an
        end that is new each time keeps the answer from coming out of the cache.
        """
        return DailyPeople(
            what=f"daily clicks of domain {domain_id}",
            path=f"{self.settings.statistics_url.rstrip('/')}/domain/{domain_id}/by_interval",
            parameters={
                "clicksChartInterval": "day",
                "period": "custom",
                "startDate": f"{first - timedelta(days=1)}T00:00:00.000Z",
                "endDate": _now(),
                "tz": "UTC",
            },
        )

    def link(self, link: dict[str, Any]) -> dict[str, Any]:
        """Return the link with times as text, and the campaign's id from the target's `utm_id`."""
        times = {name: _as_time(link[name]) for name in NUMBERED_TIMES if name in link}
        campaign = link.get("utmCampaignId") or _utm_id(link.get("originalURL"))
        return {**link, **times, **({"utmCampaignId": campaign} if campaign else {})}


class _Timed(msgspec.Struct):
    """The time of a click, whatever else it has."""

    dt: str


_DECODER = msgspec.json.Decoder(_Timed)


def _times(page: Page) -> list[int]:
    """Return the times of the page's clicks in milliseconds.

    Raises:
        PagingError: There are clicks, and none has a time that can be read; or the oldest is first.
    """
    read = [time for row in page.rows if (time := _time_of(row)) is not None]
    if page.rows and not read:
        raise PagingError(
            f"none of its {len(page.rows)} clicks has a time that can be read ('dt'), so there is "
            "no telling where the next page begins; report it to Short.io"
        )
    times = [(time - EPOCH) // MILLISECOND for time in read]
    if times and times[0] < times[-1] and times == sorted(times):
        raise PagingError(
            "its clicks come oldest first, so the newer ones cannot be asked for; report it to "
            "Short.io"
        )
    return times


def _time_of(row: RawRow | DamagedRow) -> datetime | None:
    """Return the time of a click as it is read for the warehouse; None if it is not readable."""
    try:
        text: Any = row.value.get("dt") if isinstance(row, DamagedRow) else _DECODER.decode(row).dt
        return cast(datetime | None, convert_value(text, "timestamp"))
    except (msgspec.DecodeError, AttributeError, UnreadableValue):
        return None


def _now() -> str:
    return time_text((datetime.now(UTC) - EPOCH) // MILLISECOND)


def _as_time(value: Any) -> Any:
    """Return a time that is a number, of seconds or milliseconds since 1970, as text."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    milliseconds = value if abs(value) >= MILLISECONDS_FROM else value * 1000
    try:
        return time_text(milliseconds)
    except OverflowError:
        return value


def _utm_id(target: Any) -> str | None:
    """Return the campaign's id that a link adds to its target, as tools of analytics read it."""
    if not isinstance(target, str):
        return None
    with suppress(ValueError):
        return next(iter(parse_qs(urlsplit(target).query).get("utm_id", ())), None)
    return None
