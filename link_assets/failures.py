"""What a user is told when a load fails."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError
from typing import TypeVar

import dagster as dg
from dlt.common.destination.exceptions import DestinationException
from requests.exceptions import ContentDecodingError, RequestException, SSLError

from link_assets.paging import ApiError
from link_assets.personal import without_quoted
from link_assets.settings import SettingsError
from link_assets.warehouse import WarehouseBusy, WarehouseUnusable, warehouse_name

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_E = TypeVar("_E", bound=BaseException)


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
    for kind in (SettingsError, WarehouseBusy, WarehouseUnusable):
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
    if refused := find_cause(error, DestinationException):
        return dg.Failure(
            f"{what}: {warehouse_name()} refused: {_reason(refused)}. See the README's "
            "'When something is wrong', then run this again.",
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


def _reason(error: BaseException) -> str:
    """The first line of what the database said, without what it quotes: values among it."""
    while error.__cause__ is not None:
        error = error.__cause__
    (line, *_) = without_quoted(str(error)).splitlines() or [type(error).__name__]
    return line.rstrip(".")


def find_cause(error: BaseException | None, kind: type[_E]) -> _E | None:
    """The first exception of `kind` among `error` and what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
