"""What materializations show of the latest clicks, and that a load never fails for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg
import pytest

from link_assets.defs import figures
from link_assets.defs.chart import INLINE_CHARACTERS, SHOWN_DAYS, clicks_chart
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets.warehouse.click_figures import ALL
from link_assets.warehouse.reader import reading
from link_assets.warehouse.recent_clicks import recent_by_day
from link_assets_tests.defs.loads import recorded_queries, said
from link_assets_tests.support import Location, rows

CHARTS = {"clicks_per_day", "clicks_per_day_all_domains"}
TABLES = {"top_links", "top_countries", "top_referrers"}
PERSONAL = ("ip", "ua", "ref")


def shown(location: Location, key: dg.AssetKey, domain: str) -> Mapping[str, Any]:
    """The metadata of the latest materialization of a domain."""
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[domain])
    (record,) = location.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization
    return record.asset_materialization.metadata


def figures_in(metadata: Mapping[str, Any]) -> set[str]:
    return metadata.keys() & (CHARTS | TABLES)


@pytest.mark.long
def test_each_domain_shows_its_own_chart_and_one_of_all(location: Location) -> None:
    location.everything()
    with reading() as reader:
        own = recent_by_day(reader, date.max, [2], SHOWN_DAYS)[2]
        together = recent_by_day(reader, date.max, ALL, SHOWN_DAYS)[ALL]
    assert own.last < together.last
    for key in (CLICKS_KEY, DAILY_CLICKS_KEY):
        metadata = shown(location, key, "2")
        for name, recent in {"clicks_per_day": own, "clicks_per_day_all_domains": together}.items():
            text = metadata[name].value
            assert text == clicks_chart(recent.people, recent.others, recent.last).value
            assert text.startswith("![clicks a day](data:image/svg+xml,")
            assert len(text) < INLINE_CHARACTERS


@pytest.mark.long
def test_daily_clicks_show_what_leads_and_nothing_personal(location: Location) -> None:
    location.everything()
    metadata = shown(location, DAILY_CLICKS_KEY, "1")
    assert figures_in(metadata) == CHARTS | TABLES
    assert figures_in(shown(location, CLICKS_KEY, "1")) == CHARTS
    (top,) = rows(
        "SELECT country, count(*) FROM {dataset}.clicks WHERE domain_id = 1 AND country <> ''"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    records = metadata["top_countries"].records
    assert (records[0].data["name"], records[0].data["clicks"]) == top
    assert metadata["top_links"].records[0].data["name"].startswith("http://go1.example.com/")
    told = str([record.data for name in TABLES for record in metadata[name].records])
    for column in PERSONAL:
        values = rows(f"SELECT DISTINCT {column} FROM {{dataset}}.clicks WHERE {column} <> ''")
        assert not [value for (value,) in values if value in told]


@pytest.mark.long
def test_domains_beside_one_that_fails_show_their_charts(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    sandbox.faults = [Fault(path="/v1/domain/2", status=503, times=None)]
    assert not location.clicks_and_days("1", "3").success
    assert figures_in(shown(location, CLICKS_KEY, "3")) == CHARTS
    assert figures_in(shown(location, DAILY_CLICKS_KEY, "3")) == CHARTS | TABLES


@pytest.mark.long
def test_domains_without_clicks_show_no_chart_of_their_own(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.clicks = {1: [{"dt": "2026-03-01T00:00:00Z", "path": "/a"}], 2: [], 3: []}
    location.everything()
    assert figures_in(shown(location, CLICKS_KEY, "2")) == {"clicks_per_day_all_domains"}


@pytest.mark.long
def test_the_number_of_queries_does_not_grow_with_the_domains(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.everything()
    queries = recorded_queries(monkeypatch, figures)
    context: Any = None
    assert figures.clicks_figures(context, ["1"], with_leading=True)
    of_one = len(queries)
    assert figures.clicks_figures(context, ["1", "2", "3"], with_leading=True).keys() == {*"123"}
    assert len(queries) == 2 * of_one == 10


@pytest.mark.long
@pytest.mark.parametrize("step", ["recent_by_day", pytest.param("_chart", marks=pytest.mark.long)])
def test_a_load_succeeds_if_its_figures_cannot_be_read_or_drawn(
    location: Location, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a row's value")

    monkeypatch.setattr(figures, step, fail)
    assert location.links().success
    result = location.clicks_and_days("1")
    assert result.success
    assert figures_in(shown(location, CLICKS_KEY, "1")) == set()
    told = said(location, result)
    assert "The latest clicks could not be shown: ValueError in fail" in told
    assert "a row's value" not in told


@pytest.mark.long
def test_clicks_without_links_show_countries_and_referrers(location: Location) -> None:
    location.instance.add_dynamic_partitions("domain", ["1"])
    assert location.clicks_and_days("1").success
    assert figures_in(shown(location, DAILY_CLICKS_KEY, "1")) == CHARTS | TABLES - {"top_links"}
