"""The check `no_rejected_rows`: rows that could not be read, by domain."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from link_assets.defs.checks.last_loads import LastLoad, LastLoads
from link_assets.defs.checks.rejected_rows import rejections
from link_assets.sandbox import Sandbox
from link_assets_tests.defs.checks.evaluated import (
    by_the_guide,
    checked,
    troubles,
)
from link_assets_tests.support import Location, rows


@pytest.fixture
def sandbox() -> Sandbox:
    """An API without anything for a check to find."""
    return by_the_guide()


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.long
def test_rejected_rows_fail_by_domain_until_a_later_load_is_clean(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.clicks
    good = list(sandbox.clicks[2])
    sandbox.clicks[2][:0] = [{"path": "/no-time"}, {"dt": "never"}]
    sandbox.clicks[3][:0] = [{"dt": "2026-03-01T00:00:00Z", "st": "odd"}]
    assert loaded.clicks("2", "3").success
    second, third = "domain 2 (go2.example.com)", "domain 3 (go3.example.com)"
    told = f"3 rows could not be read in the last load: 2 of {second}, 1 of {third}. "
    whole = "They are kept whole, with the reason: "
    assert troubles(checked(loaded)) == {"clicks.no_rejected_rows": told + whole}
    sandbox.clicks[2][:] = good
    assert loaded.clicks("2").success
    told = f"1 rows could not be read in the last load: 1 of {third}. "
    assert troubles(checked(loaded)) == {"clicks.no_rejected_rows": told + whole}


@pytest.mark.long
def test_a_rejected_link_fails_its_check_and_can_be_found_as_it_says(
    loaded: Location, sandbox: Sandbox
) -> None:
    assert sandbox.links
    sandbox.links.append({"path": "no-id"})
    assert loaded.links().success
    told = checked(loaded)["links.no_rejected_rows"]
    assert not told.passed
    query = str(told.description).partition("the reason: ")[2].rstrip(".")
    found = rows(query.replace("link_assets.", "{dataset}."))
    assert [(domain, payload) for domain, _, payload in found] == [(None, '{"path":"no-id"}')]


def rejecting(rows: int) -> LastLoad:
    """A load that rejected so many rows."""
    return LastLoad(NOW, {"rejected_rows": rows})


@pytest.mark.parametrize(
    ("loads", "problem"),
    [
        ({"1": rejecting(0), "2": LastLoad(NOW)}, ""),
        (
            {"1": rejecting(4), "2": rejecting(0), "3": rejecting(1)},
            "5 rows could not be read in the last load: 4 of domain 1, 1 of domain 3.",
        ),
        ({}, "The clicks were never loaded."),
    ],
)
def test_rejections_are_counted_by_domain(loads: dict[str, LastLoad], problem: str) -> None:
    assert rejections(LastLoads("clicks", [*loads], loads, 25)).problem == problem
