"""What the domains of a run share: connections, threads, and what is known of undocumented fields.

Whoever loads several domains opens them once and hands them to every source; nothing of this is
made when modules are imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from requests.adapters import HTTPAdapter

from link_assets.settings import ApiSettings
from link_assets.source.http import new_connections

if TYPE_CHECKING:
    from link_assets.rows.clicks_arrow import Known


def _new_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "convert")


@dataclass(frozen=True)
class RunResources:
    """Connections to the API, threads that convert pages, and the fields that pages brought."""

    connections: HTTPAdapter
    threads: ThreadPoolExecutor = field(default_factory=_new_threads)
    known: Known = field(default_factory=dict)


@contextmanager
def open_resources(settings: ApiSettings) -> Iterator[RunResources]:
    """Open what the domains of a run share, and close it afterwards."""
    resources = RunResources(new_connections(settings))
    try:
        yield resources
    finally:
        resources.connections.close()
        resources.threads.shutdown(wait=False, cancel_futures=True)
