"""Pages are read while the next ones are fetched, and none of their rows is passed over."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dlt.common.exceptions import DltException

from link_assets.rows import clicks_arrow
from link_assets.rows.clicks import ClickBatch
from link_assets.rows.clicks_arrow import ClickReader
from link_assets.sandbox import Fault, RequestRecord, Sandbox, World
from link_assets.settings import api_settings
from link_assets.source import transforms
from link_assets.source.rest import clicks_source
from link_assets.source.run_resources import RunResources, open_resources
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.children import load_clicks
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_clicks, loaded_clicks, world_clicks

CLICKS = world_clicks(World(clicks_per_domain=40), 1)
DIGITS = "1" * 5_000
WAIT = 10


@pytest.fixture
def sandbox() -> Sandbox:
    """One domain of 40 clicks in pages of 15."""
    return Sandbox(clicks={1: CLICKS}, page_size=15)


@pytest.fixture(autouse=True)
def every_page_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "BATCH_ROWS", 15)


def pages(sandbox: Sandbox) -> list[int | None]:
    return [record.page for record in sandbox.requests]


def load_sharing(resources: RunResources, domain: int) -> None:
    with open_pipeline(f"clicks_{domain}") as pipeline:
        pipeline.run(clicks_source(api_settings(), domain, resources=resources))


def test_the_next_page_is_fetched_while_one_is_read(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_asked = threading.Event()
    asked_in_time: list[bool] = []
    read = ClickReader.read

    def read_later(reader: ClickReader, pages: Any) -> list[ClickBatch]:
        asked_in_time.append(second_asked.wait(WAIT))
        return read(reader, pages)

    def asked(record: RequestRecord) -> None:
        if record.page == 2:
            second_asked.set()

    monkeypatch.setattr(ClickReader, "read", read_later)
    sandbox.on_request = asked
    load_clicks(1)
    assert asked_in_time == [True] * 3
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_of_a_click_that_comes_twice_beside_old_ones_the_last_version_is_loaded(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(days=90)
    first, second = (CLICKS[0] | {"dt": now.isoformat(), "city": city} for city in ("A", "B"))
    too_old = [CLICKS[i] | {"dt": old.isoformat()} for i in (1, 2)]
    sandbox.clicks, sandbox.page_size = {1: [first, *too_old, second]}, 2
    monkeypatch.setenv("SOURCES__LINK_ASSETS__KEEP_CLICKS_DAYS", "60")
    load_clicks(1)
    assert rows("SELECT city FROM {dataset}.clicks") == [("B",)]


def test_a_field_that_one_domain_has_brought_is_known_for_the_next(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = [click | {"brought_by_one": "x"} for click in CLICKS]
    sandbox.clicks = {1: brought, 2: brought}
    with open_resources(api_settings()) as resources:
        load_sharing(resources, 1)
        monkeypatch.setattr(clicks_arrow, "click_batches", None)  # none is read as objects
        load_sharing(resources, 2)
    assert rows("SELECT DISTINCT brought_by_one FROM {dataset}.clicks") == [("x",)]


def test_a_failed_conversion_fails_the_load_and_the_next_one_reads_the_page_again(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reader: ClickReader, pages: Any) -> list[ClickBatch]:
        raise MemoryError("too many clicks")

    with monkeypatch.context() as patch:
        patch.setattr(ClickReader, "read", fail)
        with pytest.raises(DltException, match="too many clicks"):
            load_clicks(1)
    sandbox.reset_log()
    load_clicks(1)
    assert pages(sandbox) == [1, 2, 3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_a_page_that_fails_while_another_is_read_fails_the_load(api: str, sandbox: Sandbox) -> None:
    sandbox.faults = [Fault(page=2, status=403)]
    with pytest.raises(DltException, match="page 2: the API answered 403"):
        load_clicks(1)
    load_clicks(1)
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_a_load_that_is_cut_short_is_resumed_after_the_rows_it_loaded(
    api: str, sandbox: Sandbox
) -> None:
    with open_pipeline("clicks_1") as pipeline:
        pipeline.run(clicks_source(api_settings(), 1).add_limit(1))
    assert loaded_clicks() == expected_clicks({1: CLICKS[:15]})
    sandbox.reset_log()
    load_clicks(1)
    assert pages(sandbox) == [2, 3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})


def test_chunks_of_several_batches_follow_each_other_without_a_gap(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "30")
    load_clicks(1)
    assert pages(sandbox) == [1, 2, 3]
    assert loaded_clicks() == expected_clicks({1: CLICKS})
    ((loads,),) = rows("SELECT count(DISTINCT _dlt_load_id) FROM {dataset}.clicks")
    assert loads == 2


def test_a_number_of_more_digits_than_python_takes_is_kept(api: str, sandbox: Sandbox) -> None:
    click = '{"dt": "2026-02-01T12:00:00Z", "host": "a.example", "%s": %s}'
    listed = ", ".join(click % (name, DIGITS) for name in ("big", "ua", "st"))
    page = f'{{"data": [{listed}], "nextPageToken": null}}'
    sandbox.faults = [Fault(raw=page.encode())]
    load_clicks(1)
    assert rows("SELECT big, ua FROM {dataset}.clicks ORDER BY big") == [
        (DIGITS, None),
        (None, DIGITS),
    ]
    ((reason, payload),) = rows("SELECT reason, payload FROM {dataset}.rejected_rows")
    assert reason == "st: is a whole number beyond 64 bits"
    assert f'"st":{DIGITS}' in payload
