"""Required columns, unique keys and unknown columns."""

from __future__ import annotations

import pytest

from link_assets.contract import CLICKS, LINKS
from link_assets.defs.checks.judged_rows import Rows
from link_assets.defs.checks.row_checks import repeated_keys
from link_assets.sandbox import Sandbox
from link_assets.warehouse.reader import reading
from link_assets_tests.defs.checks.evaluated import (
    LONG_AGO,
    by_the_guide,
    checked,
    numbers,
    troubles,
)
from link_assets_tests.support import Location, rows


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


def test_required_fields_the_api_omits_and_fields_it_adds_are_named(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.links
    for link in sandbox.links[:2]:
        del link["updatedAt"]
    del sandbox.links[1]["originalURL"]
    sandbox.links[2] |= {"skipQS": True, "Colour": "red"}
    assert loaded.links().success
    found = checked(loaded)
    assert troubles(found) == {
        "links.required_columns": "Columns that the API's guide calls required are empty: "
        "original_url (1 rows), updated_at (2 rows). ",
        "links.no_unknown_columns": "The API sends fields that its guide does not list: "
        "colour, skip_qs. They are loaded as they come; ",
    }
    empty = numbers(found, "links.required_columns")
    assert empty == {"judged": 12, "original_url": 1, "updated_at": 2}
    unknown = numbers(found, "links.no_unknown_columns")
    assert unknown.pop("judged") == len(LINKS.columns) + unknown["unknown"]
    assert unknown == {"unknown": 2, "unknown_columns": ["colour", "skip_qs"]}


@pytest.mark.long
def test_what_short_io_documents_and_omits_is_no_finding_there(
    loaded: Location, sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.links
    sandbox.links[0] |= {"skipQS": True, "FolderId": "f", "Colour": "red"}
    for link in sandbox.links:
        del link["updatedAt"]
    assert loaded.links().success
    monkeypatch.setenv("SOURCES__LINK_ASSETS__API", "short_io")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__STATISTICS_URL", api)
    found = checked(loaded)
    assert "does not list: colour. " in str(found["links.no_unknown_columns"].description)
    assert found["links.required_columns"].passed
    rows("UPDATE {dataset}.links SET original_url = NULL")
    told = str(checked(loaded)["links.required_columns"].description)
    assert "original_url (12 rows). " in told


@pytest.mark.parametrize(("table", "key"), [("links", "id"), ("clicks", "domain_id, dt, click_id")])
def test_a_row_written_past_the_loader_is_a_repeated_key(
    table: str, key: str, loaded: Location
) -> None:
    rows(f"INSERT INTO {{dataset}}.{table} SELECT * FROM {{dataset}}.{table} LIMIT 2")
    repeated = f"2 keys ({key}) stand in more than one row of {table}. "
    told = troubles(found := checked(loaded))
    told.pop("daily_clicks.totals_agree", None)
    assert told == {f"{table}.unique_keys": f"{repeated}Rows were written past the loader: "}
    assert numbers(found, f"{table}.unique_keys")["repeated_keys"] == 2


@pytest.mark.parametrize(("since", "problems"), [(None, 3), (1_999_999_999, 2), (2_000_000_001, 0)])
def test_a_key_is_repeated_if_one_of_its_rows_is_new(
    since: int | None, problems: int, loaded: Location
) -> None:
    rows(f"UPDATE {{dataset}}.clicks SET _dlt_load_id = '{LONG_AGO}'")
    for domain, load in ((1, LONG_AGO), (2, "2000000000.5"), (3, "2000000000.7")):
        rows(
            f"INSERT INTO {{dataset}}.clicks SELECT * REPLACE ('{load}' AS _dlt_load_id)"
            f" FROM {{dataset}}.clicks WHERE domain_id = {domain} LIMIT 1"
        )
    with reading() as reader:
        found = repeated_keys(reader, Rows(CLICKS, since))
    assert found.metadata.get("repeated_keys", 0) == problems
