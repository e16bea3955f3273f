"""The code location's settings, read once: when Dagster loads the definitions.

Schedules, freshness windows and everything else that Dagster shows stand in the definitions, so a
changed setting takes effect when the code location is reloaded. This is the only module that reads
settings as it is imported. The API's settings and its key, the warehouse's address and the
allow-list of domains are read when a run needs them, never here.
"""

from __future__ import annotations

import dagster as dg

from link_assets.contract import CLICKS, DAILY_CLICKS, DOMAINS, LINKS, Table
from link_assets.settings import (
    LOCATION_SECTION,
    LocationSettings,
    SettingsError,
    environment_name,
    location_settings,
)

POOL = "link_assets"
"""The pool in which every load stands.

It makes the loads visible as a group in the UI, and lets an operator limit how many run at once;
others then wait in Dagster's queue. A pool has no limit unless the instance gives it one. That
loads do not disturb each other is seen to in `warehouse`, with or without a limit.
"""
FRESH_HOURS = 25
"""The freshness window of a table that has no setting of its own."""


def with_usable_crons(settings: LocationSettings) -> LocationSettings:
    """Return the settings; raise SettingsError on a cron expression that Dagster refuses."""
    for name in ("links_cron", "clicks_cron", "checks_cron"):
        cron = getattr(settings, name)
        try:
            dg.ScheduleDefinition(name=name, job_name=name, cron_schedule=cron)
        except dg.DagsterInvalidDefinitionError:
            variable = environment_name(f"{LOCATION_SECTION}.{name}")
            raise SettingsError(
                f"{variable} must be a cron expression of five fields such as 15 * * * *, "
                f"not {cron!r}."
            ) from None
    return settings


SETTINGS = with_usable_crons(location_settings())


def fresh_hours(table: Table) -> float:
    """Return how many hours after its last load a table is late: `<table>_fresh_hours`.

    Domains are loaded with the links, daily clicks with the clicks, and are late when these are.
    """
    name = {DOMAINS: LINKS, DAILY_CLICKS: CLICKS}.get(table, table).name
    return getattr(SETTINGS, f"{name}_fresh_hours", FRESH_HOURS)
