"""Connections that keep a pace, apart from `http` since few need them and importing takes long."""

from __future__ import annotations

from requests_ratelimiter import LimiterAdapter

from link_assets.source.http import Connections, Pool


class _LimitedPool(LimiterAdapter, Pool):
    """A pool that sends no more than a number of requests a second."""


class LimitedConnections(Connections, _LimitedPool):
    """Connections that send no more than a number of requests a second, repeated ones included."""
