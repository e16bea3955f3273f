"""What a user is told: the cause and what to do about it, and no secret."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import contextmanager
from threading import Thread
from typing import Any

import dagster as dg
import duckdb
import pytest
import requests
from dlt.destinations.exceptions import DatabaseTerminalException
from dlt.extract.exceptions import ResourceExtractionError

from link_assets.defs.failures import explanation, failures_explained, find_cause
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import SettingsError, api_settings
from link_assets.source.pages import ApiError
from link_assets.source.rest import links_source
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.errors import WarehouseBusy
from link_assets.warehouse.pipeline import WarehousePipeline, open_pipeline
from link_assets.warehouse.redaction import without_quoted

SECRET = "the-key-nobody-may-see"


def answer(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


def wrapped(error: BaseException) -> BaseException:
    """The error as a pipeline hands it on: the cause of a cause, with a text of its own."""
    outer = RuntimeError(f"step failed: {SECRET}")
    outer.__cause__ = ValueError("extraction failed")
    outer.__cause__.__context__ = error
    return outer


def refused(text: str) -> BaseException:
    """What dlt raises when the database says this."""
    error = DatabaseTerminalException(ValueError(text))
    error.__cause__ = ValueError(text)
    return error


NO_ANSWER = "links: the API gave no whole answer ({}) after all retries. Check that SOURCES__"
KNOWN: list[tuple[BaseException, str]] = [
    (SettingsError("No API key: set API_KEY."), "No API key: set API_KEY."),
    (WarehouseBusy("The warehouse was not free."), "The warehouse was not free."),
    (ApiError("links, page 2: bad.", response=answer(503)), "links, page 2: bad."),
    (requests.ConnectionError(SECRET), NO_ANSWER.format("ConnectionError")),
    (requests.ReadTimeout(SECRET), NO_ANSWER.format("ReadTimeout")),
    (requests.exceptions.ChunkedEncodingError(SECRET), NO_ANSWER.format("ChunkedEncodingError")),
    (requests.exceptions.ContentDecodingError(SECRET), NO_ANSWER.format("ContentDecodingError")),
    (OSError(errno.ENOSPC, "No space left on device", SECRET), "links: no room to write to disk"),
    (refused(f'invalid input syntax: "{SECRET}"'), "links: The warehouse "),
    (refused(f"Conversion Error: 'it''s {SECRET}'"), "links: The warehouse "),
    (refused(f"Conversion Error: '{SECRET}\nof two lines'"), "links: The warehouse "),
    (requests.TooManyRedirects(SECRET), NO_ANSWER.format("TooManyRedirects")),
]


@pytest.mark.parametrize(("error", "text"), KNOWN, ids=[type(error).__name__ for error, _ in KNOWN])
@pytest.mark.parametrize("handed_on", [lambda error: error, wrapped], ids=["bare", "wrapped"])
def test_a_known_cause_is_explained_with_what_was_being_loaded(
    error: BaseException, text: str, handed_on: Callable[[BaseException], BaseException]
) -> None:
    told = explanation(handed_on(error), "links")
    assert told is not None
    assert str(told.description).startswith(text)
    assert told.metadata["loading"].value == "links"
    assert SECRET not in f"{told.description} {told.metadata}"


def test_the_status_of_an_answer_is_in_the_metadata() -> None:
    told = explanation(wrapped(ApiError("no", response=answer(404))), "links")
    assert told is not None
    assert told.metadata["status"].value == 404


@pytest.mark.parametrize("error", [KeyError("x"), wrapped(OSError("disk full"))], ids=repr)
def test_an_unknown_error_passes_unchanged(error: BaseException) -> None:
    assert explanation(error, "links") is None
    with pytest.raises(type(error)) as passed, failures_explained("links"):
        raise error
    assert passed.value is error


def test_an_interrupt_is_not_turned_into_a_failure() -> None:
    with pytest.raises(KeyboardInterrupt), failures_explained("links"):
        raise KeyboardInterrupt from SettingsError("x")


def test_the_failure_is_raised_without_its_causes() -> None:
    with pytest.raises(dg.Failure) as failure, failures_explained("links"):
        raise wrapped(SettingsError("No API key."))
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_a_circle_of_causes_is_searched_once() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    found: list[Any] = []
    search = Thread(target=lambda: found.append(find_cause(first, SettingsError)), daemon=True)
    search.start()
    search.join(timeout=10)
    assert found == [None]


@contextmanager
def another_writer(_: Sandbox) -> Any:
    with exclusive_access("loading clicks_7"):
        yield


@contextmanager
def fault(sandbox: Sandbox, **what: Any) -> Any:
    sandbox.faults.append(Fault(times=None, **what))
    yield


REAL: list[tuple[str, Any, str]] = [
    ("wrong key", lambda box: fault(box, status=401), "links, page 1: the API answered 401"),
    ("reset", lambda box: fault(box, connection="reset"), NO_ANSWER.format("ConnectionError")),
    ("not JSON", lambda box: fault(box, raw=b"<p>"), "links, page 1: the answer is not JSON"),
    ("busy", another_writer, "The warehouse was not free for 0.1 seconds"),
]


def run_explained(pipeline: WarehousePipeline) -> None:
    with failures_explained("links"):
        pipeline.run(links_source(api_settings()))


@pytest.mark.parametrize(
    ("trouble", "text"), [case[1:] for case in REAL], ids=[case[0] for case in REAL]
)
def test_real_trouble_is_explained_without_the_key(
    sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch, trouble: Any, text: str
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", SECRET)
    monkeypatch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "0.1")
    sandbox.api_key = SECRET
    monkeypatch.setenv("SOURCES__LINK_ASSETS__MAX_RETRIES", "1")
    with open_pipeline("links") as pipeline, trouble(sandbox), pytest.raises(dg.Failure) as failure:
        run_explained(pipeline)
    assert str(failure.value.description).startswith(text)
    assert SECRET not in f"{failure.value!r} {failure.value.description} {failure.value.metadata}"


def test_a_script_that_shows_the_whole_error_does_not_show_the_key(
    sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", SECRET)
    with pytest.raises(ResourceExtractionError) as refused:
        list(links_source(api_settings()).resources["links"])
    assert "answered 401" in str(refused.getrepr(style="long"))
    error: BaseException | None = refused.value
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__cause__ or error.__context__


SHOWN = [
    'column "social" of relation "clicks" does not exist',
    'relation "link_assets.clicks" does not exist',
    "Table 'links__tags' is gone",
    'null value in column "dt" of relation "clicks" violates not-null constraint',
    "no quotes at all",
]
BLANKED = [
    'invalid input syntax for type bigint: "{}"',
    'column "st" is no number: "{}"',
    'invalid: "a" {} "b"',
    'invalid: "clicks" {} "clicks"',
    'invalid: "{}" of relation "clicks"',
    'invalid: "x" {} "clicks"',
    "Could not convert string 'it''s {}' to INT64",
    'duplicate key violates unique constraint "x"\nDETAIL:  Key (title)=({}) already exists.',
    "null value\nDETAIL:  Failing row contains (1, it's {}).",
    'invalid: "{}\nDETAIL: of a text"',
    'invalid: "of a text\nDETAIL: {}"',
]


@pytest.mark.parametrize("text", SHOWN)
def test_names_of_the_contract_are_shown(text: str) -> None:
    assert without_quoted(text) == text


@pytest.mark.parametrize("text", BLANKED)
def test_a_quoted_value_is_not_shown_even_if_it_holds_names_of_the_contract(text: str) -> None:
    for value in (SECRET, f'"{SECRET}"', f"clicks {SECRET} dt", f'x" {SECRET} "clicks'):
        assert SECRET not in without_quoted(text.format(value))


REFUSED_BY_DUCKDB = [
    ("DROP TABLE t; SELECT * FROM t", "Table with name t does not exist"),
    ("SELECT missing FROM t", 'column "missing" not found'),
    ("SELECT CAST(c AS INTEGER) FROM t", "Could not convert string '...' to INT32"),
    ("INSERT INTO t VALUES (NULL)", "NOT NULL constraint failed: t.c"),
    ("INSERT INTO t FROM t", "violates unique constraint"),
    ("ATTACH '/nowhere/w.duckdb'", "/nowhere/w.duckdb"),
]


@pytest.mark.parametrize(("statement", "text"), REFUSED_BY_DUCKDB)
def test_an_error_of_duckdb_is_shown_with_names_and_without_values(
    statement: str, text: str
) -> None:
    with duckdb.connect() as database:
        database.execute("CREATE TABLE t (c VARCHAR NOT NULL UNIQUE)")
        database.execute("INSERT INTO t VALUES (?)", [SECRET])
        with pytest.raises(duckdb.Error) as error:
            database.execute(statement)
    refusal = DatabaseTerminalException(error.value)
    refusal.__cause__ = error.value
    told = explanation(refusal, "links")
    assert told is not None
    assert text in str(told.description)
    assert SECRET not in str(told.description)
