"""Short.io's statistics of a domain: its last clicks and the counts of them."""

from __future__ import annotations

import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from link_assets.sandbox.app import Position, Refused, RequestRecord, Sandbox
from link_assets.sandbox.faults import Answer
from link_assets.sandbox.short_io_dates import EVER, Dates, written
from link_assets.sandbox.short_io_errors import invalid, refused
from link_assets.sandbox.short_io_rows import ShortIoRows
from link_assets.sandbox.short_io_switches import ShortIoSwitches

EVERY_CLICK = range(-EVER, EVER)
DEFAULT_LIMIT = 100
_REMEMBERED = 20
"""Answers that the cache keeps: a load of a million clicks asks for thousands."""
_COUNTRY_CODES = {
    "India": "IN",
    "Germany": "DE",
    "Brazil": "BR",
    "Japan": "JP",
    "Kenya": "KE",
    "Canada": "CA",
}
_FILTERS = {
    "paths": "path",
    "statuses": "st",
    "countries": "country",
    "browsers": "browser",
    "browserVersions": "browser_version",
    "methods": "method",
    "protos": "proto",
    "refhosts": "refhost",
    "social": "social",
}
"""The field of a click that each filter with a list of values looks at."""


@dataclass
class ClickPages:
    """Until when each listing of clicks has been asked for, to number its pages.

    A request for clicks until as late as any before begins anew; one until another time that has
    been asked for is the same page again, whatever else it says.
    """

    _until: dict[str, list[int]] = field(default_factory=dict)

    def position(self, path: str, body: Any, switches: ShortIoSwitches) -> Position:
        """Return the page that a request for clicks asks for."""
        until = _until(body, switches)
        known = self._until.get(path, [until])
        if until not in known[1:]:
            known = [*(other for other in known if other > until), until]
        self._until[path] = known
        return Position(path, known.index(until) + 1)


def _until(body: Any, switches: ShortIoSwitches) -> int:
    try:
        dates = Dates.of(body if isinstance(body, dict) else {})
        ends = [dates.ms("beforeDate"), dates.ms("endDate")]
    except Refused:
        return EVER
    return min((ms for ms in ends if ms is not None), default=EVER)


class _Cache:
    """The latest answers, by what exactly was asked."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[float, Answer]] = OrderedDict()

    def answer(self, key: str, seconds: float, make: Callable[[], Answer]) -> Answer:
        """Return an answer that is younger than so many seconds; make one if there is none."""
        now = time.monotonic()
        made, answer = self._answers.get(key, (now, None))
        if answer is None or now - made >= seconds:
            answer = make()
            self._answers[key] = (now, answer)
            self._answers.move_to_end(key)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return answer


class Statistics:
    """The routes below /statistics/domain."""

    def __init__(self, sandbox: Sandbox, rows: Callable[[], ShortIoRows]) -> None:
        self._sandbox = sandbox
        self._rows = rows
        self._cache = _Cache()
        self._ties = Random(0)

    def last_clicks(self, request: Request, record: RequestRecord) -> Answer:
        """Answer with the newest clicks of the period, as many as asked for."""
        domain_id, body, switches = self._domain_id(request), _body(record), self._sandbox.switches
        gated = switches.gated
        if gated == "all" or domain_id in gated:
            plan = "Raw clicks are not included in your plan. Upgrade to the Team plan"
            raise refused(switches.gate_status, plan)
        key = record.path + json.dumps(body)
        return self._cache.answer(
            key, switches.cache_seconds, lambda: self._clicks(domain_id, body)
        )

    def _clicks(self, domain_id: int, body: Mapping[str, Any]) -> Answer:
        switches, rows, dates = self._sandbox.switches, self._rows(), Dates.of(body)
        limit = _limit(body, switches)
        keep, drop = _filter(body, "include"), _filter(body, "exclude")
        clicks, zone = rows.clicks(domain_id), rows.zone(dates.zone)
        ties = self._ties if switches.shuffle_ties else None
        window = dates.window(switches)
        numbers = rows.newest_numbers(domain_id, clicks, window, ties)
        if switches.clicks_order == "oldest":
            numbers = reversed([*numbers])
        found = (clicks.row(number, zone) for number in numbers)
        wanted = (
            row
            for row in found
            if all(_meets(row, *condition) for condition in keep.items())
            and not any(_meets(row, *condition) for condition in drop.items())
        )
        return Answer([*islice(wanted, limit)], fast=rows.is_made_up(domain_id))

    def by_interval(self, request: Request, record: RequestRecord) -> Answer:
        """Answer with the count of each day's people, as text."""
        domain_id, body = self._domain_id(request), _body(record)
        if body.get("clicksChartInterval", "day") != "day":
            raise invalid("body/clicksChartInterval must be equal to one of the allowed values")
        return Answer(self._by_day(domain_id, Dates.of(body)))

    def totals(self, request: Request, record: RequestRecord) -> Answer:
        """Answer with the counts of the period: of all clicks, of people's, and by day."""
        domain_id = self._domain_id(request)
        if record.method == "POST":
            dates = Dates.of(_body(record))
        else:
            dates = Dates.of(record.params, "querystring")
        human = [is_human for _, is_human in self._humans(domain_id, dates)]
        counts = {"clicks": len(human), "humanClicks": sum(human)}
        links = len(self._rows().links(domain_id))
        return Answer({**counts, "links": links, **self._by_day(domain_id, dates)})

    def link_clicks(self, request: Request, record: RequestRecord) -> Answer:
        """Answer with the count of people's clicks of each link asked for that has any."""
        domain_id, params = self._domain_id(request), record.params
        if "ids" not in params:
            raise invalid("querystring must have required property 'ids'")
        ids, switches, rows = params["ids"].split(","), self._sandbox.switches, self._rows()
        same = str if rows.is_case_sensitive(domain_id) else str.lower
        links = {same(path): id for path, id in _link_paths(rows, domain_id) if id in ids}
        dates = Dates.of({**params, "period": "custom"}, "querystring")
        clicks, counts = rows.clicks(domain_id), Counter[str]()
        for number in rows.newest_numbers(domain_id, clicks, dates.period(switches)):
            row = clicks.row(number)
            link = links.get(same(_path(row, switches.encoded_paths)))
            if link and _is_human(row):
                counts[link] += 1
        return Answer(dict(counts))

    def _domain_id(self, request: Request) -> int:
        domain_id = request.path_params["domain_id"]
        if domain_id not in self._rows().domain_ids():
            raise refused(404, "Domain not found")
        return domain_id

    def _humans(self, domain_id: int, dates: Dates) -> Iterator[tuple[int, bool]]:
        """Yield the time of each click of the period, and whether a person clicked."""
        rows = self._rows()
        clicks = rows.clicks(domain_id)
        period = dates.period(self._sandbox.switches)
        for number in rows.newest_numbers(domain_id, clicks, period):
            yield clicks.ms(number), _is_human(clicks.row(number))

    def _by_day(self, domain_id: int, dates: Dates) -> dict[str, Any]:
        switches = self._sandbox.switches
        people = Counter(dates.day(ms) for ms, human in self._humans(domain_id, dates) if human)
        days = sorted(people)
        if days and switches.empty_days == "zero":
            days = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
        data = [
            {"x": written(dates.midnight(day), dates.zone), "y": str(people[day])} for day in days
        ]
        return {switches.statistics_key: {"datasets": [{"data": data}]}}


def _body(record: RequestRecord) -> Mapping[str, Any]:
    if not isinstance(record.body, dict):
        raise invalid("body must be object")
    return record.body


def _limit(body: Mapping[str, Any], switches: ShortIoSwitches) -> int:
    limit = body.get("limit", DEFAULT_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid("body/limit must be integer")
    if limit < 1:
        raise invalid("body/limit must be >= 1")
    if limit > switches.max_limit:
        if switches.over_limit == "refuse":
            raise invalid(f"body/limit must be <= {switches.max_limit}")
        limit = switches.max_limit
    return max(1, limit // 2) if switches.short_pages else limit


def _filter(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name, {})
    if not isinstance(found, dict):
        raise invalid(f"body/{name} must be object")
    known = {key: found[key] for key in found.keys() & {"human", *_FILTERS}}
    for key, value in known.items():
        if key != "human" and not isinstance(value, list):
            raise invalid(f"body/{name}/{key} must be array")
    return known


def _meets(row: Any, name: str, wanted: Any) -> bool:
    """Return whether a click meets one condition of a filter."""
    if not isinstance(row, dict):
        return False
    if name == "human":
        return _is_human(row) == wanted
    value = row.get(_FILTERS[name])
    if name == "countries" and isinstance(value, str):
        value = _COUNTRY_CODES.get(value, value)
    return value in wanted


def _is_human(row: Any) -> bool:
    return isinstance(row, dict) and row.get("human") is True


def _path(row: Any, encoded: bool) -> str:
    """Return a click's path as links write theirs, after a slash."""
    path = row.get("path", "") if isinstance(row, dict) else ""
    return unquote(path) if encoded else path


def _link_paths(rows: ShortIoRows, domain_id: int) -> Iterator[tuple[str, Any]]:
    """Yield the path that a link's clicks have, and its id."""
    for _, link in rows.links(domain_id):
        if isinstance(link, dict) and {"path", "id"} <= link.keys():
            yield f"/{link['path']}", link["id"]
