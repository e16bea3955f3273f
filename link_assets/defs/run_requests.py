"""Which domains a run loads: any set of them.

Dagster names the partitions of a run by one key, or by the first and the last of a range without
gaps. A run of domains with others between them is a run of its first domain, and its tag
`link_assets/domains` lists all. The domains between them get no event.

Schedules, the sensor and the demo ask for runs here; the asset `clicks` reads here what its run
was asked to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

# Private, as are the event and its report in plan_partitions: Dagster has no public way to plan a
# partition that a run is not named by, and shows only planned ones as under way or as failed.
from dagster._core.events import AssetMaterializationPlannedData

from link_assets.contract import Table
from link_assets.defs import configuration
from link_assets.defs.checks.check import listed
from link_assets.defs.domain_names import DomainNames
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.defs.translator import asset_key

DOMAINS = "link_assets/domains"
HOSTS = "link_assets/hosts"
PARTITION = "dagster/partition"
RANGE: tuple[str, str] = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


def clicks_requests(instance: dg.DagsterInstance, domains: set[str]) -> Iterator[dg.RunRequest]:
    """Yield run requests that together load these domains once, `domains_per_run` each."""
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    wanted = [domain for domain in everything if domain in domains]
    size = configuration.SETTINGS.domains_per_run
    for start in range(0, len(wanted), size):
        yield run_request(wanted[start : start + size], everything)


def run_request(domains: Sequence[str], everything: Sequence[str]) -> dg.RunRequest:
    """Return the request for a run that loads these domains, in the order of `everything`.

    It has a run key: without one, Dagster takes the requests of a tick for one and the same.
    """
    run_key = f"clicks of {', '.join(domains)}"
    if len(domains) == 1:
        return dg.RunRequest(run_key=run_key, partition_key=domains[0])
    first = everything.index(domains[0])
    if list(everything[first : first + len(domains)]) == list(domains):
        ends: dict[str, str] = dict(zip(RANGE, (domains[0], domains[-1]), strict=True))
        return dg.RunRequest(run_key=run_key, tags=ends)
    listed = {DOMAINS: ",".join(domains)}
    return dg.RunRequest(run_key=run_key, partition_key=domains[0], tags=listed)


def requested_domains(tags: Mapping[str, str], everything: Sequence[str]) -> Sequence[str]:
    """Return the domains that a run with these tags loads; `everything` are all partitions."""
    first, last = (tags.get(tag, tags.get(PARTITION)) for tag in RANGE)
    if first not in everything or last not in everything:
        return _listed(tags)
    named = everything[everything.index(first) : everything.index(last) + 1]
    return _together(named, _listed(tags))


def domains_of_run(context: dg.AssetExecutionContext) -> Sequence[str]:
    """Return the domains that this run loads: its partitions, and those that its tag adds."""
    return _together(context.partition_keys, _listed(context.run.tags))


def plan_partitions(
    context: dg.AssetExecutionContext, table: Table, domains: Iterable[str]
) -> None:
    """Show domains as under way, and as failed if the run fails before they are materialized.

    Dagster does so by itself for the partitions that it names a run by.
    """
    for domain in domains:
        planned = dg.DagsterEvent.build_asset_materialization_planned_event(
            context.job_name,
            table.name,
            AssetMaterializationPlannedData(asset_key(table), partition=domain),
        )
        context.instance.report_dagster_event(planned, context.run.run_id)


def is_selected(context: dg.AssetExecutionContext, key: dg.AssetKey) -> bool:
    """Return whether the run of this step is to materialize the asset."""
    return key in context.op_execution_context.job_def.asset_layer.executable_asset_keys


def show_hosts(
    context: dg.AssetExecutionContext, names: DomainNames, domains: Sequence[str]
) -> None:
    """Tag the run with the hosts of its domains, for people to read in the list of runs.

    The run itself does it, so that it is the same for schedules, backfills and the UI, and none of
    them has to wait for the warehouse. Without any known host there is no tag.
    """
    if not any(map(names.host, domains)):
        return
    hosts = [names.host(domain) or f"domain {domain}" for domain in domains]
    # Undocumented: no public way adds a tag to a run that has begun
    context.instance.add_run_tags(context.run.run_id, {HOSTS: listed(hosts)})


def _listed(tags: Mapping[str, str]) -> list[str]:
    return [domain for item in tags.get(DOMAINS, "").split(",") if (domain := item.strip())]


def _together(named: Sequence[str], listed: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*named, *listed]))
