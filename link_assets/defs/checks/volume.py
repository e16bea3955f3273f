"""Did a domain have far fewer clicks than usual? The check `usual_volume`.

It compares the last whole day (UTC) before a domain's last load with the median of the days before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

import dagster as dg

from link_assets.defs import configuration
from link_assets.defs.checks.check import REMEMBERED, CheckResult, judged_domains, listed
from link_assets.defs.checks.clicks_by_day import clicks_by_day
from link_assets.defs.checks.last_loads import NEVER_OR_RESUMED, LastLoads, LoadedRowsCheck
from link_assets.defs.domain_names import WITHOUT_HOSTS, DomainNames
from link_assets.warehouse.reader import Reader

USUAL_DAYS = 14
"""How many days before the last whole one say what is usual."""
USUAL_CLICKS = 20
"""A domain with fewer a day than this varies too much to be judged."""


def unusual_volume(reader: Reader, last: LastLoads) -> CheckResult:
    """Find domains with far fewer clicks than usual on the last whole day before their last load.

    A load that resumed is not judged: what came while its run was down is loaded by the next one.
    """
    ends = {
        domain: load.began.date()
        for domain, load in last.loads.items()
        if not load.number("resumed_from_page")
    }
    counts = _clicks_by_day(reader, last, ends)
    daily = {domain: _days_before(end, counts[domain]) for domain, end in ends.items()}
    found = volume(daily, len(last.expected) - len(ends), last.names)
    return found.adding(f"Looked at {last.what}.")


def _clicks_by_day(
    reader: Reader, last: LastLoads, ends: Mapping[str, date]
) -> Mapping[str, Mapping[date, int]]:
    """Count the domains' clicks by day (UTC), from the earliest day that is needed on."""
    first = min(ends.values(), default=date.max) - timedelta(days=1 + USUAL_DAYS)
    return clicks_by_day(reader, first, None if last.whole else ends)


def _days_before(end: date, counts: Mapping[date, int]) -> list[int]:
    days = (end - timedelta(days=back) for back in range(1, 2 + USUAL_DAYS))
    return [counts.get(day, 0) for day in days]


def volume(
    daily: Mapping[str, Sequence[int]], others: int = 0, names: DomainNames = WITHOUT_HOSTS
) -> CheckResult:
    """Judge the last day of each domain against the median of the days before it.

    Args:
        daily: By domain, its clicks by day, the latest day first.
        others: How many domains cannot be judged: never loaded, or last by a load that resumed.
        names: What the domains are called.
    """
    usual = {domain: median(before) for domain, (_, *before) in daily.items()}
    judged = {domain: daily[domain][0] / m for domain, m in usual.items() if m >= USUAL_CLICKS}
    share = configuration.SETTINGS.volume_share
    low = [domain for domain, of_usual in judged.items() if of_usual < share]
    few = len(daily) - len(judged)
    numbers: dict[str, Any] = {"judged": len(judged), "not_judged": few + others, "low": len(low)}
    if judged:
        numbers["lowest_share"] = round(min(judged.values()), 3)
    unjudged = {
        f"with too few clicks to judge (under {USUAL_CLICKS} a day)": few,
        NEVER_OR_RESUMED: others,
    }
    looked_at = judged_domains(len(judged), unjudged)
    if not low:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    clicks = {domain: f"{daily[domain][0]} instead of about {usual[domain]:g}" for domain in low}
    numbers["low_domains"] = dict([*clicks.items()][:REMEMBERED])
    by_domain = listed([f"domain {names.of(d)} had {text}" for d, text in clicks.items()], "; ")
    return CheckResult(
        f"The last whole day brought far fewer clicks than usual: {by_domain}.",
        "See whether these domains still redirect, and are counted.",
        numbers,
        looked_at,
        low,
    )


USUAL_VOLUME = LoadedRowsCheck(
    "usual_volume",
    "No domain had far fewer clicks than usual.",
    unusual_volume,
    dg.AssetCheckSeverity.WARN,
)
