"""What a user reads when a load fails: the cause, and what to do about it.

Assets, checks and the loader of clicks turn errors into such sentences here. No key, and no value
of a row, is ever part of one.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError

import dagster as dg
from dlt.common.destination.exceptions import DestinationException
from requests.exceptions import ContentDecodingError, RequestException, SSLError

from link_assets.settings import SettingsError, address_setting
from link_assets.source.pages import ApiError
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import (
    NoClicks,
    OutOfMemory,
    TooManyColumns,
    WarehouseBusy,
    WarehouseUnusable,
    disk_full,
    find_cause,
)

SEE_README = "See the README's 'When something is wrong', then run this again."


@contextmanager
def failures_explained(what: str) -> Iterator[None]:
    """Turn an error with a known cause into a dg.Failure that names it and says what to do.

    Args:
        what: What is being loaded, as a message says it.

    Raises:
        dg.Failure: The cause is known. Any other error is raised unchanged.
    """
    try:
        yield
    except Exception as error:
        if known := explanation(error, what):
            raise known from None
        raise


def explanation(error: BaseException, what: str) -> dg.Failure | None:
    """Return the failure to show for an error; None if its cause is not a known one.

    Args:
        error: The error as it was raised; the cause is looked for among its causes.
        what: What was being loaded, as a message says it.
    """
    if failure := find_cause(error, dg.Failure):
        return failure
    for kind in (SettingsError, WarehouseBusy, WarehouseUnusable, TooManyColumns, NoClicks):
        if cause := find_cause(error, kind):
            return dg.Failure(str(cause), metadata={"loading": what})
    if answer := find_cause(error, ApiError):
        return dg.Failure(str(answer), metadata={"loading": what, "status": answer.status})
    for explain in (_no_answer, _disk_full, _out_of_memory, _refused):
        if text := explain(error):
            return dg.Failure(f"{what}: {text}", metadata={"loading": what})
    return None


def _no_answer(error: BaseException) -> str | None:
    """Return why the API gave no answer, and what to do."""
    unanswered = find_cause(error, RequestException)
    if unanswered is None:
        return None
    setting = address_setting(str(unanswered.request.url) if unanswered.request else "")
    if isinstance(unanswered, SSLError):
        return _not_trusted(unanswered, setting)
    unreadable = isinstance(unanswered, ContentDecodingError)
    return (
        f"the API gave no whole answer ({type(unanswered).__name__}) after all retries. Check that "
        f"{setting} is right and the API can be reached from here."
        + (" Its answer is not compressed as its Content-Encoding says." if unreadable else "")
    )


def _not_trusted(error: SSLError, setting: str) -> str:
    """Return why no encrypted connection was made, and what to do."""
    if refused := find_cause(error, SSLCertVerificationError):
        return (
            f"the API's certificate was not accepted ({refused.verify_message.rstrip('.')}). If it "
            "is your own or of an authority of your own, set REQUESTS_CA_BUNDLE to the file of the "
            "certificate that it is signed with."
        )
    return (
        f"no encrypted connection to the API could be made. Check that {setting} should begin with "
        "https, and that REQUESTS_CA_BUNDLE, if set, is a file of certificates."
    )


def _disk_full(error: BaseException) -> str | None:
    """Return where to make room, if a disk is full."""
    full = disk_full(error)
    if full is None:
        return None
    return (
        f"no room to write to disk ({full.strerror}). Make room where the warehouse is "
        "and where temporary files go (TMPDIR), then run this again; nothing was lost."
    )


def _out_of_memory(error: BaseException) -> str | None:
    """Return which settings to change, if DuckDB needs more memory than it may take."""
    lacking = find_cause(error, OutOfMemory)
    if lacking is None:
        return None
    reason = configured_warehouse().reason(lacking)
    return (
        f"DuckDB may not take the memory that this needs ({reason}). Raise "
        "LINK_ASSETS__DUCKDB_MEMORY or unset it, or have less loaded at once with "
        "SOURCES__LINK_ASSETS__CHUNK_ROWS or SOURCES__LINK_ASSETS__CHUNK_MEGABYTES; then run "
        "this again. Nothing was lost."
    )


def _refused(error: BaseException) -> str | None:
    """Return what the warehouse refused, without the values that it quotes, and what to do."""
    refused = find_cause(error, DestinationException)
    if refused is None:
        return None
    warehouse = configured_warehouse()
    advice = warehouse.advice(refused) or SEE_README
    return f"{warehouse.name} refused: {warehouse.reason(refused)}. {advice}"


def explained(event: dg.DagsterEvent) -> str | None:
    """Return the explanation that a failed step ended with; None if its cause was not a known one.

    Args:
        event: That of the step's failure, as Dagster recorded it.
    """
    shown = event.step_failure_data.user_failure_data
    return shown.description if shown and shown.description else None


def cause_of(event: dg.DagsterEvent) -> str:
    """Return why a step failed, for its user: the explanation, or the error's own text.

    Such a text may quote a row: it is not for those who do not see Dagster's log.
    """
    error = event.step_failure_data.error
    error = error and (error.cause or error)  # Dagster's own says only that the step failed
    return explained(event) or (error.message.strip() if error else event.message or "")


def kind_and_place(error: BaseException) -> str:
    """Return the error's type and where it arose, without its text, which may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
