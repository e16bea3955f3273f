"""What the domains of a run share: connections, threads, and what is known of undocumented fields.

Whoever loads several domains opens them once and hands them to every source. No thread is started
and no connection opened before one is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING

from link_assets.settings import ApiSettings
from link_assets.source.http import Connections, new_connections

if TYPE_CHECKING:
    from link_assets.rows.clicks_arrow import Known

MEGABYTE = 1_000_000


class FetchedTogether:
    """What the domains of a run have fetched, until it is as much as one load takes.

    Then all of them end their chunks with their next page, so that what was fetched can be written
    while they fetch as much again.
    """

    def __init__(self) -> None:
        self.loads = 0
        """How many times there was enough for a load."""
        self._rows = self._bytes = 0
        self._changed = Lock()

    def add(self, rows: int, size: int, limits: ApiSettings) -> None:
        """Count a page of so many rows and bytes of JSON text."""
        with self._changed:
            self._rows += rows
            self._bytes += size
            if self._rows >= limits.chunk_rows or self._bytes >= limits.chunk_megabytes * MEGABYTE:
                self.loads += 1
                self._rows = self._bytes = 0


@dataclass
class RunResources:
    """What the domains of a run share.

    Connections to the API, threads that convert pages, the fields that pages brought, and how much
    was fetched.
    """

    connections: Connections
    known: Known = field(default_factory=dict)
    fetched: FetchedTogether = field(default_factory=FetchedTogether)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """Return the threads, as many as there are cores; they end with the last reference."""
        return ThreadPoolExecutor(os.cpu_count(), "convert")


@contextmanager
def open_resources(settings: ApiSettings) -> Iterator[RunResources]:
    """Open what the domains of a run share; close the connections afterwards.

    To be opened before the threads that read domains are started.
    """
    _import_table_libraries()
    resources = RunResources(new_connections(settings))
    try:
        yield resources
    finally:
        resources.connections.close()


def _import_table_libraries() -> None:
    """Import them before one thread does while another one reads.

    dlt asks of each item whether it is a table of theirs, by what it finds in `sys.modules`, where
    a module stands before it has its classes. Arrow imports pandas, if there is one, with its
    first array.
    """
    for name in ("pyarrow", "pandas"):
        with suppress(ImportError):
            import_module(name)
