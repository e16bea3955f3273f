"""The report in Chromium, with the network off: what is drawn, and what is not done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from link_assets.sandbox import Sandbox, World
from link_assets_tests.browser import chromium, needs_browser
from link_assets_tests.cli.test_report import HOSTILE, load_hostile, report
from link_assets_tests.truth import world_clicks
from link_assets_tests.warehouse.helpers import load_clicks, load_links

if TYPE_CHECKING:
    from playwright.sync_api import Page  # pyright: ignore[reportMissingImports]

pytestmark = needs_browser("link_assets_tests/cli/test_report_in_browser.py")
WIDE, NARROW = 1240, 390


@dataclass
class Opened:
    """The report in a window, and what it has asked for or complained about since."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def number(self, place: str) -> int:
        text = self.page.locator(f"#{place}").evaluate("place => place.firstChild.data")
        return int(text.replace(",", ""))

    def bars(self, chart: str) -> int:
        return self.page.locator(f"#{chart} .mark-rect path").count()

    def labels(self, chart: str) -> list[str]:
        """What stands at the bars of a list."""
        axes = self.page.locator(f"#{chart} .role-axis-label")
        return axes.last.locator("text").all_text_contents()

    def options(self) -> list[str]:
        """What can be picked."""
        return self.page.locator("#domain option").all_text_contents()

    def pick(self, domain: str) -> None:
        self.page.select_option("#domain", domain)


@contextmanager
def opened(width: int = WIDE, scheme: Any = "light") -> Iterator[Opened]:
    """Opens the report of the working folder."""
    with chromium() as browser:
        context = browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": 800}
        )
        window = Opened(context.new_page())
        page, complaints = window.page, window.complaints
        page.on("request", lambda request: window.requests.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.goto(Path("report.html").absolute().as_uri())
        page.wait_for_selector("body[data-drawn]")
        yield window


def load_everything(sandbox: Sandbox) -> None:
    assert sandbox.world
    load_links()
    for domain in range(1, sandbox.world.domains + 1):
        load_clicks(domain)


def people(sandbox: Sandbox, *domains: int) -> int:
    assert sandbox.world
    world = sandbox.world
    clicks = (one for domain in domains for one in world_clicks(world, domain))
    return sum(bool(one["human"]) for one in clicks)


def test_the_picker_changes_every_number_and_chart_without_a_request(
    sandbox: Sandbox, api: str
) -> None:
    load_everything(sandbox)
    report()
    with opened() as window:
        assert (window.number("clicks"), window.number("people")) == (
            120,
            people(sandbox, 1, 2, 3),
        )
        assert window.labels("domains")[0] == "1 (go1.example.com)"
        links = set(window.labels("links"))
        window.pick("2")
        assert (window.number("clicks"), window.number("people")) == (40, people(sandbox, 2))
        window.page.wait_for_function(
            "!document.querySelector('#links').textContent.includes('go')"
        )
        assert {f"go2.example.com{link}" for link in window.labels("links")} & links
        assert not window.page.locator("#domains").is_visible()
        for chart in ("series", "links", "countries", "referrers", "browsers", "systems"):
            assert window.bars(chart) > 0
        window.pick("all")
        assert window.number("clicks") == 120
        assert window.requests == [window.page.url]
        assert window.complaints == []


@pytest.mark.parametrize(("scheme", "page"), [("light", 240), ("dark", 30)])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_fits_its_window_in_light_and_dark(
    sandbox: Sandbox, api: str, scheme: str, page: int, width: int
) -> None:
    load_everything(sandbox)
    report()
    with opened(width, scheme) as window:
        assert window.page.evaluate("document.documentElement.scrollWidth") == width
        background = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g)"
        red, *_ = map(int, window.page.evaluate(background))
        assert abs(red - page) < 15
        text = window.page.locator("#countries svg text").first
        ink = text.evaluate("text => getComputedStyle(text).fill.match(/[0-9]+/g)")
        assert abs(int(ink[0]) - red) > 150
        svg = window.page.locator("#series svg").bounding_box()
        assert svg
        assert width / 2 < svg["width"] <= width


@pytest.mark.parametrize("sandbox", [Sandbox(world=World(domains=60, clicks_per_domain=2))])
def test_of_many_domains_one_is_found_by_its_host(sandbox: Sandbox, api: str) -> None:
    load_everything(sandbox)
    report()
    with opened() as window:
        assert len(window.options()) == 61
        window.page.fill("#filter", "GO42")
        assert window.options() == ["42 (go42.example.com)"]
        assert window.number("clicks") == 2
        window.page.fill("#filter", "")
        assert len(window.options()) == 61
        assert window.number("clicks") == 120


def test_one_domain_needs_no_picker_of_many(sandbox: Sandbox, api: str) -> None:
    load_everything(sandbox)
    report("--domain", "3")
    with opened() as window:
        assert window.options() == ["3 (go3.example.com)"]
        assert not window.page.locator("#filter").is_visible()
        assert window.number("clicks") == 40
        assert window.complaints == []


def test_text_from_the_api_is_shown_and_does_nothing(sandbox: Sandbox, api: str) -> None:
    load_hostile(sandbox)
    report()
    with opened() as window:
        for chart in ("links", "countries", "referrers"):
            window.page.locator(f"#{chart} .mark-rect path").first.hover()
            window.page.wait_for_selector("#vg-tooltip-element.visible")
            if chart == "links":
                assert HOSTILE in window.page.locator("#vg-tooltip-element").inner_text()
        window.pick("1")
        assert window.page.locator("img").count() == 0
        assert window.page.locator("script").count() == 3
        assert window.requests == [window.page.url]
        assert window.complaints == []


def test_the_pages_policy_stops_what_is_put_into_it(sandbox: Sandbox, api: str) -> None:
    load_everything(sandbox)
    report()
    with opened() as window:
        stopped = window.page.evaluate(
            """new Promise((done) => {
                const told = (event) => done(event.effectiveDirective);
                document.addEventListener("securitypolicyviolation", told);
                const image = document.body.appendChild(document.createElement("img"));
                image.src = "http://127.0.0.1:1/counted";
            })"""
        )
        assert stopped == "img-src"
