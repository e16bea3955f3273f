"""What a user is told when a load fails."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError

import dagster as dg
from dlt.common.destination.exceptions import DestinationException
from requests.exceptions import ContentDecodingError, RequestException, SSLError

from link_assets.settings import SettingsError
from link_assets.source.pages import ApiError
from link_assets.warehouse.access import warehouse_name
from link_assets.warehouse.errors import (
    NOT_IN_ENCODING,
    ROW_TOO_BIG,
    OutOfMemory,
    TooManyColumns,
    WarehouseBusy,
    WarehouseUnusable,
    find_cause,
    reason,
    sqlstate,
)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SEE_README = "See the README's 'When something is wrong', then run this again."
ADVICE = {
    ROW_TOO_BIG: "A row has more fields than PostgreSQL can keep in one row, which is about 450 "
    "long texts. Nothing of this load was written. Ask the API's provider what the undocumented "
    "fields are for, or load into DuckDB, which takes such rows.",
    NOT_IN_ENCODING: "Load into a database with the encoding UTF8, which takes all text.",
}
"""By PostgreSQL's code of an error, what to do about it."""


@contextmanager
def failures_explained(what: str) -> Iterator[None]:
    """Turns failures with a known cause into a dg.Failure that names it and what to do.

    `what` is what was being loaded. Anything unknown passes unchanged.
    """
    try:
        yield
    except Exception as error:
        if known := explanation(error, what):
            raise known from None
        raise


def explanation(error: BaseException, what: str) -> dg.Failure | None:
    """The failure to show for `error`; None if its cause is not one of the known ones."""
    if told := find_cause(error, dg.Failure):
        return told
    for kind in (SettingsError, WarehouseBusy, WarehouseUnusable, TooManyColumns):
        if cause := find_cause(error, kind):
            return dg.Failure(str(cause), metadata={"loading": what})
    if answer := find_cause(error, ApiError):
        return dg.Failure(str(answer), metadata={"loading": what, "status": answer.status})
    if unanswered := find_cause(error, RequestException):
        return dg.Failure(f"{what}: {_no_answer(unanswered)}", metadata={"loading": what})
    if (full := find_cause(error, OSError)) and full.errno in DISK_FULL:
        return dg.Failure(
            f"{what}: no room to write to disk ({full.strerror}). Make room where the warehouse is "
            "and where temporary files go (TMPDIR), then run this again; nothing was lost.",
            metadata={"loading": what},
        )
    if lacking := find_cause(error, OutOfMemory):
        return dg.Failure(
            f"{what}: DuckDB may not take the memory that this needs ({reason(lacking)}). Raise "
            "LINK_ASSETS__DUCKDB_MEMORY or unset it, or have less loaded at once with "
            "SOURCES__LINK_ASSETS__CHUNK_ROWS or SOURCES__LINK_ASSETS__CHUNK_MEGABYTES; then run "
            "this again. Nothing was lost.",
            metadata={"loading": what},
        )
    if refused := find_cause(error, DestinationException):
        advice = ADVICE.get(sqlstate(refused) or "", SEE_README)
        return dg.Failure(
            f"{what}: {warehouse_name()} refused: {reason(refused)}. {advice}",
            metadata={"loading": what},
        )
    return None


def _no_answer(error: RequestException) -> str:
    """Why there was no answer, and what to do."""
    if isinstance(error, SSLError):
        return _not_trusted(error)
    unreadable = isinstance(error, ContentDecodingError)
    return (
        f"the API gave no whole answer ({type(error).__name__}) after all retries. Check that "
        "SOURCES__LINK_ASSETS__BASE_URL is right and the API can be reached from here."
        + (" Its answer is not compressed as its Content-Encoding says." if unreadable else "")
    )


def _not_trusted(error: SSLError) -> str:
    if refused := find_cause(error, SSLCertVerificationError):
        return (
            f"the API's certificate was not accepted ({refused.verify_message.rstrip('.')}). If it "
            "is your own or of an authority of your own, set REQUESTS_CA_BUNDLE to the file of the "
            "certificate that it is signed with."
        )
    return (
        "no encrypted connection to the API could be made. Check that "
        "SOURCES__LINK_ASSETS__BASE_URL should begin with https, and that REQUESTS_CA_BUNDLE, if "
        "set, is a file of certificates."
    )


def kind_and_place(error: BaseException) -> str:
    """The error's type and where it arose, without its text, which may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
