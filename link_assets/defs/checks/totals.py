"""Do the daily clicks add up to the clicks? The check `totals_agree`.

Both are counted in one query, so that they are of the same moment. A domain of which a load has
ended since its days were computed differs rightly, and is not judged: its days are still to come.
Which loads the days have is known by their ids and not by times: a load may end long after its id
was made. Days whose clicks are no longer kept are in neither number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from link_assets.contract import CLICKS, DAILY_CLICKS
from link_assets.defs.checks.check import REMEMBERED, CheckResult, counted, judged_domains, listed
from link_assets.defs.checks.last_loads import LAST_LOAD, LastLoads, LoadedRowsCheck
from link_assets.settings import is_domain_id
from link_assets.warehouse.daily_clicks import LOAD_ID
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.old_clicks import knows_deleted, of_open_days
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DATE


@dataclass(frozen=True)
class Totals:
    """The clicks of a domain, those that its days add up to, and its last load's id."""

    domain: str
    clicks: int
    of_days: int
    last_load: Decimal


def totals(reader: Reader, last: LastLoads) -> CheckResult:
    """Find domains whose daily clicks do not add up to their clicks."""
    computed = {
        domain: Decimal(str(load.metadata.get(LAST_LOAD, 0))) for domain, load in last.loads.items()
    }
    found = _totals(reader, [*filter(is_domain_id, computed)])
    differing = [t for t in found if t.clicks != t.of_days]
    wrong = [t for t in differing if t.last_load <= computed[t.domain]]
    under_way, never = len(differing) - len(wrong), len(last.expected) - len(computed)
    judged = len(computed) - under_way
    numbers: dict[str, Any] = {
        "judged": judged,
        "not_judged": under_way + never,
        "differing": len(wrong),
        "clicks": sum(t.clicks for t in found),
    }
    others = {"loaded since their days were computed": under_way, "never computed": never}
    looked_at = judged_domains(judged, others)
    if not wrong:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    numbers["differences"] = {
        t.domain: f"{t.of_days} instead of {t.clicks}" for t in wrong[:REMEMBERED]
    }
    by_domain = [
        f"the days of {last.name_of(t.domain)} have {counted(t.of_days, 'click')},"
        f" {CLICKS.name} has {t.clicks}"
        for t in wrong
    ]
    return CheckResult(
        f"Daily clicks do not add up: {listed(by_domain, '; ')}.",
        "Materialize link_assets/daily_clicks for these domains, which computes what differs.",
        numbers,
        looked_at,
        [t.domain for t in wrong],
    )


def _totals(reader: Reader, domains: Sequence[str]) -> Sequence[Totals]:
    among = of_domains(domains)
    clicks = (
        f"(SELECT domain_id, {DATE} AS day, count(*) AS clicks, max({LOAD_ID}) AS last_load"
        f" FROM {{dataset}}.{CLICKS.name} WHERE {among} GROUP BY 1, 2)"
    )
    days = f"(SELECT domain_id, day, clicks FROM {{dataset}}.{DAILY_CLICKS.name} WHERE {among})"
    if knows_deleted(reader):
        clicks, days = f"({of_open_days(clicks)})", f"({of_open_days(days)})"
    rows = reader.rows(
        "SELECT domain_id, sum(clicks), sum(of_days), max(last_load) FROM ("
        f"SELECT domain_id, clicks, 0 AS of_days, last_load FROM {clicks} AS c"
        " UNION ALL"
        f" SELECT domain_id, 0 AS clicks, clicks AS of_days, NULL AS last_load FROM {days} AS d"
        ") AS counted GROUP BY domain_id ORDER BY domain_id"
    )
    return [
        Totals(str(domain), int(clicks), int(days), Decimal(load or 0))
        for domain, clicks, days, load in rows
    ]


TOTALS_AGREE = LoadedRowsCheck("totals_agree", "Daily clicks add up to the clicks.", totals)
