"""What can go wrong at the warehouse.

Exceptions (their base is Python's or dlt's, so that callers may also catch those):

    TimeoutError
      · WarehouseBusy             another process or machine keeps the warehouse
    OSError
      · WarehouseUnusable         the lock file beside the warehouse cannot be made
    RuntimeError
      · ConcurrentWriteError      another run has written what this load continues
      · TooManyColumns            the table is as wide as the database allows
      · NoClicks                  daily clicks are to be computed, and there is no table of clicks
    dlt's DatabaseTerminalException
      · OutOfMemory               DuckDB may not take the memory that a statement needs
    Exception
      · OpenElsewhere             caught by `lock.py`, which tries again; users never see it
      · HeldElsewhere             caught by `group_load.py`, which writes the rest; likewise

Below them are functions that find an error among its causes. What a database's refusal may be
quoted as, and what to do about it, its `destinations.base.Warehouse` says; `defs/failures.py` puts
it into words.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import TypeVar

from dlt.destinations.exceptions import DatabaseTerminalException

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_E = TypeVar("_E", bound=BaseException)


class WarehouseBusy(TimeoutError):
    """Another process or machine kept the warehouse for longer than the lock timeout."""


class WarehouseUnusable(OSError):
    """The warehouse's lock file cannot be made, because its folder cannot be written."""


class ConcurrentWriteError(RuntimeError):
    """Another run has written since what this load continues.

    Args:
        domains: The ids of the domains that it has loaded.
    """

    def __init__(self, domains: Collection[int]) -> None:
        super().__init__(
            f"Another run has loaded the clicks of {', '.join(map(str, domains))} meanwhile. What "
            "was fetched since is not written; run it again."
        )
        self.domains = domains


class TooManyColumns(RuntimeError):
    """A table would have more columns than the warehouse allows."""


class NoClicks(RuntimeError):
    """There is no table of clicks to compute daily clicks from."""


class OutOfMemory(DatabaseTerminalException):
    """A statement needs more memory than DuckDB may take, and would fail again."""


class OpenElsewhere(Exception):
    """The DuckDB file is open in a program that knows nothing of the lock file.

    Args:
        process: The id of that program's process.
        program: What it is, as a message calls it.
    """

    def __init__(self, process: str, program: str) -> None:
        super().__init__(f"open in process {process}, {program}")
        self.process = process
        self.program = program


class HeldElsewhere(Exception):
    """Other machines are loading some parts of a load.

    Args:
        parts: The names of these parts.
    """

    def __init__(self, parts: Collection[str]) -> None:
        super().__init__(f"loaded elsewhere: {', '.join(parts)}")
        self.parts = parts


def find_cause(error: BaseException | None, kind: type[_E]) -> _E | None:
    """Return the first exception of `kind` among `error`, its cause, the cause of that, ..."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def disk_full(error: BaseException) -> OSError | None:
    """Return the system's error if a disk is full, or a quota or a file's size is reached."""
    full = find_cause(error, OSError)
    return full if full and full.errno in DISK_FULL else None


def root_cause(error: BaseException) -> BaseException:
    """Return the error that all others were raised from: a driver's, if a database refused."""
    while error.__cause__ is not None:
        error = error.__cause__
    # dlt raises DestinationConnectionError without a cause, but keeps the driver's error in it
    return getattr(error, "inner_exc", error)
