"""The code location: every asset, check, job, schedule and sensor that Dagster is to know.

Dagster loads `defs` in each of its processes; workspace.yaml and dg.toml name this module. A new
asset is its own module in `defs` and its name in `assets` here.
"""

import gc

# Python would look for garbage again and again among what is imported, which all stays: a fifth of
# the time that importing takes
_thresholds = gc.get_threshold()
gc.set_threshold(1_000_000)

import dagster as dg

from link_assets.defs.alerts import alerts_sensor
from link_assets.defs.checks.all_checks import CHECKS
from link_assets.defs.clicks import clicks
from link_assets.defs.code_references import with_code_references
from link_assets.defs.daily_clicks import daily_clicks
from link_assets.defs.jobs import checks_job, clicks_job, links_job
from link_assets.defs.links import links
from link_assets.defs.schedules import checks_schedule, clicks_schedule, links_schedule
from link_assets.defs.sensors import new_domains_sensor

defs = dg.Definitions(
    assets=with_code_references([links, clicks, daily_clicks]),
    asset_checks=CHECKS,
    jobs=[links_job, clicks_job, checks_job],
    schedules=[links_schedule, clicks_schedule, checks_schedule],
    sensors=[new_domains_sensor, alerts_sensor],
    executor=dg.in_process_executor,
)


# Later it would hold up every thread meanwhile; at a process's end that takes longest. It is done
# as the definitions are imported: Dagster's own commands call nothing else of ours at their start.
gc.freeze()
gc.set_threshold(*_thresholds)
