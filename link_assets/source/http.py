"""HTTP connections to the API, limited for all domains of a run together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_ratelimiter import LimiterAdapter

from link_assets.settings import ApiSettings


class Connections(HTTPAdapter):
    """Connections that are free again as soon as an answer is there, whatever is in it."""

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """The answer with its body; raises as requests does if there is none."""
        response = super().send(request, *arguments, **options)
        try:
            # requests would read lots of 10 kB, and wait in line for Python after each
            response._content = b"".join(response.iter_content(None))
        except Exception:
            response.close()  # a body that cannot be decoded would keep its connection for good
            raise
        return response


class LimitedConnections(LimiterAdapter, Connections):
    """Connections that send at most so many requests a second."""


def new_connections(settings: ApiSettings) -> HTTPAdapter:
    """A pool of at most `max_connections`, which sends at most `requests_per_second`.

    Threads may share it: who finds it empty, or comes too soon, waits.
    """
    pool = {"pool_maxsize": settings.max_connections, "pool_block": True}
    if not settings.requests_per_second:
        return Connections(**pool)
    # retries follow the guide's rule alone: a 429 does not hold the others back
    return LimitedConnections(per_second=settings.requests_per_second, limit_statuses=(), **pool)


@contextmanager
def connections(settings: ApiSettings) -> Iterator[HTTPAdapter]:
    """New connections, closed afterwards."""
    pool = new_connections(settings)
    try:
        yield pool
    finally:
        pool.close()
