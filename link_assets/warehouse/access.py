"""Exclusive access to the warehouse: for one process at a time, and within it one thread.

All writing, and all reading of a DuckDB file, happens within `exclusive_access`. Waiting too long,
or a lock file that cannot be made, ends in an error whose message is for users. How the lock works
is in `lock.py`; what is opened with it, the warehouse says (`destinations/`).
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from math import inf
from pathlib import Path
from threading import Lock
from typing import TypeVar

from dlt.common.configuration.container import Container
from filelock import Timeout

from link_assets.settings import LOCATION_SECTION, environment_name, location_settings
from link_assets.warehouse.destinations.base import OpenWarehouse, Warehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.lock import WarehouseLock

_T = TypeVar("_T")
_MAKING_LOCKS = Lock()


@contextmanager
def exclusive_access(purpose: str, at_most: float | None = None) -> Iterator[OpenWarehouse]:
    """Hold the warehouse for this process and thread alone; it is released if the process dies.

    Args:
        purpose: What it is held for, as messages say it to those who wait.
        at_most: How many seconds to wait, if that is less than the setting `lock_timeout_seconds`.

    Raises:
        WarehouseBusy: It was not free within that time; the message says who holds it and since
            when.
        WarehouseUnusable: The lock file cannot be made.
        SettingsError: The settings cannot be those of a warehouse.
    """
    warehouse = configured_warehouse()
    with _held(warehouse, warehouse_lock(warehouse), purpose, at_most) as opened:
        yield opened


@contextmanager
def without_loads(purpose: str, at_most: float = inf) -> Iterator[OpenWarehouse]:
    """Hold the warehouse likewise, and keep the loads of other machines out; raise likewise.

    In the order of loads, or each would wait for the other. In PostgreSQL it is for a transaction
    to do, by `writing_alone`.
    """
    seconds = min(location_settings().lock_timeout_seconds, at_most)
    with ExitStack() as stack:
        try:
            stack.enter_context(configured_warehouse().loads_kept_out(seconds))
        except TimeoutError:
            raise busy(seconds, purpose, "another run or machine") from None
        yield stack.enter_context(exclusive_access(purpose, at_most))


@contextmanager
def kept_closed(purpose: str, close: Callable[[], None]) -> Iterator[None]:
    """Hold the warehouse while nobody has it open, this process included; raise likewise.

    Args:
        purpose: What it is held for, as messages say it to those who wait.
        close: Called when it is held, before the block; repeated while it raises OpenElsewhere.
    """

    @contextmanager
    def closed() -> Iterator[None]:
        close()
        yield

    warehouse = configured_warehouse()
    with _held(warehouse, WarehouseLock(warehouse.lock_file(), closed), purpose):
        yield


@contextmanager
def _held(
    warehouse: Warehouse, lock: WarehouseLock[_T], purpose: str, at_most: float | None = None
) -> Iterator[_T]:
    seconds = location_settings().lock_timeout_seconds
    if at_most is not None:
        seconds = min(seconds, at_most)
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(lock.acquire(purpose, seconds))
        except Timeout:
            raise busy(seconds, purpose, lock.holder()) from None
        except OSError as error:
            raise _unusable(warehouse, lock.path, error) from None
        yield opened


def warehouse_lock(warehouse: Warehouse) -> WarehouseLock[OpenWarehouse]:
    """Return the one lock of a warehouse in this process."""
    with _MAKING_LOCKS:  # `cache` would have two threads make one each
        return _lock_at(warehouse.lock_file(), warehouse)


@cache
def _lock_at(path: Path, warehouse: Warehouse) -> WarehouseLock[OpenWarehouse]:
    """Return the same lock to all threads, since they hand it on to each other.

    So the first of several equal warehouses is the one that is opened every time.
    """
    return WarehouseLock(path, warehouse.open)


@atexit.register
def _let_go() -> None:
    """Let go of what the process has opened: DuckDB complains of each object that outlives it.

    What was imported is not looked through at the end (definitions.py), so what that holds stays.
    It is our locks with their warehouses, and what dlt keeps of each thread: its last pipelines and
    how their settings were found.
    """
    _lock_at.cache_clear()
    for contexts, _ in [*Container().thread_contexts.values()]:
        contexts.clear()


def busy(seconds: float, purpose: str, holder: str) -> WarehouseBusy:
    """Return the error to raise when the warehouse was not free for so long."""
    return WarehouseBusy(
        f"The warehouse was not free for {seconds:g} seconds while waiting for {purpose}. "
        f"It is held by {holder}. Wait for that to end, or for that program to close the file; or "
        "give it longer with "
        f"{environment_name(LOCATION_SECTION)}__LOCK_TIMEOUT_SECONDS."
    )


def _unusable(warehouse: Warehouse, lock_file: Path, error: OSError) -> WarehouseUnusable:
    return WarehouseUnusable(
        f"{warehouse.name} cannot be used: its lock file {lock_file} cannot be made "
        f"({error.strerror}). Check that its folder is one, and can be written."
    )
