"""A warehouse of an earlier version, in which a column had another name."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse.destinations.duckdb import OpenDuckDb
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import rows

OF_AN_EARLIER_VERSION = Path(__file__).parent / "files" / "rejected_rows_by_row_id.duckdb.gz"
"""Written by the version before the column was renamed, from CLICKS and LINKS."""
CLICKS = {1: [{"dt": "never"}, {"dt": "2026-01-01T00:00:00Z"}, {"dt": "never"}, 7]}
LINKS = [{"id": "a", "title": "t"}, {"title": "no id"}]
REJECTED = "SELECT * FROM {dataset}.rejected_rows ORDER BY ALL"
NAMES = ["rejected_row_id", "resource", "domain_id", "reason", "payload", "_dlt_load_id"]


@pytest.fixture(autouse=True)
def former(workdir: Path, sandbox: Sandbox) -> None:
    """A warehouse of the earlier version, and the API that it was loaded from."""
    Path("warehouse.duckdb").write_bytes(gzip.decompress(OF_AN_EARLIER_VERSION.read_bytes()))
    sandbox.clicks, sandbox.links = dict(CLICKS), list(LINKS)


def columns() -> list[str]:
    found = rows(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = 'rejected_rows'"
        " AND database_name = 'warehouse' ORDER BY column_index"
    )
    return [name for (name,) in found]


@pytest.mark.long
@pytest.mark.parametrize("order", [(load_clicks, load_links), (load_links, load_clicks)])
def test_rows_that_were_rejected_stay_and_are_not_rejected_again(
    order: tuple[Any, Any], api: str, sandbox: Sandbox
) -> None:
    assert columns() == ["row_id", *NAMES[1:]]
    before = {row[0]: row[1:5] for row in rows(REJECTED)}
    assert len(before) == 4
    for _ in range(2):
        for load in order:
            load(*[1] * (load is load_clicks))
        assert columns() == NAMES
        assert {row[0]: row[1:5] for row in rows(REJECTED)} == before
    sandbox.clicks = {1: [*CLICKS[1], {"dt": "tomorrow"}]}
    load_clicks(1)
    assert len(rows(REJECTED)) == 5


def test_a_load_that_fails_after_the_renaming_is_made_up_for(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(REJECTED)
    with monkeypatch.context() as patch:
        patch.setattr(OpenDuckDb, "remember_tables_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_links()
    assert columns() == NAMES
    assert rows(REJECTED) == before
    load_links()
    load_clicks(1)
    assert [row[:5] for row in rows(REJECTED)] == [row[:5] for row in before]
