"""Were links missing from the last listing that nobody marked as deleted? `no_mass_disappearance`.

The links asset marks what is gone, unless too much is gone at once or it cannot tell what. This
check says so; it marks nothing itself.
"""

from __future__ import annotations

from link_assets.contract import LINKS
from link_assets.defs import configuration
from link_assets.defs.checks.check import CheckResult
from link_assets.defs.checks.last_loads import LastLoads, LoadsCheck

NUMBERS = ("links_missing", "links_before", "links_without_id")
"""The metadata of a listing that the check reads."""


def disappearance(last: LastLoads) -> CheckResult:
    """Find whether the last listing lacked links that were not marked as deleted."""
    listing = last.loads.get(LINKS.name)
    if listing is None:
        return CheckResult("The links were never loaded.", "Materialize link_assets/links.")
    numbers = {name: listing.number(name) for name in NUMBERS}
    missing, before = numbers["links_missing"], numbers["links_before"]
    if missing and not listing.number("marked_deleted"):
        return _not_marked(numbers)
    looked_at = f"Judged: the last listing, in which {missing} of {before} links were missing"
    if not before:
        looked_at = "The last listing was the first: there were no links to compare it with"
    marked = ", which are marked as deleted." if missing else "."
    return CheckResult(metadata=numbers, looked_at=looked_at + marked)


def _not_marked(numbers: dict[str, int]) -> CheckResult:
    """Return the problem, with the reason why none of the missing links was marked."""
    problem = (
        f"{numbers['links_missing']} of {numbers['links_before']} links were missing from the last "
        "listing, and none was marked as deleted"
    )
    if numbers["links_without_id"]:
        return CheckResult(
            f"{problem}: {numbers['links_without_id']} rejected links have no id to tell them by.",
            "See them in link_assets.rejected_rows, and ask the API's provider to give them one.",
            numbers,
        )
    share = configuration.SETTINGS.disappeared_share
    return CheckResult(
        f"{problem}: they are more than the share {share:g} of them.",
        "See whether the API key still reads every domain. If they are gone for good, raise "
        "LINK_ASSETS__DISAPPEARED_SHARE and materialize link_assets/links.",
        numbers,
    )


NO_MASS_DISAPPEARANCE = LoadsCheck(
    "no_mass_disappearance", "The last listing lacked no large share of links.", disappearance
)
