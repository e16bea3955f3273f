"""What Airbyte's connectors for Short.io get of the sandbox, and what they miss.

The one on PyPI, `airbyte-source-shortio` 0.2.13, needs pydantic 1 and a Python before 3.11, so it
cannot run beside this project. These readers ask as its manifest says, and as the tests of its
successor do: the same paths, parameters and page tokens. docs/short_io.md tells what comes of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from link_assets.sandbox import World
from link_assets.sandbox.short_io import served_clicks, served_links
from link_assets_tests.others.short_io_client import Caller, served

LOOKBACK = timedelta(days=31)
RECENT = World(
    domains=2, links_per_domain=30, end=datetime.now(UTC) - timedelta(hours=1), clicks_per_domain=95
)
OLD = World(domains=1, clicks_per_domain=95, end=datetime.now(UTC) - timedelta(days=40))


def links(api: Caller, domain: int, start: datetime) -> list[dict[str, Any]]:
    """Return links of the months since the start: `beforeDate`, `afterDate`, then page tokens."""
    rows: list[dict[str, Any]] = []
    first = start - LOOKBACK
    while first < datetime.now(UTC):
        last = first + timedelta(days=30)
        dates = {"afterDate": first.isoformat(), "beforeDate": last.isoformat()}
        rows += [row for page in api.links(domain, **dates) for row in page["links"]]
        first = last
    return rows


def counts(api: Caller, domain: int) -> dict[str, Any]:
    """Return what 0.2.13 takes for clicks."""
    return api.get(f"/statistics/domain/{domain}/link_clicks").json()


def clicks(api: Caller, domain: int) -> list[dict[str, Any]]:
    """Return what its successor gets: thirty a page, each before the last time, to an empty one."""
    url = f"{api.url}/statistics/domain/{domain}/last_clicks"
    rows: list[dict[str, Any]] = []
    while True:
        body = {"limit": 30, **({"beforeDate": rows[-1]["dt"]} if rows else {})}
        page = api.session.post(url, json=body, timeout=10).json()
        if not page:
            return rows
        rows += page


def test_its_links_are_those_of_one_domain_made_since_a_date() -> None:
    with served(RECENT, numeric_dates="none") as api:
        listed = sorted(served_links(api.sandbox, 1), key=lambda link: link["createdAt"])
        oldest, middle = (datetime.fromisoformat(listed[n]["createdAt"]) for n in (0, 15))
        assert sorted(r["id"] for r in links(api, 1, oldest)) == sorted(r["id"] for r in listed)
        since = links(api, 1, middle + LOOKBACK)
        assert {row["id"] for row in since} == {row["id"] for row in listed[16:]}
        assert {row["DomainId"] for row in since} == {1}
        assert not any("updatedAt" in row for row in since)  # by which it would go on


def test_what_the_old_one_takes_for_clicks_are_counts_and_need_ids_that_it_does_not_send() -> None:
    with served(RECENT, numeric_dates="none") as api:
        assert counts(api, 1)["message"] == "querystring must have required property 'ids'"
        assert len(served_clicks(api.sandbox, 1)) == 95


def test_the_new_one_loses_clicks_that_share_a_time_with_the_last_of_a_page() -> None:
    rows = [
        {"dt": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:00.000Z}", "path": f"/{n}"} for n in range(40)
    ]
    with served(clicks={1: rows}) as api:
        assert len(clicks(api, 1)) == 30
        assert len(served_clicks(api.sandbox, 1)) == 40


def test_the_new_one_sees_the_last_thirty_days() -> None:
    with served(OLD) as api:
        assert clicks(api, 1) == []
        assert len(served_clicks(api.sandbox, 1)) == 95
