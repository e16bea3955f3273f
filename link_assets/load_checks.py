"""Checks on what the last loads came to: whether they are late, rejected rows, or lacked some."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import dagster as dg

from link_assets.contract import CLICKS, REJECTED_ROWS
from link_assets.domains import known_domains
from link_assets.findings import Finding, found_in_tables
from link_assets.settings import location_settings
from link_assets.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse import Reader, reading

SETTINGS = location_settings()
USUAL_DAYS = 14
"""How many days before the last whole one say what is usual."""
USUAL_CLICKS = 20
"""A domain with fewer a day than this swings too much to be judged."""


@dataclass(frozen=True)
class LastLoad:
    """The latest materialization of an asset or of one of its partitions. Time is UTC."""

    at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """A number of its metadata; 0 if it has none of that name."""
        return int(self.metadata.get(name, 0))


def last_loads(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, LastLoad]:
    """The last load of each partition that has one, in the order of `partitions`."""
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(partitions)
    )
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(ids.values()))
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    loads = {str(record.partition_key): _last_load(record) for record in records}
    return {key: loads[key] for key in partitions if key in loads}


def _last_load(record: dg.EventLogRecord) -> LastLoad:
    materialization = record.asset_materialization
    told = materialization.metadata if materialization else {}
    values = {name: value.value for name, value in told.items()}
    return LastLoad(datetime.fromtimestamp(record.timestamp, UTC), values)


def links_last_load(instance: dg.DagsterInstance) -> LastLoad | None:
    """The last load of the links; None if there was none."""
    records = instance.fetch_materializations(LINKS_KEY, limit=1).records
    return _last_load(records[0]) if records else None


@dg.asset_check(asset=LINKS_KEY, name="fresh", description="The links were loaded of late.")
def links_fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails if the links were never loaded or longer ago than `links_fresh_hours`."""
    last = links_last_load(context.instance)
    loads = {"links": last} if last else {}
    finding = lateness(["links"], loads, SETTINGS.links_fresh_hours, datetime.now(UTC))
    return finding.result(dg.AssetCheckKey(LINKS_KEY, "fresh"), dg.AssetCheckSeverity.ERROR)


@dg.asset_check(asset=CLICKS_KEY, name="fresh", description="Every domain was loaded of late.")
def clicks_fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails if a known domain was never loaded or longer ago than `clicks_fresh_hours`.

    Also if no domain is known, since then nothing is loaded at all.
    """
    domains = known_domains(context.instance)
    loads = last_loads(context.instance, CLICKS_KEY, domains)
    finding = lateness(domains, loads, SETTINGS.clicks_fresh_hours, datetime.now(UTC))
    return finding.result(dg.AssetCheckKey(CLICKS_KEY, "fresh"), dg.AssetCheckSeverity.ERROR)


def lateness(
    expected: Sequence[str], loads: Mapping[str, LastLoad], hours: float, now: datetime
) -> Finding:
    """Which of the expected were never loaded, or are late, and by how much."""
    if not expected:
        return Finding(
            "No domain is known.",
            "Materialize link_assets/links, and see whether the setting LINK_ASSETS__DOMAINS, if "
            "there is one, lists domains that have links.",
        )
    window = timedelta(hours=hours)
    never = [name for name in expected if name not in loads]
    late = {n: now - load.at - window for n, load in loads.items() if now - load.at > window}
    metadata = {"expected": len(expected), "never_loaded": never, "window_hours": hours}
    metadata["late_by_hours"] = {n: round(by.total_seconds() / 3600, 2) for n, by in late.items()}
    problems = [f"{name} is late by {_span(by)}" for name, by in late.items()]
    problems += [f"{name} was never loaded" for name in never]
    if not problems:
        return Finding(metadata=metadata)
    remedy = "Materialize what is named, and see whether its schedule is on and its runs succeed."
    return Finding(f"Not fresh: {'; '.join(problems)}.", remedy, metadata)


def _span(by: timedelta) -> str:
    hours = by.total_seconds() / 3600
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"


@dg.asset_check(
    asset=LINKS_KEY, name="no_rejected_rows", description="The last load rejected no link."
)
def links_no_rejected_rows(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails if the last load of the links put rows aside."""
    last = links_last_load(context.instance)
    finding = rejections("links", {"links": last} if last else {})
    key = dg.AssetCheckKey(LINKS_KEY, "no_rejected_rows")
    return finding.result(key, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=CLICKS_KEY,
    name="no_rejected_rows",
    description="No domain's last load rejected a click.",
)
def clicks_no_rejected_rows(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails if the last load of some domain put rows aside."""
    loads = last_loads(context.instance, CLICKS_KEY, known_domains(context.instance))
    key = dg.AssetCheckKey(CLICKS_KEY, "no_rejected_rows")
    return rejections("clicks", loads).result(key, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=LINKS_KEY,
    name="no_mass_disappearance",
    description="The last listing did not lack most of the links.",
)
def links_no_mass_disappearance(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Fails if so many links were gone that none was marked as deleted."""
    finding = disappearance(links_last_load(context.instance))
    key = dg.AssetCheckKey(LINKS_KEY, "no_mass_disappearance")
    return finding.result(key, dg.AssetCheckSeverity.ERROR)


def disappearance(last: LastLoad | None) -> Finding:
    """Whether the last listing lacked links that were not marked."""
    if last is None:
        return Finding("The links were never loaded.", "Materialize link_assets/links.")
    names = ("links_missing", "links_before", "links_without_id")
    numbers = {name: last.number(name) for name in names}
    if not numbers["links_missing"] or last.number("marked_deleted"):
        return Finding()
    problem = (
        f"{numbers['links_missing']} of {numbers['links_before']} links were missing from the last "
        "listing, and none was marked as deleted"
    )
    if numbers["links_without_id"]:
        return Finding(
            f"{problem}: {numbers['links_without_id']} rejected links have no id to tell them by.",
            "See them in link_assets.rejected_rows, and ask the API's provider to give them one.",
            numbers,
        )
    return Finding(
        f"{problem}: they are more than the share {SETTINGS.disappeared_share:g} of them.",
        "See whether the API key still reads every domain. If they are gone for good, raise "
        "LINK_ASSETS__DISAPPEARED_SHARE and materialize link_assets/links.",
        numbers,
    )


def rejections(resource: str, loads: Mapping[str, LastLoad]) -> Finding:
    """How many rows the last loads rejected, by domain; a problem, too, if there was no load."""
    if not loads:
        return Finding(f"The {resource} were never loaded.", f"Materialize link_assets/{resource}.")
    every = {name: load.number("rejected_rows") for name, load in loads.items()}
    counts = {name: count for name, count in every.items() if count}
    if not counts:
        return Finding()
    return Finding(
        f"{sum(counts.values())} rows could not be read in the last load ({_listed(counts)}).",
        f"They are kept whole, with the reason: SELECT domain_id, reason, payload FROM "
        f"link_assets.{REJECTED_ROWS.name} WHERE resource = '{resource}'.",
        {"rejected": counts},
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


@dg.asset_check(
    asset=CLICKS_KEY,
    name="usual_volume",
    description="No domain had far fewer clicks than usual.",
)
def clicks_usual_volume(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Warns if a domain's last whole day (UTC) before its last load had far fewer than usual."""
    loads = last_loads(context.instance, CLICKS_KEY, known_domains(context.instance))
    # what came while a run was down is loaded by the one after that which took it up
    ends = {
        domain: load.at.date()
        for domain, load in loads.items()
        if not load.number("resumed_from_page")
    }
    with reading() as reader:
        finding = found_in_tables(partial(unusual_volume, ends, reader), CLICKS.name)
    key = dg.AssetCheckKey(CLICKS_KEY, "usual_volume")
    return finding.result(key, dg.AssetCheckSeverity.WARN)


def unusual_volume(ends: Mapping[str, date], reader: Reader) -> Finding:
    """Domains with far fewer clicks on the day (UTC) before their end than on those before it."""
    first = min(ends.values(), default=date.max) - timedelta(days=1 + USUAL_DAYS)
    # by seconds: a cast to a date would take the session's time zone
    rows = reader.rows(
        f"SELECT domain_id, CAST(floor(extract(epoch FROM dt) / 86400) AS BIGINT), count(*)"
        f" FROM {{dataset}}.{CLICKS.name} WHERE dt >= '{first} 00:00:00+00' GROUP BY 1, 2"
    )
    counts: defaultdict[str, dict[date, int]] = defaultdict(dict)
    for domain, day, clicks in rows:
        counts[str(domain)][date(1970, 1, 1) + timedelta(days=day)] = clicks
    return volume({domain: _days_before(end, counts[domain]) for domain, end in ends.items()})


def _days_before(end: date, counts: Mapping[date, int]) -> list[int]:
    days = (end - timedelta(days=back) for back in range(1, 2 + USUAL_DAYS))
    return [counts.get(day, 0) for day in days]


def volume(daily: Mapping[str, Sequence[int]]) -> Finding:
    """Judges each domain's clicks by day, the latest first, against the median of the others."""
    low = {
        domain: f"{latest} instead of about {usual:g}"
        for domain, (latest, *before) in daily.items()
        if (usual := median(before)) >= USUAL_CLICKS and latest / usual < SETTINGS.volume_share
    }
    if not low:
        return Finding()
    listed = "; ".join(f"domain {domain} had {numbers}" for domain, numbers in low.items())
    return Finding(
        f"The last whole day brought far fewer clicks than usual: {listed}.",
        "See whether these domains still redirect, and are counted.",
        low,
    )
