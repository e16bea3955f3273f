"""The schedules: when the links are listed, the clicks loaded and the checks run.

Dagster's daemon evaluates them once they are started; until then they are off.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from link_assets.defs import configuration
from link_assets.defs.jobs import checks_job, clicks_job, links_job
from link_assets.defs.partitions import PARTITIONS_NAME, known_domains
from link_assets.defs.run_requests import clicks_requests, requested_domains

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
LOST = timedelta(hours=6)
"""A run that has not ended after so long may have been killed together with its machine."""

links_schedule = dg.ScheduleDefinition(
    name="links_schedule",
    job=links_job,
    description="Lists domains and links, and registers new domains, by default every hour.",
    cron_schedule=configuration.SETTINGS.links_cron,
    execution_timezone=configuration.SETTINGS.timezone,
)
checks_schedule = dg.ScheduleDefinition(
    name="checks_schedule",
    job=checks_job,
    description=(
        "Judges all links and domains, by default every hour, since lateness must be seen when "
        "nothing runs. The runs of other jobs judge only what they load."
    ),
    cron_schedule=configuration.SETTINGS.checks_cron,
    execution_timezone=configuration.SETTINGS.timezone,
)


@dg.schedule(
    job=clicks_job,
    description="Loads the clicks of every known domain, by default every hour.",
    cron_schedule=configuration.SETTINGS.clicks_cron,
    execution_timezone=configuration.SETTINGS.timezone,
)
def clicks_schedule(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Request the clicks of every known domain that is not being loaded already."""
    known = set(known_domains(context.instance))
    if not known:
        return dg.SkipReason("No domain is known yet: materialize link_assets/links.")
    requests = list(clicks_requests(context.instance, known - _being_loaded(context.instance)))
    return requests or dg.SkipReason("Every known domain is being loaded already.")


def _being_loaded(instance: dg.DagsterInstance) -> set[str]:
    """Return the domains of the clicks job's runs that have not ended, without lost runs."""
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    unfinished = dg.RunsFilter(
        job_name=clicks_job.name, statuses=UNFINISHED, updated_after=datetime.now(UTC) - LOST
    )
    runs = [record.dagster_run for record in instance.get_run_records(unfinished)]
    return {domain for run in runs for domain in requested_domains(run.tags, everything)}
