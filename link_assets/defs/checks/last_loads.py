"""Checks on the last loads: whether they are late, rejected rows, or brought too little."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import dagster as dg

from link_assets.contract import CLICKS, LINKS, REJECTED_ROWS
from link_assets.defs import configuration
from link_assets.defs.checks.check import Check, CheckResult, checked_in_tables, counted, listed
from link_assets.defs.checks.scope import Scope, evaluations
from link_assets.defs.partitions import is_domain_id, known_domains
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.warehouse.pipeline import Reader

USUAL_DAYS = 14
"""How many days before the last whole one say what is usual."""
USUAL_CLICKS = 20
"""A domain with fewer a day than this swings too much to be judged."""
PROBLEMS = "problem_domains"
"""The metadata that names the domains with a problem, REMEMBERED of them at most."""
UNNAMED = "problem_domains_not_named"
"""The metadata that says how many more there are."""
REMEMBERED = 100


@dataclass(frozen=True)
class LastLoad:
    """The latest materialization of an asset or of one of its partitions. Time is UTC."""

    at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """A number of its metadata; 0 if it has none of that name."""
        return int(self.metadata.get(name, 0))

    @property
    def newest_click(self) -> datetime | None:
        """The newest click that the domain had after the load; None if it is not known."""
        hours, last = self.metadata.get("newest_click_age_hours"), self.metadata.get("last_click")
        if hours is not None:
            return self.at - timedelta(hours=hours)
        return None if last is None else datetime.fromtimestamp(last, UTC)


@dataclass(frozen=True)
class Known:
    """What earlier looks found: domains with a problem, and how many more there were."""

    domains: tuple[str, ...] = ()
    unnamed: int = 0


@dataclass(frozen=True)
class LastLoads:
    """The last loads of a table: of the links as such, of the clicks by domain."""

    table: str
    expected: Sequence[str]
    """What should have been loaded, and is judged."""
    loads: Mapping[str, LastLoad]
    fresh_hours: float
    whole: bool = True
    """Whether that is all of the table, and not what one run was to load."""
    known: Known = Known()
    """Problems elsewhere, which a run does not make forgotten."""

    @property
    def what(self) -> str:
        """What is judged, as a message says it."""
        if self.table == LINKS.name:
            return f"the {self.table}"
        again = len(self.known.domains)
        own = len(self.expected) - again
        if self.whole:
            return f"all {counted(own, 'domain')}"
        run = "the domain of this run" if own == 1 else f"the {own} domains of this run"
        return run + (f" and {counted(again, 'domain')} with a known problem" if again else "")


def links_last_load(
    instance: dg.DagsterInstance, scope: Scope, known: Mapping[str, Known]
) -> Callable[[str], LastLoads]:
    """By name of a check, the last load of the links."""
    name, records = LINKS.name, instance.fetch_materializations(LINKS_KEY, limit=1).records
    loads = {name: _last_load(records[0])} if records else {}
    return lambda _: LastLoads(name, [name], loads, configuration.SETTINGS.links_fresh_hours)


def clicks_last_loads(
    instance: dg.DagsterInstance, scope: Scope, known: Mapping[str, Known]
) -> Callable[[str], LastLoads]:
    """By name of a check, the last load of each domain that it judges and that has one.

    These are all known domains; in a run that loads, its own and those whose problem is known.
    """
    every = known_domains(instance) if scope.is_whole else scope.domains
    more = () if scope.is_whole else {d for k in known.values() for d in k.domains}
    loads = _by_domain(instance, [*every, *sorted(set(more) - set(every))])

    def judged_by(check: str) -> LastLoads:
        elsewhere = Known() if scope.is_whole else known.get(check, Known())
        again = tuple(domain for domain in elsewhere.domains if domain not in every)
        return LastLoads(
            CLICKS.name,
            [*every, *again],
            {domain: loads[domain] for domain in (*every, *again) if domain in loads},
            configuration.SETTINGS.clicks_fresh_hours,
            scope.is_whole,
            Known(again, elsewhere.unnamed),
        )

    return judged_by


def known_problems(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Known:
    """The domains that a check's last evaluation found a problem with."""
    last = evaluations(instance, key, limit=5) or evaluations(instance, key, limit=REMEMBERED)
    if not last:
        return Known()
    _, evaluation = last[0]
    values: dict[str, Any] = {name: v.value for name, v in evaluation.metadata.items()}
    domains = str(values.get(PROBLEMS, "")).split(", ")
    return Known(tuple(filter(None, domains)), int(values.get(UNNAMED, 0)))


def _by_domain(instance: dg.DagsterInstance, domains: Sequence[str]) -> dict[str, LastLoad]:
    if not domains:  # which Dagster would take for all of them
        return {}
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


def with_known_problems(finding: CheckResult, last: LastLoads) -> CheckResult:
    """The finding on domains, with what is known of others and what later looks need to know."""
    if last.table == LINKS.name:
        return finding
    unnamed = max(0, len(finding.domains) - REMEMBERED) + last.known.unnamed
    if finding.domains:
        finding = finding.adding(metadata={PROBLEMS: ", ".join(finding.domains[:REMEMBERED])})
    if unnamed:
        finding = finding.adding(metadata={UNNAMED: unnamed})
    if not last.known.unnamed:
        return finding
    more = counted(last.known.unnamed, "more domain")
    problem = f"{more} had a problem when all were judged last."
    remedy = finding.remedy or "Execute this check in the UI, which judges all domains."
    return replace(finding, problem=f"{finding.problem} {problem}".strip(), remedy=remedy)


def freshness(last: LastLoads) -> CheckResult:
    """What is late, or was never loaded; also if nothing is expected at all."""
    return lateness(last, datetime.now(UTC))


def lateness(last: LastLoads, now: datetime) -> CheckResult:
    """Which of the expected were never loaded, or are late, and by how much."""
    if not last.expected:
        return CheckResult(
            "No domain is known.",
            "Materialize link_assets/links, and see whether the setting LINK_ASSETS__DOMAINS, if "
            "there is one, lists domains that have links.",
        )
    window = timedelta(hours=last.fresh_hours)
    never = [name for name in last.expected if name not in last.loads]
    late = {n: by for n, load in last.loads.items() if (by := now - load.at - window) > timedelta()}
    numbers = _freshness_numbers(last, now, never, late)
    looked_at = _freshness_told(last, now)
    problems = [f"{name} is late by {span(by)}" for name, by in late.items()]
    problems += [f"{name} was never loaded" for name in never]
    if not problems:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    remedy = "Materialize what is named, and see whether its schedule is on and its runs succeed."
    problem = f"Not fresh: {listed(problems, '; ')}."
    return CheckResult(problem, remedy, numbers, looked_at, [*late, *never])


def _freshness_numbers(
    last: LastLoads, now: datetime, never: Sequence[str], late: Mapping[str, timedelta]
) -> dict[str, Any]:
    loads, clicks = _ages(last, now), _click_ages(last, now)
    numbers: dict[str, Any] = {
        "judged": len(last.expected),
        "late": len(late),
        "never_loaded": len(never),
        "window_hours": last.fresh_hours,
    }
    if late:
        numbers["late_by_hours"] = {name: hours(by) for name, by in [*late.items()][:REMEMBERED]}
    if loads:
        numbers["oldest_load_age_hours"] = hours(max(loads.values()))
    if clicks:
        numbers["newest_click_age_hours_min"] = hours(min(clicks.values()))
        numbers["newest_click_age_hours_max"] = hours(max(clicks.values()))
    return numbers


def _freshness_told(last: LastLoads, now: datetime) -> str:
    """How old loads and clicks are: a load may be new and bring nothing new."""
    loads, clicks = _ages(last, now), _click_ages(last, now)
    told = f"Judged: {last.what}."
    if loads:
        oldest = "The last load" if len(loads) == 1 else "The oldest of their last loads"
        told += (
            f" {oldest} is {span(max(loads.values()))} old ({last.fresh_hours:g} hours allowed)."
        )
    if clicks:
        (low, _), (high, domain) = min(_turned(clicks)), max(_turned(clicks))
        told += f" The newest click is {span(low)} old"
        told += f", that of domain {domain} {span(high)}." if len(clicks) > 1 else "."
    return told


def _turned(ages: Mapping[str, timedelta]) -> Iterable[tuple[timedelta, str]]:
    return ((age, name) for name, age in ages.items())


def _ages(last: LastLoads, now: datetime) -> dict[str, timedelta]:
    return {name: now - load.at for name, load in last.loads.items()}


def _click_ages(last: LastLoads, now: datetime) -> dict[str, timedelta]:
    newest = {name: load.newest_click for name, load in last.loads.items()}
    return {name: now - click for name, click in newest.items() if click}


def hours(time: timedelta) -> float:
    """A time as a number that can be plotted."""
    return round(time.total_seconds() / 3600, 2)


def span(time: timedelta) -> str:
    """A time as a message says it."""
    hours = time.total_seconds() / 3600
    if abs(hours) >= 24 * 7:
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f} hours" if abs(hours) >= 1 else f"{hours * 60:.0f} minutes"


def disappearance(last: LastLoads) -> CheckResult:
    """Whether the last listing lacked links that were not marked."""
    listing = last.loads.get(LINKS.name)
    if listing is None:
        return CheckResult("The links were never loaded.", "Materialize link_assets/links.")
    names = ("links_missing", "links_before", "links_without_id")
    numbers = {name: listing.number(name) for name in names}
    missing, before = numbers["links_missing"], numbers["links_before"]
    looked_at = f"Judged: the last listing, in which {missing} of {before} links were missing"
    if not before:
        looked_at = "The last listing was the first: there were no links to compare it with"
    if not missing or listing.number("marked_deleted"):
        marked = ", which are marked as deleted." if missing else "."
        return CheckResult(metadata=numbers, looked_at=looked_at + marked)
    problem = (
        f"{missing} of {before} links were missing from the last listing, and none was marked as "
        "deleted"
    )
    share = configuration.SETTINGS.disappeared_share
    if numbers["links_without_id"]:
        return CheckResult(
            f"{problem}: {numbers['links_without_id']} rejected links have no id to tell them by.",
            "See them in link_assets.rejected_rows, and ask the API's provider to give them one.",
            numbers,
        )
    return CheckResult(
        f"{problem}: they are more than the share {share:g} of them.",
        "See whether the API key still reads every domain. If they are gone for good, raise "
        "LINK_ASSETS__DISAPPEARED_SHARE and materialize link_assets/links.",
        numbers,
    )


def rejections(last: LastLoads) -> CheckResult:
    """How many rows the last loads rejected, by domain; a problem, too, if there was no load."""
    if not last.loads:
        whose = "" if last.whole else f" of {last.what}"
        return CheckResult(
            f"The {last.table}{whose} were never loaded.",
            f"Materialize link_assets/{last.table}.",
            domains=last.expected,
        )
    every = {name: load.number("rejected_rows") for name, load in last.loads.items()}
    counts = {name: count for name, count in every.items() if count}
    never = len(last.expected) - len(last.loads)
    numbers: dict[str, Any] = {
        "judged": len(last.loads),
        "not_judged": never,
        "rejected_rows": sum(counts.values()),
    }
    looked_at = f"Judged: the last load of {last.what}."
    if never:
        looked_at = (
            f"Judged: the last load of {len(last.loads)} of {last.what}; the others have none."
        )
    if not counts:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    numbers["rejected"] = dict([*counts.items()][:REMEMBERED])
    by_domain = listed([f"{name}: {count}" for name, count in counts.items()])
    return CheckResult(
        f"{sum(counts.values())} rows could not be read in the last load ({by_domain}).",
        f"They are kept whole, with the reason: SELECT domain_id, reason, payload FROM "
        f"link_assets.{REJECTED_ROWS.name} WHERE resource = '{last.table}'.",
        numbers,
        domains=[*counts],
    )


def unusual_volume(reader: Reader, last: LastLoads) -> CheckResult:
    """Domains with far fewer clicks than usual on the last whole day (UTC) before their last load.

    Not of a load that resumed: what came while its run was down is loaded by the one after it.
    """
    ends = {
        domain: load.at.date()
        for domain, load in last.loads.items()
        if not load.number("resumed_from_page")
    }
    first = min(ends.values(), default=date.max) - timedelta(days=1 + USUAL_DAYS)
    ids = ", ".join(filter(is_domain_id, ends)) or "NULL"
    among = "TRUE" if last.whole else f"domain_id IN ({ids})"
    # by seconds: a cast to a date would take the session's time zone
    rows = reader.rows(
        f"SELECT domain_id, CAST(floor(extract(epoch FROM dt) / 86400) AS BIGINT), count(*)"
        f" FROM {{dataset}}.{CLICKS.name} WHERE dt >= '{first} 00:00:00+00' AND {among}"
        " GROUP BY 1, 2"
    )
    counts: defaultdict[str, dict[date, int]] = defaultdict(dict)
    for domain, day, clicks in rows:
        counts[str(domain)][date(1970, 1, 1) + timedelta(days=day)] = clicks
    daily = {domain: _days_before(end, counts[domain]) for domain, end in ends.items()}
    finding = volume(daily, len(last.expected) - len(ends))
    return finding.adding(f"Looked at {last.what}.")


def _days_before(end: date, counts: Mapping[date, int]) -> list[int]:
    days = (end - timedelta(days=back) for back in range(1, 2 + USUAL_DAYS))
    return [counts.get(day, 0) for day in days]


def volume(daily: Mapping[str, Sequence[int]], others: int = 0) -> CheckResult:
    """Judges each domain's clicks by day, the latest first, against the median of the others.

    `others` are domains of which there are none to judge: not loaded, or by a load that resumed.
    """
    usual = {domain: median(before) for domain, (_, *before) in daily.items()}
    judged = {domain: daily[domain][0] / m for domain, m in usual.items() if m >= USUAL_CLICKS}
    low = [
        domain for domain, share in judged.items() if share < configuration.SETTINGS.volume_share
    ]
    told = {domain: f"{daily[domain][0]} instead of about {usual[domain]:g}" for domain in low}
    few = len(daily) - len(judged)
    numbers: dict[str, Any] = {"judged": len(judged), "not_judged": few + others, "low": len(low)}
    if judged:
        numbers["lowest_share"] = round(min(judged.values()), 3)
    looked_at = _volume_told(len(judged), few, others)
    if not low:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    numbers["low_domains"] = dict([*told.items()][:REMEMBERED])
    by_domain = listed([f"domain {domain} had {clicks}" for domain, clicks in told.items()], "; ")
    return CheckResult(
        f"The last whole day brought far fewer clicks than usual: {by_domain}.",
        "See whether these domains still redirect, and are counted.",
        numbers,
        looked_at,
        low,
    )


def _volume_told(judged: int, few: int, others: int) -> str:
    told = [f"{counted(judged, 'domain')} judged" if judged else "No domain could be judged"]
    if few:
        told.append(f"{few} with too few clicks to judge (under {USUAL_CLICKS} a day)")
    if others:
        told.append(f"{others} never loaded, or last by a run that went on where one had stopped")
    return "; ".join(told) + "."


LoadsCheck = Check[[LastLoads]]
LINKS_LOAD_CHECKS = (
    Check("fresh", "The last load of the links is recent enough.", freshness),
    Check("no_rejected_rows", "The last load rejected no link.", rejections),
    Check(
        "no_mass_disappearance", "The last listing lacked no large share of links.", disappearance
    ),
)
CLICKS_LOAD_CHECKS = (
    Check("fresh", "The last load of every domain is recent enough.", freshness),
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


def in_loads(last: Callable[[str], LastLoads], check: LoadsCheck) -> CheckResult:
    """What a check finds in the last loads."""
    loads = last(check.name)
    return with_known_problems(check.find(loads), loads)


def in_volume(
    last: Callable[[str], LastLoads], checks: Sequence[VolumeCheck]
) -> dict[str, Callable[[Reader], CheckResult]]:
    """By name of a check, what it has to find."""
    return {check.name: partial(_find, check, last(check.name)) for check in checks}


def _find(check: VolumeCheck, last: LastLoads, reader: Reader) -> CheckResult:
    found = checked_in_tables(partial(check.find, reader, last), last.table)
    return with_known_problems(found, last)
