"""The sensor that has a new domain loaded without waiting for the next hour.

Dagster's daemon evaluates it once it is started; until then it is off.
"""

from __future__ import annotations

import json

import dagster as dg

from link_assets.defs.jobs import clicks_job
from link_assets.defs.partitions import known_domains
from link_assets.defs.run_requests import clicks_requests
from link_assets.defs.translator import CLICKS_KEY


@dg.sensor(
    job=clicks_job,
    description="Loads the first clicks of a domain soon after it was registered, once.",
    minimum_interval_seconds=60,
)
def new_domains_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Request the first clicks of each domain that was never loaded nor requested here before.

    The cursor is a JSON list of the domains that were requested.
    """
    requested = set(json.loads(context.cursor or "[]"))
    # Undocumented: the public way needs all keys and reads the state of each
    loaded = context.instance.get_materialized_partitions(CLICKS_KEY)
    new = set(known_domains(context.instance)) - loaded - requested
    if not new:
        return dg.SkipReason("Every known domain has been loaded or asked for before.")
    context.update_cursor(json.dumps(sorted(requested | new)))
    return list(clicks_requests(context.instance, new))
