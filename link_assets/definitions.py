"""The code location: every asset, check, job, schedule and sensor that Dagster is to know.

Dagster loads `defs` in each of its processes; workspace.yaml and dg.toml name this module. A new
asset is its own module in `defs` and its name in `assets` here.
"""

import atexit
import gc

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


def _spare_the_garbage_collector() -> None:
    """Keep the garbage collector from searching everything that was imported, again and again.

    It holds up every thread meanwhile, and what is imported stays until the process ends. At the
    end it is searched after all, or DuckDB complains about what is left of it. It is done when the
    definitions are imported: Dagster's own commands call nothing else of ours as a process starts.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)


_spare_the_garbage_collector()
