"""Is what should have been loaded loaded, and recently enough? The check `fresh`.

Dagster's own freshness checks judge an asset as a whole and pass when one domain is fresh while
another was never loaded; this one judges each domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from link_assets.defs.checks.check import REMEMBERED, CheckResult, counted, listed
from link_assets.defs.checks.last_loads import LastLoads, LoadsCheck


def freshness(last: LastLoads) -> CheckResult:
    """Find what is late now, or was never loaded; expecting nothing at all is a problem, too."""
    return lateness(last, datetime.now(UTC))


def lateness(last: LastLoads, now: datetime) -> CheckResult:
    """Find which of the expected were never loaded, or are late, and by how much."""
    if not last.expected:
        return CheckResult(
            "No domain is known.",
            "Materialize link_assets/links, and see whether the setting LINK_ASSETS__DOMAINS, if "
            "there is one, lists domains that have links.",
        )
    window = timedelta(hours=last.fresh_hours)
    never = [name for name in last.expected if name not in last.loads]
    late = {n: by for n, load in last.loads.items() if (by := now - load.at - window) > timedelta()}
    numbers = _numbers(last, now, never, late)
    looked_at = _looked_at(last, now)
    problems = [f"{last.name_of(name)} is late by {span(by)}" for name, by in late.items()]
    problems += [f"{last.name_of(name)} was never loaded" for name in never]
    if not problems:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    remedy = "Materialize what is named, and see whether its schedule is on and its runs succeed."
    problem = f"Not fresh: {listed(problems, '; ')}."
    return CheckResult(problem, remedy, numbers, looked_at, [*late, *never])


def _numbers(
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
    if future := _clicks_of_the_future(last):
        numbers["clicks_of_the_future"] = future
    return numbers


def _looked_at(last: LastLoads, now: datetime) -> str:
    """Return how old loads and clicks are: a load may be recent and bring nothing new."""
    loads = _ages(last, now)
    text = f"Judged: {last.what}."
    if loads:
        oldest = "The last load" if len(loads) == 1 else "The oldest of their last loads"
        age, allowed = span(max(loads.values())), f"{last.fresh_hours:g} hours allowed"
        text += f" {oldest} is {age} old ({allowed})."
    return text + _of_clicks(last, _click_ages(last, now))


def _of_clicks(last: LastLoads, ages: Mapping[str, timedelta]) -> str:
    """Return the sentences about the newest clicks, and about those of the future."""
    text = ""
    if ages:
        (low, near), (high, far) = min(_by_age(ages)), max(_by_age(ages))
        text = f" The newest click is {span(low)} old"
        if len(ages) > 1:
            text += f" for {last.name_of(near)}, up to {span(high)} for {last.name_of(far)}"
        text += "."
    if future := _clicks_of_the_future(last):
        text += f" {counted(future, 'click')} dated in the future left out."
    return text


def _by_age(ages: Mapping[str, timedelta]) -> Iterable[tuple[timedelta, str]]:
    return ((age, name) for name, age in ages.items())


def _ages(last: LastLoads, now: datetime) -> dict[str, timedelta]:
    return {name: now - load.at for name, load in last.loads.items()}


def _click_ages(last: LastLoads, now: datetime) -> dict[str, timedelta]:
    ages = {name: load.newest_click_age(now) for name, load in last.loads.items()}
    return {name: age for name, age in ages.items() if age is not None}


def _clicks_of_the_future(last: LastLoads) -> int:
    return sum(load.clicks_of_the_future for load in last.loads.values())


def hours(time: timedelta) -> float:
    """Return a time in hours, as a number that can be plotted."""
    return round(time.total_seconds() / 3600, 2)


def span(time: timedelta) -> str:
    """Return a time as a message says it: in minutes, hours or, from a week on, days."""
    hours = time.total_seconds() / 3600
    if abs(hours) >= 24 * 7:
        return f"{hours / 24:.0f} days"
    if abs(hours) >= 1:
        return f"{hours:.1f} hours"
    minutes = round(hours * 60)
    return counted(minutes, "minute") if minutes else "less than a minute"


DOMAINS_FRESH = LoadsCheck("fresh", "The last load of the domains is recent enough.", freshness)
LINKS_FRESH = LoadsCheck("fresh", "The last load of the links is recent enough.", freshness)
CLICKS_FRESH = LoadsCheck("fresh", "The last load of every domain is recent enough.", freshness)
DAILY_CLICKS_FRESH = LoadsCheck(
    "fresh", "The days of every domain were computed recently enough.", freshness
)
