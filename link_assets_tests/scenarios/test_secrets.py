"""The API key is in nothing that a run leaves or says, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from link_assets.sandbox import Fault, Sandbox
from link_assets.sandbox.app import Position
from link_assets_tests.support import Location, failure_text, mostly_long
from link_assets_tests.traces import Traces, events

KEY = "k3y-7b1f-that-nobody-may-see"
CLICKS_PATH = "/v1/domain/1/link_clicks"


@pytest.fixture
def secret_key(sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API takes the marker for its key, and it is configured."""
    sandbox.api_key = KEY
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API_KEY", KEY)


def faulty(**what: Any) -> Callable[[Sandbox, pytest.MonkeyPatch], None]:
    def trouble(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
        sandbox.faults.append(Fault(times=None, **what))

    return trouble


def wrong_key(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    sandbox.api_key = "another"


def unsendable_key(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SOURCES__LINK_ASSETS__API_KEY", f"{KEY}\nX-Other: 1")


def no_warehouse(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    Path("warehouse.duckdb").write_bytes(b"not a database " * 1000)


def no_folder(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    patch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "file/warehouse.duckdb")


def unusable_setting(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("LINK_ASSETS__LOCK_TIMEOUT_SECONDS", "-1")


TROUBLES: dict[str, tuple[Callable[[Sandbox, pytest.MonkeyPatch], None], str]] = {
    "wrong key": (wrong_key, "page 1: the API answered 401"),
    "refused": (faulty(status=403, page=2), "page 2: the API answered 403"),
    "unavailable": (faulty(status=500), "page 1: the API answered 500"),
    "redirect": (faulty(status=302, headers={"Location": "/"}), "it points elsewhere"),
    "reset": (faulty(connection="reset"), "no whole answer (ConnectionError)"),
    "cut off": (faulty(connection="short_body"), "no whole answer (ChunkedEncodingError)"),
    "broken gzip": (faulty(gzip="broken"), "no whole answer (ContentDecodingError)"),
    "HTML": (faulty(raw=b"<html>", content_type="text/html"), "the answer is not JSON"),
    "odd token": (
        faulty(replace=lambda page: page | {"nextPageToken": True}),
        "nextPageToken is neither text nor null",
    ),
    "unsendable key": (unsendable_key, "API_KEY must be printable ASCII"),
    "no database": (no_warehouse, "not a valid DuckDB database"),
    "no folder": (no_folder, "file"),
    "unusable setting": (unusable_setting, "LOCK_TIMEOUT_SECONDS must be more than zero"),
}


def run(location: Location, asset: str) -> dg.ExecuteInProcessResult:
    if asset == "links":
        return location.links()
    location.instance.add_dynamic_partitions("domain", ["1"])
    return location.clicks("1")


@pytest.mark.parametrize("asset", ["links", "clicks"])
@pytest.mark.parametrize("trouble", mostly_long(TROUBLES, 2))
def test_a_failed_run_leaves_the_key_nowhere(
    trouble: str,
    asset: str,
    location: Location,
    sandbox: Sandbox,
    secret_key: None,
    traces: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, says = TROUBLES[trouble]
    make(sandbox, monkeypatch)
    sandbox.page_size = 5
    result = run(location, asset)
    assert not result.success
    assert says in failure_text(result)
    traces.said += [*events(location, result), failure_text(result)]
    assert all(record.authorized == (trouble != "wrong key") for record in sandbox.requests)
    assert traces.with_(KEY) == set()
    assert "log" in traces.with_("STEP_FAILURE")


def test_a_good_run_leaves_the_key_nowhere_and_would_be_seen_to(
    location: Location,
    sandbox: Sandbox,
    secret_key: None,
    traces: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "15")
    results = [run(location, asset) for asset in ("links", "clicks")]
    for result in results:
        assert result.success
        traces.said += events(location, result)
    assert all(record.authorized for record in sandbox.requests)
    assert traces.with_(KEY) == set()
    assert {"tables", "parquet"} <= traces.with_("go1.example.com")
    # the state is there to be searched, too
    assert "tables" in traces.with_(Position(CLICKS_PATH, 3, 10).token())
    assert "log" in traces.with_("Making GET request to http://127.0.0.1")
    assert "db" in traces.with_("rows_loaded")


SCRIPT = """
import sys, traceback
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source, links_source
from link_assets.warehouse.pipeline import open_pipeline

make = {"links": links_source, "clicks": lambda settings: clicks_source(settings, 1)}[sys.argv[1]]
print("settings:", api_settings())
with open_pipeline(sys.argv[1]) as pipeline:
    try:
        pipeline.run(make(api_settings()))
    except Exception as error:
        print(pipeline.dlt.last_trace)
        traceback.print_exc()
        while error is not None:
            print(repr(error), str(error), error.args, vars(error))
            error = error.__cause__ or error.__context__
        raise
    print(pipeline.dlt.last_trace, pipeline.dlt.last_trace.asstr(verbosity=9), pipeline.dlt.state)
"""


@pytest.mark.long
@pytest.mark.parametrize("asset", ["links", "clicks"])
@pytest.mark.parametrize(
    "trouble",
    mostly_long(["wrong key", None, "unavailable", "reset", "broken gzip", "HTML", "odd token"], 1),
)
def test_a_plain_script_that_shows_all_it_can_does_not_show_the_key(
    trouble: str | None,
    asset: str,
    sandbox: Sandbox,
    secret_key: None,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if trouble:
        TROUBLES[trouble][0](sandbox, monkeypatch)
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    command = [sys.executable, "-c", SCRIPT, asset]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, cwd=workdir)
    told = done.stdout + done.stderr
    assert (done.returncode == 0) == (trouble is None), told
    assert "Making GET request to http://127.0.0.1" in told
    assert "settings: ApiSettings(" in told
    assert trouble is None or "Traceback" in told
    assert sandbox.requests
    assert KEY not in told
    left = [file for file in workdir.rglob("*") if file.is_file()]
    assert not [file for file in left if KEY.encode() in file.read_bytes()]
