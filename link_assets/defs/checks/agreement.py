"""Does the warehouse have the clicks that the service counts? The check `agrees_with_service`.

It compares the clicks by people of each whole day (UTC) that loads still look back to. Older days
may differ for good: the service forgets them in its own time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Any

import dagster as dg

from link_assets.defs.checks.check import REMEMBERED, CheckResult, counted, judged_domains, listed
from link_assets.defs.checks.clicks_by_day import clicks_by_day
from link_assets.defs.checks.last_loads import (
    NEVER_OR_RESUMED,
    ComparedRowsCheck,
    LastLoad,
    LastLoads,
)
from link_assets.defs.domain_names import WITHOUT_HOSTS, DomainNames, domain_names
from link_assets.defs.failures import explanation, kind_and_place
from link_assets.kept_days import first_day_loaded
from link_assets.settings import ApiSettings, SettingsError, api_settings, is_domain_id
from link_assets.source.daily_counts import Counted, api_counts_people, people_by_day
from link_assets.warehouse.reader import Reader

SETTLING = timedelta(hours=3)
"""How long after its end a day is not judged: the service lists clicks a while after it counts."""
MOST_DAYS = 31
"""How many days of a domain are compared at most."""
NOT_COMPARED = f"{NEVER_OR_RESUMED}, or so long ago that the clicks are not kept"


@dataclass(frozen=True)
class ServiceCounts:
    """What the service answered: the days that are compared, its counts, and why some are missing.

    `unknown` says why nothing was asked at all; `failed` by domain why its counts are not known.
    `names` are those by which messages call the domains.
    """

    days: Mapping[str, Sequence[date]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[date, int]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    unknown: CheckResult | None = None
    names: DomainNames = WITHOUT_HOSTS


@dataclass(frozen=True)
class Difference:
    """A day of a domain on which the warehouse and the service count differently."""

    domain: str
    day: date
    had: int
    service: int

    def text(self, names: DomainNames) -> str:
        """Return it as a message says it."""
        clicks = counted(self.had, "click")
        return (
            f"domain {names.of(self.domain)} had {clicks} by people on {self.day}, "
            f"the service counts {self.service}"
        )


def service_counts(last: LastLoads) -> ServiceCounts:
    """Ask the service for its counts of the days before each domain's last load.

    A load that resumed is left out: what came while its run was down is loaded by the next one.
    """
    if not api_counts_people():
        return ServiceCounts(
            unknown=CheckResult(looked_at="The API has no counts of its own to compare with.")
        )
    try:
        settings = api_settings()
        days = {
            domain: whole
            for domain, load in last.loads.items()
            if is_domain_id(domain) and not load.number("resumed_from_page")
            if (whole := _whole_days(load, settings))
        }
        asked = [(int(domain), (whole[0], whole[-1])) for domain, whole in days.items()]
        names = domain_names()
        answers = {
            str(domain): answer for domain, answer in people_by_day(settings, asked, names.hosts)
        }
    except SettingsError as error:
        return ServiceCounts(unknown=CheckResult.not_judged(str(error)))
    return _sorted_out(days, answers, names)


def _whole_days(load: LastLoad, settings: ApiSettings) -> Sequence[date]:
    """Return the days that were over and settled when the load began, as far as loads look back.

    Those whose clicks are no longer kept are not among them.
    """
    settled = (load.began - SETTLING).date()
    back = min(max(ceil(settings.clicks_lookback_days), 1), MOST_DAYS)
    days = [settled - timedelta(days=days) for days in range(back, 0, -1)]
    first = first_day_loaded(settings.keep_clicks_days, datetime.now(UTC).date())
    return [day for day in days if first is None or day >= first]


def _sorted_out(
    days: Mapping[str, Sequence[date]], answers: Mapping[str, Counted], names: DomainNames
) -> ServiceCounts:
    counts = {d: answer for d, answer in answers.items() if not isinstance(answer, Exception)}
    errors = {d: answer for d, answer in answers.items() if isinstance(answer, Exception)}
    failed = {
        domain: _reason(error, f"daily clicks of domain {names.of(domain)}")
        for domain, error in errors.items()
    }
    return ServiceCounts(days, counts, failed, names=names)


def _reason(error: Exception, what: str) -> str:
    known = explanation(error, what)
    return str(known.description) if known else f"{kind_and_place(error)}."


def disagreement(reader: Reader, last: LastLoads, service: ServiceCounts) -> CheckResult:
    """Find days on which the warehouse and the service count different clicks by people."""
    if service.unknown:
        return service.unknown
    if service.failed and not service.counts:
        return CheckResult.not_judged(listed([*dict.fromkeys(service.failed.values())], " "))
    first = min((service.days[domain][0] for domain in service.counts), default=date.max)
    had = clicks_by_day(reader, first, service.counts, "human") if service.counts else {}
    return _judged(had, service, len(last.expected) - len(service.counts))


def _judged(
    had: Mapping[str, Mapping[date, int]], service: ServiceCounts, others: int
) -> CheckResult:
    differing = list(_differences(had, service))
    judged = len(service.counts)
    numbers: dict[str, Any] = {
        "judged": judged,
        "not_judged": others,
        "days": sum(len(service.days[domain]) for domain in service.counts),
        "differing": len(differing),
    }
    if service.failed:
        numbers["not_answered"] = dict([*service.failed.items()][:REMEMBERED])
    looked_at = _looked_at(judged, service, others)
    if not differing:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    numbers["differences"] = {
        f"{d.domain} {d.day}": f"{d.had} instead of {d.service}" for d in differing[:REMEMBERED]
    }
    days = listed([difference.text(service.names) for difference in differing], "; ")
    return CheckResult(
        f"The service counts other clicks: {days}.",
        "Load these domains once more: the service may have counted late. If it stays, give the "
        "run a full_refresh, and see link_assets.rejected_rows.",
        numbers,
        looked_at,
        [*dict.fromkeys(d.domain for d in differing)],
    )


def _differences(
    had: Mapping[str, Mapping[date, int]], service: ServiceCounts
) -> Iterator[Difference]:
    for domain, counts in service.counts.items():
        for day in service.days[domain]:
            own, theirs = had.get(domain, {}).get(day, 0), counts.get(day, 0)
            if own != theirs:
                yield Difference(domain, day, own, theirs)


def _looked_at(judged: int, service: ServiceCounts, others: int) -> str:
    text = judged_domains(judged, {NOT_COMPARED: others - len(service.failed)})
    if not service.failed:
        return text
    reasons = listed([*dict.fromkeys(service.failed.values())], " ")
    return f"{text} {counted(len(service.failed), 'domain')} not judged: {reasons}"


AGREES_WITH_SERVICE = ComparedRowsCheck(
    "agrees_with_service",
    "Each day has the clicks by people that the service counts.",
    disagreement,
    dg.AssetCheckSeverity.WARN,
    ask=service_counts,
)
