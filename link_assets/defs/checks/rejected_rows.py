"""Could every row of the last loads be read? The check `no_rejected_rows`.

It counts by domain what the loads put aside into the table `rejected_rows`, as they recorded it.
"""

from __future__ import annotations

from typing import Any

from link_assets.contract import REJECTED_ROWS
from link_assets.defs.checks.check import REMEMBERED, CheckResult, listed
from link_assets.defs.checks.last_loads import LastLoads, LoadsCheck


def rejections(last: LastLoads) -> CheckResult:
    """Find how many rows the last loads rejected, by domain; no load at all is a problem, too."""
    if not last.loads:
        return _never_loaded(last)
    every = {name: load.number("rejected_rows") for name, load in last.loads.items()}
    counts = {name: count for name, count in every.items() if count}
    never = len(last.expected) - len(last.loads)
    numbers: dict[str, Any] = {
        "judged": len(last.loads),
        "not_judged": never,
        "rejected_rows": sum(counts.values()),
    }
    if not counts:
        return CheckResult(metadata=numbers, looked_at=_looked_at(last, never))
    numbers["rejected"] = dict([*counts.items()][:REMEMBERED])
    by_domain = listed([f"{count} of {last.name_of(name)}" for name, count in counts.items()])
    return CheckResult(
        f"{sum(counts.values())} rows could not be read in the last load: {by_domain}.",
        f"They are kept whole, with the reason: SELECT domain_id, reason, payload FROM "
        f"link_assets.{REJECTED_ROWS.name} WHERE resource = '{last.table}'.",
        numbers,
        domains=[*counts],
    )


def _never_loaded(last: LastLoads) -> CheckResult:
    whose = "" if last.whole else f" of {last.what}"
    return CheckResult(
        f"The {last.table}{whose} were never loaded.",
        f"Materialize link_assets/{last.table}.",
        domains=last.expected,
    )


def _looked_at(last: LastLoads, never: int) -> str:
    if not never:
        return f"Judged: the last load of {last.what}."
    return f"Judged: the last load of {len(last.loads)} of {last.what}; the others have none."


NO_REJECTED_DOMAINS = LoadsCheck(
    "no_rejected_rows", "The last load rejected no domain.", rejections
)
NO_REJECTED_LINKS = LoadsCheck("no_rejected_rows", "The last load rejected no link.", rejections)
NO_REJECTED_CLICKS = LoadsCheck(
    "no_rejected_rows", "No domain's last load rejected a click.", rejections
)
