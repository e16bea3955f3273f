"""The queries that asset pages show run as they stand, and give rows."""

from __future__ import annotations

import duckdb
import pytest

from link_assets.contract import CLICKS, DAILY_CLICKS, DOMAINS, LINKS
from link_assets.defs.descriptions import QUERIES, described
from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets_tests.support import Location


@pytest.mark.long
def test_every_query_gives_rows_of_the_warehouse(location: Location) -> None:
    location.everything()
    assert QUERIES.keys() == {table.name for table in (DOMAINS, LINKS, CLICKS, DAILY_CLICKS)}
    with duckdb.connect(str(duckdb_path()), read_only=True) as database:
        for name, query in QUERIES.items():
            assert database.sql(query).fetchall(), name
    shown = location.click_metadata("1")
    assert shown["dagster/uri"] == f"duckdb:///{duckdb_path()}"


def test_clicks_say_when_their_partitions_appear() -> None:
    assert "Partitions appear after domains and links are loaded." in described(CLICKS)
