"""When the next request to a host may be sent, if the API limits the rate: one pace for a run.

`http` asks before each request and shows each answer. Limits are told by headers: `x-ratelimit-
reset` on a 429, or together with `x-ratelimit-remaining: 0` on any answer.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import TOO_MANY_REQUESTS
from threading import BoundedSemaphore, Event, Lock
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from requests import PreparedRequest, Response
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 600.0
"""The bounds of one wait, whatever the API says."""
MOST_WAITS = 20
"""How often in a row a request is told to wait before the refusal is handed on."""
SECONDS_SINCE_1970, MILLISECONDS_SINCE_1970 = 1e9, 1e12
"""Numbers above these are times; those below are seconds to wait."""

logger = logging.getLogger(__name__)


class StoppedWaiting(Exception):
    """The run was stopped while a request waited until it may be sent."""


@dataclass
class _Wait:
    """Until when nothing is sent to a host, by the monotonic clock, and whether that was logged."""

    until: float
    is_told: bool = False


class RateLimits:
    """The waits that an API asks for, by host; threads that share it share them.

    Args:
        at_once: How many requests may be under way at once.
    """

    def __init__(self, at_once: int) -> None:
        self._free = BoundedSemaphore(at_once)
        self._stopped = Event()
        self._lock = Lock()
        self._waits: dict[str, _Wait] = {}
        self._refusals: WeakKeyDictionary[PreparedRequest, int] = WeakKeyDictionary()

    def wait(self, host: str) -> None:
        """Return when requests may be sent to the host; the first to wait logs it.

        Raises:
            StoppedWaiting: `stop` was called before.
        """
        while seconds := self._seconds_left(host):
            self._tell(host, seconds)
            if self._stopped.wait(seconds):
                raise StoppedWaiting(f"stopped while the API at {host} limits the rate")

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Send a request within the block and look at its answer.

        Who stands in line behind a request that is refused waits as well.
        """
        while True:
            self.wait(host)
            with self._free:
                if not self._seconds_left(host):
                    yield
                    return

    def look_at(self, response: Response) -> None:
        """Take from an answer how long requests to its host have to wait, if it says so."""
        seconds = _seconds_to_wait(response)
        if seconds is None:
            return
        host, until = host_of(response.request), time.monotonic() + seconds
        with self._lock:
            wait = self._waits.get(host)
            if wait and wait.until > time.monotonic():
                wait.until = max(wait.until, until)
            else:
                self._waits[host] = _Wait(until)

    def has_to_be_repeated(self, response: Response) -> bool:
        """Return whether the request was told to wait, and not too often in a row."""
        is_refused = response.status_code == TOO_MANY_REQUESTS
        with self._lock:
            refusals = self._refusals.pop(response.request, 0)
            if not is_refused or _seconds_to_wait(response) is None:
                return False
            self._refusals[response.request] = refusals + 1
        return refusals < MOST_WAITS

    def stop(self) -> None:
        """End all waits, now and later, with StoppedWaiting."""
        self._stopped.set()

    def _seconds_left(self, host: str) -> float:
        with self._lock:
            wait = self._waits.get(host)
        return max(0.0, wait.until - time.monotonic()) if wait else 0.0

    def _tell(self, host: str, seconds: float) -> None:
        with self._lock:
            is_told, self._waits[host].is_told = self._waits[host].is_told, True
        if not is_told:
            logger.warning(
                "The API limits the rate: waiting %g seconds before the next request to %s. Other "
                "programs that use the same key share this limit.",
                round(seconds, 1),
                host,
            )


def host_of(request: PreparedRequest) -> str:
    """Return the host that a request goes to, with its port if it is not the usual one."""
    return urlsplit(request.url or "").netloc


def _seconds_to_wait(response: Response) -> float | None:
    """Return how long the answer says to wait, within bounds; None if it does not say so."""
    headers = response.headers
    is_refused = response.status_code == TOO_MANY_REQUESTS
    if not is_refused and _number(headers.get("x-ratelimit-remaining")) != 0:
        return None
    until_reset = _until(headers.get("x-ratelimit-reset", ""))
    if until_reset is None:
        return None
    retry_after = _retry_after(headers.get("Retry-After"))
    seconds = until_reset if retry_after is None else retry_after
    return min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)


def _until(reset: str) -> float | None:
    """Return the seconds until a reset, in seconds or as a time; None if it cannot be read."""
    number = _number(reset)
    if number is None:
        number = _time(reset)
    if number is None:
        return None
    if number > MILLISECONDS_SINCE_1970:
        number /= 1000
    return number - time.time() if number > SECONDS_SINCE_1970 else number


def _time(text: str) -> float | None:
    """Return a date of HTTP or of ISO 8601 in seconds since 1970; None if it is neither."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError):
            time = read(text)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _retry_after(text: str | None) -> float | None:
    try:
        return Retry().parse_retry_after(text or "")
    except (InvalidHeader, ValueError, OverflowError):
        return None
