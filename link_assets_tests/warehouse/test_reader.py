"""Reading: which errors it raises."""

from __future__ import annotations

import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.warehouse.reader import reading
from link_assets_tests.support import rows
from link_assets_tests.warehouse.helpers import load_clicks


def test_a_missing_table_raises_an_error_of_its_own(api: str) -> None:
    with pytest.raises(DatabaseUndefinedRelation):
        rows("SELECT * FROM {dataset}.links")
    load_clicks()
    with pytest.raises(DatabaseUndefinedRelation, match="links"):
        rows("SELECT * FROM {dataset}.links")
    with reading() as reader:
        assert reader.columns("clicks")[:2] == ["domain_id", "click_id"]
