"""Links that are read many at once are the same as links that are read one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link_assets.rows import links_arrow
from link_assets.rows.links import link_row
from link_assets.rows.links_arrow import link_batch
from link_assets.rows.rejected import Rejection
from link_assets_tests.rows.test_links import JSON, LINK, LINKS_WITH_ID, ROWS, TOP

ALIKE = ["utm_source", "UtmSource", "new", "New", "NEW", " ", "_", "x y", "Owner__id", "_dlt_id"]
PLAIN = [None, "", "a", 1, True, [], {}, "true", "7", "café", "caf%C3%A9", "\uf0261", "\0"]
TIMES = ["2020-01-01", "9999-12-31T23:59:59-01:00", "2020-05-20T06:19:12.000Z"]
NESTED = [["a"], ["a", None], [1], {"id": 1}, {"ID": 2, "Id": "3", "name": "x"}, {"name": "\uf026"}]
VALUES = st.sampled_from([*PLAIN, *TIMES, *NESTED])
ODD_LINKS = st.dictionaries(st.sampled_from([*TOP, *ALIKE]), VALUES, max_size=8)


def filled(link: dict[str, Any]) -> dict[str, Any]:
    """The values of a link that a warehouse would hold."""
    return {column: value for column, value in link.items() if value not in (None, [])}


def one_by_one(rows: list[Any]) -> dict[int, Any]:
    read = map(link_row, rows)
    return {i: r if isinstance(r, Rejection) else filled(r) for i, r in enumerate(read)}


def at_once(rows: list[Any]) -> dict[int, Any]:
    batch = link_batch(rows)
    links = zip(batch.accepted, map(filled, batch.table.to_pylist()), strict=True)
    return dict(links) | batch.rejections


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(ROWS | LINKS_WITH_ID | JSON | ODD_LINKS.map(lambda r: {"id": "x"} | r), max_size=6))
def test_reading_many_at_once_and_one_by_one_agree(rows: list[Any]) -> None:
    assert at_once(rows) == one_by_one(rows)


@pytest.mark.parametrize(
    "odd",
    [
        {"archived": "perhaps"},
        {"Owner": "Ada"},
        {"tags": 0},
        {"New": "its column depends on other fields"},
        {"id": None, "idString": ""},
    ],
    ids=repr,
)
def test_an_odd_link_is_read_by_itself_and_the_others_at_once(
    monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    alone: list[Any] = []
    monkeypatch.setattr(links_arrow, "link_row", lambda row: alone.append(row) or link_row(row))
    rows = [LINK, LINK | odd, LINK | {"new": 1, "redirectType": 302}]
    assert at_once(rows) == one_by_one(rows)
    assert alone == [rows[1]]
