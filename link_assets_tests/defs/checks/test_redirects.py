"""The check `known_links` after a load of everything."""

from __future__ import annotations

import pytest

from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
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


def test_redirects_through_links_that_are_not_there_are_counted(loaded: Location) -> None:
    redirects = rows("SELECT count(*) FROM {dataset}.clicks WHERE st = 302")[0][0]
    rows("UPDATE {dataset}.clicks SET path = '/gone' WHERE st = 302 AND domain_id = 2")
    moved = rows("SELECT count(*) FROM {dataset}.clicks WHERE path = '/gone'")[0][0]
    rows("UPDATE {dataset}.clicks SET path = upper(path) WHERE domain_id = 1")
    assert redirects > moved > 0
    unknown = f"{moved} of {redirects} redirects went through links that are not in the links table"
    told = f"{unknown}: /gone of domain 2 (go2.example.com). "
    assert troubles(found := checked(loaded)) == {"clicks.known_links": told}
    expected = {"redirects": redirects, "without_link": moved}
    assert numbers(found, "clicks.known_links") == expected


@pytest.mark.long
def test_a_link_of_another_domain_does_not_make_a_redirect_known(loaded: Location) -> None:
    rows("UPDATE {dataset}.links SET domain_id = 3 WHERE domain_id = 2")
    moved = rows("SELECT count(*) FROM {dataset}.clicks WHERE st = 302 AND domain_id = 2")[0][0]
    assert numbers(checked(loaded), "clicks.known_links")["without_link"] == moved > 0
