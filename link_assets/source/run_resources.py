"""What the domains of a run share: connections, threads, and what is known of undocumented fields.

Whoever loads several domains opens them once and hands them to every source. No thread is started
and no connection opened before one is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from link_assets.settings import ApiSettings
from link_assets.source.http import Connections, new_connections

if TYPE_CHECKING:
    from link_assets.rows.clicks_arrow import Known


@dataclass
class RunResources:
    """Connections to the API, threads that convert pages, and the fields that pages brought."""

    connections: Connections
    known: Known = field(default_factory=dict)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """Return the threads, as many as there are cores; they end with the last reference."""
        return ThreadPoolExecutor(os.cpu_count(), "convert")


@contextmanager
def open_resources(settings: ApiSettings) -> Iterator[RunResources]:
    """Open what the domains of a run share; close the connections afterwards."""
    resources = RunResources(new_connections(settings))
    try:
        yield resources
    finally:
        resources.connections.close()
