"""Jobs, schedules and the sensor that loads a new domain soon after it appears."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from link_assets.defs import configuration
from link_assets.defs.partitions import PARTITIONS_NAME, known_domains
from link_assets.defs.run_requests import requested_domains, run_request
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
LOST = timedelta(hours=6)
"""A run that has not ended after so long may have been killed with its machine."""
RETRIED = {
    "dagster/max_retries": str(configuration.SETTINGS.run_retries),
    "dagster/retry_strategy": "ALL_STEPS",
}

links_job = dg.define_asset_job(
    "links_job",
    selection=dg.AssetSelection.assets(LINKS_KEY),
    description="Lists the links and registers new domains.",
    tags=RETRIED,
)
clicks_job = dg.define_asset_job(
    "clicks_job",
    selection=dg.AssetSelection.assets(CLICKS_KEY),
    description="Loads the clicks of one domain, or of several.",
    tags=RETRIED,
)
checks_job = dg.define_asset_job(
    "checks_job",
    selection=dg.AssetSelection.checks_for_assets(LINKS_KEY, CLICKS_KEY),
    description="Runs every check without loading anything.",
    tags=RETRIED,
)

links_schedule = dg.ScheduleDefinition(
    name="links_schedule",
    job=links_job,
    description="Lists the links and registers new domains, by default every hour.",
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
    """Requests the clicks of every known domain, `domains_per_run` domains a run."""
    known = set(known_domains(context.instance))
    if not known:
        return dg.SkipReason("No domain is known yet: materialize link_assets/links.")
    requests = list(clicks_requests(context.instance, known - _being_loaded(context.instance)))
    return requests or dg.SkipReason("Every known domain is being loaded already.")


@dg.sensor(
    job=clicks_job,
    description="Loads the first clicks of a domain soon after it was registered, once.",
    minimum_interval_seconds=60,
)
def new_domains_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Requests the first clicks of each domain that was never loaded, once."""
    requested = set(json.loads(context.cursor or "[]"))
    loaded = context.instance.get_materialized_partitions(CLICKS_KEY)
    new = set(known_domains(context.instance)) - loaded - requested
    if not new:
        return dg.SkipReason("Every known domain has been loaded or asked for before.")
    context.update_cursor(json.dumps(sorted(requested | new)))
    return list(clicks_requests(context.instance, new))


def _being_loaded(instance: dg.DagsterInstance) -> set[str]:
    """The domains of this job's runs that are queued or under way, but for runs that are lost."""
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    unfinished = dg.RunsFilter(
        job_name=clicks_job.name, statuses=UNFINISHED, updated_after=datetime.now(UTC) - LOST
    )
    runs = instance.get_runs(unfinished)
    return {domain for run in runs for domain in requested_domains(run.tags, everything)}


def clicks_requests(instance: dg.DagsterInstance, domains: set[str]) -> Iterator[dg.RunRequest]:
    """Yields run requests that together load these domains once, `domains_per_run` each."""
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    wanted = [domain for domain in everything if domain in domains]
    size = configuration.SETTINGS.domains_per_run
    for start in range(0, len(wanted), size):
        yield run_request(wanted[start : start + size], everything)
