"""How requests are sent: connections, pace, timeouts, retries. Knows nothing of any API.

`run_resources` makes the connections that all domains of a run share, `rest` a session for each,
`rate_limits` tells when to wait.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.requests.retry import DEFAULT_RETRY_EXCEPTIONS
from requests import PreparedRequest, Request, Response, Session
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.exceptions import ContentDecodingError
from requests.utils import select_proxy

from link_assets.settings import ApiSettings, SettingsError
from link_assets.source.load_stats import LoadStats
from link_assets.source.rate_limits import RateLimits, host_of

RETRIED_STATUSES = (429, 500, 502, 503, 504)
"""The guide's list, which holds for any API: these are the statuses that say "later" or "again".
Every other failing status fails at once."""

CONNECT_SECONDS = 5
"""How long an API may take to be reached at all."""


class Pool(HTTPAdapter):
    """Connections that are free again as soon as an answer is there, even a broken one."""

    limits: RateLimits

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Return the answer with its body; raise as requests does if there is none."""
        with self.limits.turn(host_of(request)):
            response = super().send(request, *arguments, **options)
            self.limits.look_at(response)
            try:
                # requests would read lots of 10 kB, and wait in line for Python after each
                response._content = b"".join(response.iter_content(None))
            except Exception:
                response.close()  # what cannot be decoded would keep its connection for good
                raise
            return response


class Connections(Pool):
    """Connections whose requests wait together where the API limits the rate.

    A request that was told how long to wait is sent again then, so it is none of the retries.
    """

    def __init__(self, max_connections: int = DEFAULT_POOLSIZE, **options: Any) -> None:
        self.limits = RateLimits(max_connections)
        super().__init__(pool_maxsize=max_connections, pool_block=True, **options)

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Return the answer with its body; raise as requests does if there is none.

        Raises:
            StoppedWaiting: The request had to wait, and `stop_waiting` or `close` was called.
        """
        while True:
            self.limits.wait(host_of(request))
            response = super().send(request, *arguments, **options)
            if not self.limits.has_to_be_repeated(response):
                return response

    def stop_waiting(self) -> None:
        """End all waits, now and later; what need not wait is sent and answered as before."""
        self.limits.stop()

    def close(self) -> None:
        """Close the connections, and end all waits."""
        self.stop_waiting()
        super().close()


class CountedConnections(HTTPAdapter):
    """Connections that others share, of which the requests of one listing are counted."""

    def __init__(self, connections: HTTPAdapter, stats: LoadStats) -> None:
        super().__init__(pool_maxsize=1)
        self._connections, self._stats = connections, stats

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Return the answer; a request that the API had wait and is sent again counts once."""
        stats, began = self._stats, time.monotonic()
        try:
            response = self._connections.send(request, *arguments, **options)
            stats.retries += response.status_code in RETRIED_STATUSES
            return response
        except Exception:
            stats.retries += 1
            raise
        finally:
            stats.requests += 1
            stats.seconds_fetching += time.monotonic() - began

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def new_connections(settings: ApiSettings) -> Connections:
    """Make a pool of at most `max_connections`, which sends at most `requests_per_second`.

    Threads may share it: one that finds it empty, or comes too soon, waits.
    """
    if not settings.requests_per_second:
        return Connections(settings.max_connections)
    from link_assets.source.limited_connections import LimitedConnections

    # the limiter would fill up after every 429; which ones hold the others back, `rate_limits` says
    return LimitedConnections(
        settings.max_connections, per_second=settings.requests_per_second, limit_statuses=()
    )


def new_session(
    settings: ApiSettings,
    connections: HTTPAdapter,
    addresses: Iterable[str] = (),
    stats: LoadStats | None = None,
) -> Session:
    """Make a session that sends requests over `connections` and retries as the guide says.

    It asks `settings.base_url` and the hosts of `addresses`, each through the proxy that the
    environment has for it. Its requests are counted in `stats`. Raises SettingsError if a file of
    certificates that the environment names does not exist.
    """
    session = Client(
        raise_for_status=False,
        request_timeout=(min(CONNECT_SECONDS, settings.timeout_seconds), settings.timeout_seconds),
        status_codes=RETRIED_STATUSES,
        exceptions=(*DEFAULT_RETRY_EXCEPTIONS, ContentDecodingError),
        request_max_attempts=1 + settings.max_retries,
        request_backoff_factor=settings.backoff_factor,
    ).session
    for scheme in ("http://", "https://"):
        session.mount(scheme, CountedConnections(connections, stats) if stats else connections)
    _take_environment(session, (settings.base_url, *addresses))
    return session


def _take_environment(session: Session, addresses: Iterable[str]) -> None:
    """Ask the environment for proxies and certificates once, not for every page."""
    proxies: dict[str, str] = {}
    for address in addresses:
        url = str(Request("GET", address).prepare().url)
        given = session.merge_environment_settings(url, {}, None, None, None)
        parts, session.verify = urlsplit(url), given["verify"]
        if parts.scheme == "https":
            _check_certificates(session.verify)
        if proxy := select_proxy(url, dict(given["proxies"])):
            proxies[f"{parts.scheme}://{parts.hostname}"] = proxy
    session.proxies = proxies
    session.trust_env = False


def _check_certificates(verify: Any) -> None:
    """Refuse a file of certificates that does not exist; requests takes it from two variables."""
    if not isinstance(verify, str) or Path(verify).exists():
        return
    name = next(n for n in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(n) == verify)
    raise SettingsError(
        f"{name} points to {verify}, which does not exist. Set it to the file of the certificates "
        "that the API's is signed with, or leave it unset for the usual ones."
    )
