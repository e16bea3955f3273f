"""HTTP connections to the API, limited for all domains of a run together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from requests.adapters import HTTPAdapter

from link_assets.settings import ApiSettings


def new_connections(settings: ApiSettings) -> HTTPAdapter:
    """A pool of at most `max_connections`, which sends at most `requests_per_second`.

    Threads may share it: who finds it empty, or comes too soon, waits.
    """
    pool = {"pool_maxsize": settings.max_connections, "pool_block": True}
    if not settings.requests_per_second:
        return HTTPAdapter(**pool)
    from requests_ratelimiter import LimiterAdapter

    # retries follow the guide's rule alone: a 429 does not hold the others back
    return LimiterAdapter(per_second=settings.requests_per_second, limit_statuses=(), **pool)


@contextmanager
def connections(settings: ApiSettings) -> Iterator[HTTPAdapter]:
    """New connections, closed afterwards."""
    pool = new_connections(settings)
    try:
        yield pool
    finally:
        pool.close()
