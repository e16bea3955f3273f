"""What can go wrong at the warehouse, and what a database's refusal may be quoted as.

Exceptions (their base is Python's or dlt's, so that callers may also catch those):

    TimeoutError
      · WarehouseBusy             another process or machine keeps the warehouse
    OSError
      · WarehouseUnusable         the lock file beside the warehouse cannot be made
    RuntimeError
      · ConcurrentWriteError      another run has written what this load continues
      · TooManyColumns            the table is as wide as the database allows
    dlt's DatabaseTerminalException
      · OutOfMemory               DuckDB may not take the memory that a statement needs
    Exception
      · OpenElsewhere             caught by `lock.py`, which tries again; users never see it

Below them are functions that read an error of any driver: its first cause of a kind, its SQLSTATE,
and its reason without values of rows. Nothing here logs or decides what to do about an error; that
is `defs/failures.py`.
"""

from __future__ import annotations

import re
from typing import TypeVar

from dlt.destinations.exceptions import DatabaseTerminalException

from link_assets.warehouse.redaction import without_quoted

_E = TypeVar("_E", bound=BaseException)


class WarehouseBusy(TimeoutError):
    """Another process or machine kept the warehouse for longer than the lock timeout."""


class WarehouseUnusable(OSError):
    """The warehouse's lock file cannot be made, because its folder cannot be written."""


class ConcurrentWriteError(RuntimeError):
    """Another run has written since the load that this one continues."""


class TooManyColumns(RuntimeError):
    """A table would have more columns than the warehouse allows."""


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


ROW_TOO_BIG = "54000"
"""SQLSTATE of a row that does not fit into a page of the database."""
NOT_IN_ENCODING = "22P05"
"""SQLSTATE of text that the database's encoding has no character for."""
NAMES_ONLY = ("08", "23", "28", "3D", "3F", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE whose primary message quotes names but no value of a row.

The classes are listed in PostgreSQL's documentation, appendix A.
"""
SYNTAX_ERROR = "42601"
"""The one error of these classes that quotes the statement, and with it any value."""

_PRIMARY = re.compile(r"(?:ERROR|FATAL): +(.*)")


def find_cause(error: BaseException | None, kind: type[_E]) -> _E | None:
    """Return the first exception of `kind` among `error`, its cause, the cause of that, ..."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def reason(error: BaseException) -> str:
    """Return the first line of what the database said, without values of rows.

    `error` is the driver's own or one that was raised from it.
    """
    error = _root(error)
    text = _primary(error) if _quotes_names_only(error) else without_quoted(str(error))
    (line, *_) = text.splitlines() or [type(error).__name__]
    return line.rstrip(".")


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of the error, from psycopg2 or ADBC; None if it has none."""
    error = _root(error)
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    # dlt raises DestinationConnectionError without a cause, but keeps the driver's error in it
    return getattr(error, "inner_exc", error)


def _quotes_names_only(error: BaseException) -> bool:
    if code := sqlstate(error):
        return code.startswith(NAMES_ONLY) and code != SYNTAX_ERROR
    return _is_refused_connection(error) or _is_about_names_in_duckdb(error)


def _is_refused_connection(error: BaseException) -> bool:
    """Return whether it is psycopg2's, raised without a connection: before a statement or after."""
    kind = type(error)
    return (kind.__module__, kind.__name__) == ("psycopg2", "OperationalError")


def _is_about_names_in_duckdb(error: BaseException) -> bool:
    import duckdb

    kinds = (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.IOException,
        duckdb.TransactionException,
    )
    return isinstance(error, kinds)


def _primary(error: BaseException) -> str:
    """Return the message without the details after it, which PostgreSQL takes from rows."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return str(primary)
    found = _PRIMARY.search(str(error)) if sqlstate(error) else None
    return found[1] if found else str(error)
