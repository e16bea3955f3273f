"""What a user clicks and sees in Dagster's UI: from nothing loaded to a domain that is late.

With PICTURES=docs it writes the pictures of the documents as well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from link_assets.sandbox import Fault, Sandbox, World
from link_assets_tests.browser import chromium, needs_browser, picture
from link_assets_tests.cli.test_report import report
from link_assets_tests.dagster_dev import dagster_dev, until
from link_assets_tests.guide import CLICK_FIELDS, LINK_FIELDS, Fields
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_world, loaded_clicks, world_clicks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page  # pyright: ignore[reportMissingImports]

pytestmark = needs_browser("link_assets_tests/scenarios/test_ui.py")
WORLD = World()
"""That of the demo."""
LATE_SECONDS = 120
SLOWEST_MS = 180_000
"""How long anything may take: Dagster's daemon begins a backfill within half a minute."""
MOVES_MS = 1500
"""How long the graph moves after a click."""
CHART_WIDTH, CHART_HEIGHT = 364, 78
COLOR = re.compile(r"--color-accent-(\w+)")
CHECKS = {"domains": 5, "links": 6, "clicks": 8, "daily_clicks": 3}
DOMAIN_2 = "domain 2 (go2.example.com)"


def documented(listed: Iterable[dict[str, Any]], fields: Fields) -> list[dict[str, Any]]:
    """Rows without the fields that the guide does not list, of which a check would warn."""
    known = {name.partition(".")[0] for name, *_ in fields}
    return [{name: value for name, value in row.items() if name in known} for row in listed]


def served(sandbox: Sandbox, world: World) -> None:
    sandbox.links = documented(world.links(), LINK_FIELDS)
    sandbox.clicks = {
        domain: documented(world_clicks(world, domain), CLICK_FIELDS)
        for domain in world.domain_ids()
    }


@pytest.fixture
def sandbox() -> Sandbox:
    sandbox = Sandbox()
    served(sandbox, WORLD)
    return sandbox


@dataclass
class Ui:
    """Dagster's UI in a window."""

    page: Page
    url: str

    def graph(self) -> None:
        """Opens the graph of all assets."""
        group = "/locations/link_assets.definitions/asset-groups/link_assets/lineage"
        self.page.goto(self.url + group)

    def asset(self, name: str, **view: str) -> None:
        """Opens a page of an asset."""
        self.page.goto(f"{self.url}/assets/link_assets/{name}?{urlencode(view)}")

    def see(self, text: str, times: int = 1) -> None:
        """Waits until this stands on the page so often."""
        self.page.get_by_text(text, exact=True).nth(times - 1).wait_for()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button).first.click()

    def materialize_selected(self, right: str, left: str) -> None:
        """Selects two assets of the graph and materializes them, or opens the dialog.

        The one to the right first: a page about it opens over what is right of it.
        """
        self.page.get_by_text(right, exact=True).first.click()
        self.page.get_by_role("button", name="Materialize selected").wait_for()
        self.page.wait_for_timeout(MOVES_MS)
        self.page.get_by_text(left, exact=True).first.click(modifiers=["Shift"])
        self.press("Materialize selected (2)")

    def backfill_all(self) -> None:
        """Launches all partitions in the dialog."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="All", exact=True).click()
        dialog.get_by_text(f"{WORLD.domains} partitions").wait_for()
        dialog.get_by_role("button", name="Launch backfill").click()
        self.page.get_by_text("Created backfill").wait_for()

    def partitions(self) -> dict[str, str]:
        """The color of each partition's dot."""
        dots = self.page.locator("[data-tooltip] + div").all()
        return {
            dot.locator("xpath=..").inner_text().split()[0]: COLOR.findall(
                dot.get_attribute("style") or ""
            )[0]
            for dot in dots
        }

    def save(self, name: str) -> None:
        """Takes a picture for the documents once nothing moves."""
        self.page.wait_for_timeout(MOVES_MS)
        self.page.screenshot(path=picture(name))


def materialize_domains_and_links(ui: Ui) -> None:
    ui.graph()
    ui.see("Never materialized", 2)
    ui.see("0 partitions", 2)
    for asset in CHECKS:
        ui.see(asset)
    ui.materialize_selected("domains", "links")
    ui.see(f"{WORLD.domains} partitions", 2)
    assert rows("SELECT count(*) FROM {dataset}.links") == [(len(WORLD.links()),)]


def backfill_clicks_and_days(ui: Ui) -> None:
    ui.graph()
    ui.see("0% filled", 2)
    ui.materialize_selected("daily_clicks", "clicks")
    ui.backfill_all()
    ui.see("100% filled", 2)
    assert loaded_clicks() == expected_world(WORLD, *WORLD.domain_ids())
    ui.graph()
    ui.see("100% filled", 2)
    ui.save("asset-graph.png")
    for asset in ("clicks", "daily_clicks"):
        ui.asset(asset, view="partitions")
        ui.see("Materialized (3)")
        assert ui.partitions() == dict.fromkeys("123", "green")


def see_the_chart(ui: Ui) -> None:
    ui.asset("clicks", view="partitions", partition="2")
    image = ui.page.locator("img[src^='data:image/svg']").first
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box
    assert (box["width"], box["height"]) == (CHART_WIDTH, CHART_HEIGHT)
    assert image.evaluate("image => image.naturalWidth") == CHART_WIDTH
    ui.save("partition.png")


def see_the_report(browser: Browser) -> None:
    report()
    page = browser.new_page(viewport={"width": 1100, "height": 860})
    page.goto(Path("report.html").absolute().as_uri())
    page.wait_for_selector("body[data-drawn]")
    assert page.locator("#clicks").inner_text().startswith("1,200")
    page.locator("#series .mark-rect path").nth(20).hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    page.screenshot(path=picture("report.png"))


def see_checks(ui: Ui, asset: str) -> None:
    """All green; Dagster says the same of a warning as of an error."""
    ui.asset(asset, view="checks")
    ui.see(f"Checks ({CHECKS[asset]})")
    ui.see("Succeeded", CHECKS[asset])
    assert ui.page.get_by_text("Failed", exact=True).count() == 0


def see_one_domain_fail(ui: Ui) -> None:
    ui.asset("clicks", view="partitions")
    ui.press("Materialize")
    ui.backfill_all()
    ui.page.goto(f"{ui.url}/runs")
    ui.see("Failure")
    ui.asset("clicks", view="partitions")
    ui.see("Failed (1)")
    assert ui.partitions() == {"1": "green", "2": "red", "3": "green"}
    see_checks(ui, "clicks")
    ui.asset("clicks", view="partitions", partition="2")
    ui.page.get_by_text("did not materialize").locator("a").click()
    failure = ui.page.get_by_text("RUN_FAILURE").locator("xpath=ancestor::*[3]")
    ui.page.get_by_text("RUN_FAILURE").wait_for()
    cause, trace, _ = failure.inner_text().partition("Stack Trace")
    assert trace
    assert f"1 of 3 domains failed; the others are loaded.\nclicks of {DOMAIN_2}, page 1: " in cause
    assert "403 Forbidden (the API key may not read this" in cause


def see_the_late_domain(ui: Ui) -> None:
    ui.asset("clicks", view="partitions")
    ui.press("Materialize")
    ui.backfill_all()
    counts = "SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1"
    count = WORLD.clicks_per_domain
    until(lambda: rows(counts) == [(1, count + 5), (2, count), (3, count + 5)])
    ui.asset("clicks", view="checks", checkDetail="fresh")
    late = ui.page.get_by_text(f"Not fresh: {DOMAIN_2} is late by ").first
    late.wait_for()
    assert "domain 1" not in late.inner_text().partition(". ")[0]


def test_from_nothing_loaded_to_a_domain_that_is_late(
    workdir: Path, sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__CLICKS_FRESH_HOURS", str(LATE_SECONDS / 3600))
    complaints: list[str] = []
    with dagster_dev(workdir) as dagster, chromium() as browser:
        ui = Ui(browser.new_page(viewport={"width": 1500, "height": 700}), dagster.url)
        ui.page.set_default_timeout(SLOWEST_MS)
        ui.page.on("pageerror", lambda error: complaints.append(str(error)))
        materialize_domains_and_links(ui)
        backfill_clicks_and_days(ui)
        loaded = time.monotonic()
        see_the_chart(ui)
        see_the_report(browser)
        for asset in CHECKS:
            see_checks(ui, asset)
        sandbox.faults = [Fault(path="/v1/domain/2", status=403, times=None)]
        see_one_domain_fail(ui)
        until(lambda: time.monotonic() > loaded + LATE_SECONDS)
        served(sandbox, WORLD.grown(5))
        see_the_late_domain(ui)
    assert complaints == []
