"""The jobs: what a schedule, a sensor or a user has run as a whole.

Schedules and sensors start them, and so does the demo. What they load is said by the assets.
"""

from __future__ import annotations

import dagster as dg

from link_assets.defs import configuration
from link_assets.defs.translator import CLICKS_KEY, DAILY_CLICKS_KEY, DOMAINS_KEY, LINKS_KEY

RETRIED = {
    "dagster/max_retries": str(configuration.SETTINGS.run_retries),
    # every step: which domains were loaded is known to the warehouse, not to Dagster's steps
    "dagster/retry_strategy": "ALL_STEPS",
}
"""The tags by which Dagster retries a failed run of these jobs."""

links_job = dg.define_asset_job(
    "links_job",
    selection=dg.AssetSelection.assets(DOMAINS_KEY, LINKS_KEY),
    description="Lists domains and links, and registers new domains.",
    tags=RETRIED,
)
clicks_job = dg.define_asset_job(
    "clicks_job",
    selection=dg.AssetSelection.assets(CLICKS_KEY, DAILY_CLICKS_KEY),
    description="Loads the clicks of one domain, or of several, and computes their days.",
    tags=RETRIED,
)
checks_job = dg.define_asset_job(
    "checks_job",
    selection=dg.AssetSelection.all_asset_checks(),
    description="Runs every check without loading anything.",
    tags=RETRIED,
)
