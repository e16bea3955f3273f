"""Short.io's statistics: single clicks, and counts of them, with the traps of that host.

Dates are read in the time zone of the request, and their own zone is left unread; a request
without a period is of the last thirty days; an equal request is answered from a cache; all of a
key's requests share a limit.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request

from link_assets.sandbox.faults import Answer
from link_assets.sandbox.records import RequestRecord
from link_assets.sandbox.short_io_rows import Clicks, clicks_of, require_domain, served_links
from link_assets.sandbox.world import milliseconds

if TYPE_CHECKING:
    from link_assets.sandbox.app import Sandbox

DAYS = {"today": 0, "yesterday": 1, "week": 7, "month": 31, "lastmonth": 62, "last7": 7}
DAYS |= {"last30": 30}
SHUFFLED = 1000
"""How many clicks behind a page may come before those on it if they have the same time."""
FILTERS = {"statuses": "st", "paths": "path", "methods": "method", "human": "human"}


@dataclass
class Memory:
    """What the service remembers: answers for its cache, and requests for its limit.

    `pages` are the number and the body of each path's last request.
    """

    cache: dict[str, tuple[float, Answer]] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)
    pages: dict[str, tuple[int, Any]] = field(default_factory=dict)


def last_clicks(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return the newest clicks of a period."""
    return _answered(sandbox, request, record, _last_clicks)


def by_interval(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return the clicks by people of each day of a period, as text."""
    return _answered(sandbox, request, record, _by_interval)


def totals(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return the clicks of a period, all and by people, and the chart of its days."""
    return _answered(sandbox, request, record, _totals)


def link_clicks(sandbox: Sandbox, request: Request, record: RequestRecord) -> Answer:
    """Return how many clicks by people each of the links had, by the link's id."""
    return _answered(sandbox, request, record, _link_clicks)


def _answered(sandbox: Sandbox, request: Request, record: RequestRecord, make: Any) -> Answer:
    """Return the answer, or the same as before if the request is; the limit comes first."""
    memory, switches, now = sandbox.memory, sandbox.switches, time.monotonic()
    left = _left(sandbox, now)
    domain, body = request.path_params["domain_id"], record.body
    if body is not None and not isinstance(body, dict):
        raise HTTPException(400, "body must be object")
    asked = {**record.params, **(body or {})}
    key = json.dumps([record.path, asked], sort_keys=True)
    known = memory.cache.get(key)
    if known and now - known[0] < switches.cache_seconds:
        return known[1]
    require_domain(sandbox, domain)
    answer = Answer(make(sandbox, domain, asked))
    if switches.cache_seconds:
        memory.cache[key] = (now, answer)
    if left is None or not switches.rate_headers:
        return answer
    return replace(answer, headers=_limit_headers(sandbox, left, now))


def _left(sandbox: Sandbox, now: float) -> int | None:
    """Count a request; return how many are left, None without a limit; raise 429 beyond it."""
    if sandbox.switches.rate_limit is None:
        return None
    (most, seconds), memory = sandbox.switches.rate_limit, sandbox.memory
    memory.asked = [asked for asked in memory.asked if now - asked < seconds]
    if len(memory.asked) >= most:
        raise HTTPException(429, "Too many requests", _limit_headers(sandbox, 0, now))
    memory.asked.append(now)
    return most - len(memory.asked)


def _limit_headers(sandbox: Sandbox, left: int, now: float) -> dict[str, str]:
    most, seconds = sandbox.switches.rate_limit or (0, 0)
    wait = max(0.0, seconds - (now - min(sandbox.memory.asked, default=now)))
    reset = f"{time.time() + wait:.3f}" if sandbox.switches.reset_is_time else f"{wait:.3f}"
    return {
        "x-ratelimit-limit": str(most),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": reset,
    }


def _last_clicks(sandbox: Sandbox, domain: int, asked: Mapping[str, Any]) -> list[Any]:
    switches = sandbox.switches
    if domain in switches.gated:
        reason = "Raw clicks are available on the Team plan and up"
        raise HTTPException(switches.gate_status, reason)
    limit = _limit(sandbox, asked.get("limit", 100))
    clicks = clicks_of(sandbox, domain)
    newest = _numbers(sandbox, clicks, asked)[::-1]
    if not (asked.get("include") or asked.get("exclude")):
        newest = newest[: limit + SHUFFLED]  # a filter may leave out any number of them
    numbers = _shuffled(clicks, newest) if switches.shuffled else newest
    rows = [row for n in numbers if _admitted(row := clicks.row(n), asked)][:limit]
    return [_in_zone(row, asked.get("tz")) for row in rows]


def _shuffled(clicks: Clicks, numbers: range) -> list[int]:
    """Return the clicks with those of the same time in another order each time."""
    return sorted(numbers, key=lambda n: (-clicks.times[n], random.random()))


def _limit(sandbox: Sandbox, limit: Any) -> int:
    switches = sandbox.switches
    if not isinstance(limit, int) or limit < 1:
        raise HTTPException(400, "body/limit must be >= 1")
    if limit > switches.max_limit and switches.over_limit == "refused":
        raise HTTPException(400, f"body/limit must be <= {switches.max_limit}")
    limit = min(limit, switches.max_limit)
    return max(1, limit // 2) if switches.short_pages else limit


def _numbers(sandbox: Sandbox, clicks: Clicks, asked: Mapping[str, Any]) -> range:
    """Return the numbers of the clicks that the period and the dates admit."""
    switches, zone = sandbox.switches, _zone(asked.get("tz"))
    dates = {name: _date(asked, name, zone) for name in DATES}
    period = asked.get("period")
    if period == "total":
        return range(0) if switches.total_is_empty else range(len(clicks.times))
    if period != "custom":
        days = DAYS.get(period or "last30")
        if days is None:
            raise HTTPException(400, "body/period must be equal to one of the allowed values")
        dates["startDate"] = milliseconds(datetime.now(UTC) - timedelta(days=days))
        dates["endDate"] = None
    after, before = int(not switches.after_inclusive), int(not switches.before_inclusive)
    firsts = [d + after for d in (dates["startDate"], dates["afterDate"]) if d is not None]
    lasts = [d - before for d in (dates["endDate"], dates["beforeDate"]) if d is not None]
    return clicks.between(max(firsts, default=None), min(lasts, default=None))


DATES = ("startDate", "endDate", "afterDate", "beforeDate")


def _date(asked: Mapping[str, Any], name: str, zone: ZoneInfo) -> int | None:
    """Return a date of the request in milliseconds; its own zone must be there and is not used."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-01"):
            return milliseconds(datetime.fromisoformat(text).replace(tzinfo=zone))
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        moment = datetime.min
    if moment.tzinfo is None:
        raise HTTPException(400, f'body/{name} must match format "date-time"')
    return milliseconds(moment.replace(tzinfo=zone))


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, TypeError, OSError):
        raise HTTPException(400, "body/tz is no time zone") from None


def _in_zone(row: Any, name: Any) -> Any:
    """Return a click with its time in the zone that was asked for."""
    if name in (None, "UTC") or not isinstance(row, dict):
        return row
    time = datetime.fromisoformat(row["dt"]).astimezone(_zone(name))
    return {**row, "dt": time.isoformat(timespec="milliseconds")}


def _admitted(row: Any, asked: Mapping[str, Any]) -> bool:
    for wanted, name in ((True, "include"), (False, "exclude")):
        for kind, values in (asked.get(name) or {}).items():
            value = row.get(FILTERS.get(kind, kind))
            found = value in values if isinstance(values, list) else value == values
            if found is not wanted:
                return False
    return True


def _people_by_day(sandbox: Sandbox, domain: int, asked: Mapping[str, Any]) -> Counter[date]:
    clicks, zone = clicks_of(sandbox, domain), _zone(asked.get("tz"))
    rows = [clicks.row(number) for number in _numbers(sandbox, clicks, asked)]
    people = [row for row in rows if row.get("human")]
    return Counter(datetime.fromisoformat(row["dt"]).astimezone(zone).date() for row in people)


def _by_interval(sandbox: Sandbox, domain: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    counts = _people_by_day(sandbox, domain, asked)
    days = sorted(counts)
    if sandbox.switches.empty_days and days:
        whole = (days[-1] - days[0]).days
        days = [days[0] + timedelta(days=n) for n in range(whole + 1)]
    points = [{"x": f"{day}T00:00:00.000Z", "y": str(counts[day])} for day in days]
    return {sandbox.switches.statistics_key: {"datasets": [{"data": points}]}}


def _totals(sandbox: Sandbox, domain: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    clicks = clicks_of(sandbox, domain)
    counts = _people_by_day(sandbox, domain, asked)
    return {
        "clicks": len(_numbers(sandbox, clicks, asked)),
        "humanClicks": sum(counts.values()),
        "links": len(served_links(sandbox, domain)),
        **_by_interval(sandbox, domain, asked),
    }


def _link_clicks(sandbox: Sandbox, domain: int, asked: Mapping[str, Any]) -> dict[str, int]:
    clicks = clicks_of(sandbox, domain)
    rows = [clicks.row(number) for number in range(len(clicks.times))]
    people = Counter(row.get("path") for row in rows if row.get("human"))
    ids = str(asked.get("ids", "")).split(",")
    links = [link for link in served_links(sandbox, domain) if link.get("idString") in ids]
    counts = {link["idString"]: people[f"/{link.get('path')}"] for link in links}
    return {link: count for link, count in counts.items() if count}
