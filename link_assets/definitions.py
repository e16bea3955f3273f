"""The code location."""

import atexit
import gc

import dagster as dg
from dagster_dlt import DagsterDltResource

from link_assets.defs import assets, schedules
from link_assets.defs.checks import table_checks

defs = dg.Definitions(
    assets=[assets.links, assets.clicks],
    asset_checks=table_checks.CHECKS,
    jobs=[schedules.links_job, schedules.clicks_job, schedules.checks_job],
    schedules=[schedules.links_schedule, schedules.clicks_schedule, schedules.checks_schedule],
    sensors=[schedules.new_domains_sensor],
    resources={"dlt": DagsterDltResource()},
    executor=dg.in_process_executor,
)

# Python would look through all that is imported for garbage, again and again, with threads waiting;
# at the end it must, or DuckDB complains of what is left of it
gc.freeze()
atexit.register(gc.unfreeze)
