"""The rows that Short.io's contract serves: of the made-up world, or those that a test gives.

Tests ask here for what a warehouse must hold, whatever the paging.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from link_assets.sandbox.short_io_world import click_row, domain_row, link_row
from link_assets.sandbox.world import World, milliseconds

if TYPE_CHECKING:
    from link_assets.sandbox.app import Sandbox


def served_domains(sandbox: Sandbox) -> list[Any]:
    """Return all domains as they are served, whatever the paging."""
    world = sandbox.world
    made_up = [domain_row(world, domain) for domain in world.domain_ids()] if world else []
    rows = made_up if sandbox.domains is None else sandbox.domains
    return rows[::-1] if sandbox.switches.shuffled_domains else rows


def served_links(sandbox: Sandbox, domain: int) -> list[Any]:
    """Return all links of a domain as they are served, whatever the paging."""
    switches, links = sandbox.switches, sandbox.links
    if links is None:
        made_up = enumerate(sandbox.world.links() if sandbox.world else [])
        links = [link_row(link, number, switches) for number, link in made_up]
    rows = [link for link in links if link.get("DomainId") == domain]
    if not switches.archived_listed:
        rows = [link for link in rows if not link.get("archived")]
    return rows[::-1] if switches.oldest_links_first else rows


def require_domain(sandbox: Sandbox, domain: int) -> None:
    """Raise the error of a domain that is not there."""
    if domain not in [row.get("id") for row in served_domains(sandbox)]:
        raise HTTPException(404, "Domain not found")


@dataclass(frozen=True)
class Clicks:
    """The clicks of a domain, the oldest first: their times in milliseconds, and their rows."""

    times: Sequence[int]
    row: Callable[[int], Any]

    def between(self, first: int | None, last: int | None) -> range:
        """Return the numbers of the clicks from `first` to `last`, both counted in."""
        start = 0 if first is None else bisect_left(self.times, first)
        stop = len(self.times) if last is None else bisect_right(self.times, last)
        return range(start, max(start, stop))


def clicks_of(sandbox: Sandbox, domain: int) -> Clicks:
    """Return the clicks of a domain, without those that are withheld."""
    require_domain(sandbox, domain)
    rows = None if sandbox.clicks is None else sandbox.clicks.get(domain)
    world = sandbox.world
    if rows is None and world and domain in world.domain_ids():
        made_up = _WorldTimes(world, domain, world.click_count(domain))
        clicks = Clicks(made_up, lambda n: click_row(world.click(domain, n), domain, switches))
        switches = sandbox.switches
        return clicks if sandbox.withheld is None else _released(sandbox, clicks)
    timed = sorted(((_time(row), row) for row in rows or ()), key=lambda pair: pair[0])
    clicks = Clicks([time for time, _ in timed], lambda n: timed[n][1])
    return clicks if sandbox.withheld is None else _released(sandbox, clicks)


def served_clicks(sandbox: Sandbox, domain: int) -> list[Any]:
    """Return all clicks of a domain as they are served, the oldest first, whatever the paging."""
    clicks = clicks_of(sandbox, domain)
    return [clicks.row(number) for number in range(len(clicks.times))]


def _released(sandbox: Sandbox, clicks: Clicks) -> Clicks:
    """Return the clicks that the service has indexed by now."""
    withheld = sandbox.withheld or (lambda _: False)
    numbers = [n for n in range(len(clicks.times)) if not withheld(clicks.row(n))]
    return Clicks([clicks.times[n] for n in numbers], lambda n: clicks.row(numbers[n]))


@dataclass(frozen=True)
class _WorldTimes(Sequence[int]):
    """The times of a domain's clicks, each worked out when it is looked at."""

    world: World
    domain: int
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: Any) -> Any:
        return self.world.click_ms(self.domain, number)


def _time(row: Any) -> int:
    """Return when a click happened; one that does not say when is the newest."""
    try:
        time = datetime.fromisoformat(row["dt"])
    except (TypeError, KeyError, ValueError):
        return milliseconds(datetime.max.replace(tzinfo=UTC))
    return milliseconds(time if time.tzinfo else time.replace(tzinfo=UTC))
