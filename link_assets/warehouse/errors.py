"""What a database says when it refuses, with its names of things and without the values in rows."""

from __future__ import annotations

import re

from link_assets.rows.personal import without_quoted


class TooManyColumns(RuntimeError):
    """A table would have more columns than the warehouse can give it."""


ROW_TOO_BIG = "54000"
NOT_IN_ENCODING = "22P05"
NAMES_ONLY = ("08", "23", "28", "3D", "3F", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE of which PostgreSQL's primary message quotes names, but no value of a row."""
SYNTAX_ERROR = "42601"
"""Of these classes the one error that quotes whatever stands in the statement."""

_PRIMARY = re.compile(r"(?:ERROR|FATAL): +(.*)")


def reason(error: BaseException) -> str:
    """The first line of what the database said, without values; `error` may wrap its error."""
    error = _root(error)
    text = _primary(error) if _quotes_names_only(error) else without_quoted(str(error))
    (line, *_) = text.splitlines() or [type(error).__name__]
    return line.rstrip(".")


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of the error, from psycopg2 or ADBC; None if there is none."""
    error = _root(error)
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    # dlt's error of a refused connection keeps the database's own, but has no cause
    return getattr(error, "inner_exc", error)


def _quotes_names_only(error: BaseException) -> bool:
    if code := sqlstate(error):
        return code.startswith(NAMES_ONLY) and code != SYNTAX_ERROR
    return _is_refused_connection(error) or _is_about_names_in_duckdb(error)


def _is_refused_connection(error: BaseException) -> bool:
    """Whether it is psycopg2's before any statement was sent, or after the connection was lost."""
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
    """The message without the details that follow it, which PostgreSQL takes from rows."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return str(primary)
    found = _PRIMARY.search(str(error)) if sqlstate(error) else None
    return found[1] if found else str(error)
