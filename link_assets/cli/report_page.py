"""The report as one HTML file, which asks nothing of a network: what it draws with is in it.

Texts from the API come into it as JSON and as escaped HTML alone. The page's own policy admits two
scripts, which it knows by their hashes, and no request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, FileSystemLoader

from link_assets.cli.report_charts import chart_specifications, domain_key
from link_assets.defs.domain_names import DomainNames
from link_assets.warehouse.click_figures import ALL
from link_assets.warehouse.report_figures import LEADING, ReportFigures

FILES = Path(__file__).with_name("report_page_files")
LIBRARY = "window.vegaEmbed = vegaEmbed;"
"""What of the library the page's script uses."""
LISTS = {
    "domains": "Domains",
    "links": "Links",
    "countries": "Countries",
    "referrers": "Referrers",
    "browsers": "Browsers",
    "systems": "Operating systems",
}
"""The headings of the lists, by the ids of their charts and in their order on the page."""
UNKNOWN = {"links": "on no known link", "referrers": "direct or unknown"}
"""What is said in a list of clicks without a name in it, if not just `unknown`."""


def report_page(figures: ReportFigures, names: DomainNames, warehouse: str, made: datetime) -> str:
    """Return the HTML.

    Args:
        figures: What it shows.
        names: How its readers know the domains.
        warehouse: Where the figures come from, as its readers know it.
        made: When they were counted.
    """
    environment = Environment(loader=FileSystemLoader(FILES), autoescape=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    scripts = {
        "library": _library(),
        "script": (FILES / "report.js").read_text(),
    }
    return environment.get_template("report.html").render(
        scripts,
        policy=_policy(scripts),
        style=(FILES / "report.css").read_text(),
        figures=figures,
        picker=_picker(figures, names),
        lists=_lists(figures),
        leading=LEADING,
        unknown=UNKNOWN,
        data={
            "charts": chart_specifications(figures, names),
            "totals": _totals(figures),
            "unknown": _unknown(figures),
        },
        warehouse=warehouse,
        made=f"{made:%Y-%m-%d %H:%M} UTC",
    )


@cache
def _library() -> str:
    """Return the JavaScript that draws, of the version that Altair's specifications are of."""
    major, minor, *_ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    return vl_convert.javascript_bundle(LIBRARY, f"{major}.{minor}")


def _policy(scripts: Mapping[str, str]) -> str:
    """Return the page's content security policy."""
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts.values())
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _picker(figures: ReportFigures, names: DomainNames) -> Mapping[str, str]:
    """Return what can be picked, by key; one domain needs no choice between it and all."""
    listed = {domain_key(domain): names.of(domain) for domain in figures.listed}
    if len(listed) == 1 == len(figures.totals) - 1:
        return listed
    return {domain_key(ALL): f"All domains ({len(figures.totals) - 1})", **listed}


def _lists(figures: ReportFigures) -> Mapping[str, str]:
    """Return the headings of the lists that there is anything to show in."""
    several = len(figures.listed) > 1
    return {
        name: heading
        for name, heading in LISTS.items()
        if (several if name == "domains" else figures.leading[name])
    }


def _totals(figures: ReportFigures) -> Mapping[str, Any]:
    return {domain_key(domain): figures.totals[domain] for domain in figures.series}


def _unknown(figures: ReportFigures) -> Mapping[str, Mapping[str, int]]:
    """Return how many clicks have no name in each list, by domain."""
    return {
        name: {
            domain_key(domain): leader.counted.clicks
            for domain, leaders in listed.items()
            for leader in leaders
            if leader.name is None
        }
        for name, listed in figures.leading.items()
    }
