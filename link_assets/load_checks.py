"""Checks on what the last loads came to: whether they are late, rejected rows, or lacked some."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import dagster as dg

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS
from link_assets.domains import known_domains
from link_assets.findings import Check, Finding, found_in_tables
from link_assets.settings import location_settings
from link_assets.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse import Reader

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


@dataclass(frozen=True)
class LastLoads:
    """The last loads of a table: of the links as such, of the clicks by domain."""

    table: str
    expected: Sequence[str]
    """What should have been loaded."""
    loads: Mapping[str, LastLoad]
    fresh_hours: float


def links_last_load(instance: dg.DagsterInstance) -> LastLoads:
    """The last load of the links."""
    name, records = LINKS.name, instance.fetch_materializations(LINKS_KEY, limit=1).records
    loads = {name: _last_load(records[0])} if records else {}
    return LastLoads(name, [name], loads, SETTINGS.links_fresh_hours)


def clicks_last_loads(instance: dg.DagsterInstance) -> LastLoads:
    """The last load of each known domain that has one."""
    domains = known_domains(instance)
    loads = _by_domain(instance, domains)
    return LastLoads(CLICKS.name, domains, loads, SETTINGS.clicks_fresh_hours)


def _by_domain(instance: dg.DagsterInstance, domains: Sequence[str]) -> dict[str, LastLoad]:
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        CLICKS_KEY, dg.DagsterEventType.ASSET_MATERIALIZATION, set(domains)
    )
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=CLICKS_KEY, storage_ids=list(ids.values()))
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    loads = {str(record.partition_key): _last_load(record) for record in records}
    return {key: loads[key] for key in domains if key in loads}


def _last_load(record: dg.EventLogRecord) -> LastLoad:
    materialization = record.asset_materialization
    told = materialization.metadata if materialization else {}
    values = {name: value.value for name, value in told.items()}
    return LastLoad(datetime.fromtimestamp(record.timestamp, UTC), values)


def freshness(last: LastLoads) -> Finding:
    """What is late, or was never loaded; also if nothing is expected at all."""
    return lateness(last, datetime.now(UTC))


def lateness(last: LastLoads, now: datetime) -> Finding:
    """Which of the expected were never loaded, or are late, and by how much."""
    if not last.expected:
        return Finding(
            "No domain is known.",
            "Materialize link_assets/links, and see whether the setting LINK_ASSETS__DOMAINS, if "
            "there is one, lists domains that have links.",
        )
    window = timedelta(hours=last.fresh_hours)
    never = [name for name in last.expected if name not in last.loads]
    late = {n: by for n, load in last.loads.items() if (by := now - load.at - window) > timedelta()}
    metadata = {
        "expected": len(last.expected),
        "never_loaded": never,
        "window_hours": last.fresh_hours,
    }
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


def disappearance(last: LastLoads) -> Finding:
    """Whether the last listing lacked links that were not marked."""
    listing = last.loads.get(LINKS.name)
    if listing is None:
        return Finding("The links were never loaded.", "Materialize link_assets/links.")
    names = ("links_missing", "links_before", "links_without_id")
    numbers = {name: listing.number(name) for name in names}
    if not numbers["links_missing"] or listing.number("marked_deleted"):
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


def rejections(last: LastLoads) -> Finding:
    """How many rows the last loads rejected, by domain; a problem, too, if there was no load."""
    if not last.loads:
        return Finding(
            f"The {last.table} were never loaded.", f"Materialize link_assets/{last.table}."
        )
    every = {name: load.number("rejected_rows") for name, load in last.loads.items()}
    counts = {name: count for name, count in every.items() if count}
    if not counts:
        return Finding()
    return Finding(
        f"{sum(counts.values())} rows could not be read in the last load ({_listed(counts)}).",
        f"They are kept whole, with the reason: SELECT domain_id, reason, payload FROM "
        f"link_assets.{REJECTED_ROWS.name} WHERE resource = '{last.table}'.",
        {"rejected": counts},
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def unusual_volume(reader: Reader, last: LastLoads) -> Finding:
    """Domains with far fewer clicks than usual on the last whole day (UTC) before their last load.

    Not of a load that resumed: what came while its run was down is loaded by the one after it.
    """
    ends = {
        domain: load.at.date()
        for domain, load in last.loads.items()
        if not load.number("resumed_from_page")
    }
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


LoadsCheck = Check[[LastLoads]]
LINKS_LOAD_CHECKS = (
    Check("fresh", "The links were loaded of late.", freshness),
    Check("no_rejected_rows", "The last load rejected no link.", rejections),
    Check(
        "no_mass_disappearance", "The last listing did not lack most of the links.", disappearance
    ),
)
CLICKS_LOAD_CHECKS = (
    Check("fresh", "Every domain was loaded of late.", freshness),
    Check("no_rejected_rows", "No domain's last load rejected a click.", rejections),
)
VolumeCheck = Check[[Reader, LastLoads]]
CLICKS_VOLUME_CHECKS = (
    Check(
        "usual_volume",
        "No domain had far fewer clicks than usual.",
        unusual_volume,
        dg.AssetCheckSeverity.WARN,
    ),
)


def in_volume(
    last: LastLoads, checks: Sequence[VolumeCheck]
) -> dict[str, Callable[[Reader], Finding]]:
    """By name of a check, what it has to find."""
    return {check.name: partial(_find, check, last) for check in checks}


def _find(check: VolumeCheck, last: LastLoads, reader: Reader) -> Finding:
    return found_in_tables(partial(check.find, reader, last), last.table)
