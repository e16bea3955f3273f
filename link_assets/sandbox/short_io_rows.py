"""The rows that Short.io's contract serves: those a test gives, or the world's in its shape."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from random import Random
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from link_assets.sandbox.app import Sandbox
from link_assets.sandbox.short_io_dates import EVER, written
from link_assets.sandbox.short_io_switches import ShortIoSwitches
from link_assets.sandbox.short_io_world import ShortIoWorld
from link_assets.sandbox.world import World, milliseconds

_SOME_TIME = milliseconds(datetime(2026, 1, 1, tzinfo=UTC))


class Clicks(Protocol):
    """The clicks of a domain by their numbers, which begin with the oldest one's 0."""

    @property
    def size(self) -> int:
        """Return how many there are."""
        ...

    def ms(self, number: int) -> int:
        """Return when one happened, in milliseconds since 1970; never falls as numbers rise."""
        ...

    def row(self, number: int, zone: tzinfo = UTC) -> Any:
        """Return one as the API gives it, with its time in a zone."""
        ...


@dataclass(frozen=True)
class _GivenClicks:
    """Rows that a test gives, served as they are; in UTC even their times are."""

    timed: list[tuple[int, Any]]

    @property
    def size(self) -> int:
        return len(self.timed)

    def ms(self, number: int) -> int:
        return self.timed[number][0]

    def row(self, number: int, zone: tzinfo = UTC) -> Any:
        ms, row = self.timed[number]
        if zone is UTC or _ms(row, "dt") is None:
            return row
        return {**row, "dt": written(ms, zone)}


@dataclass(frozen=True)
class ShortIoRows:
    """What there is to serve at this moment; the switches have shaped the world's rows."""

    sandbox: Sandbox
    made_up: ShortIoWorld | None

    @staticmethod
    def of(sandbox: Sandbox, before: ShortIoRows | None = None) -> ShortIoRows:
        """Return the rows of now; what `before` has worked out of the same world is kept."""
        world, switches = sandbox.world, sandbox.switches
        if before and before._is_of(world, switches):
            return before
        return ShortIoRows(sandbox, ShortIoWorld(world, switches) if world else None)

    def _is_of(self, world: World | None, switches: ShortIoSwitches) -> bool:
        made_up = self.made_up
        if made_up is None:
            return world is None
        return made_up.world is world and made_up.switches is switches

    def domains(self) -> list[Any]:
        """Return every domain in the listing's order; given ones in the order of the list."""
        if self.sandbox.domains is not None:
            return list(self.sandbox.domains)
        if self.made_up:
            return self.made_up.domains()
        return [{"id": id, "hostname": f"go{id}.example.com"} for id in sorted(self._given_ids())]

    def _given_ids(self) -> set[int]:
        links = self.sandbox.links or []
        named = {link.get("DomainId") for link in links if isinstance(link, dict)}
        return {id for id in named if isinstance(id, int)} | set(self.sandbox.clicks or {})

    def domain_ids(self) -> list[int]:
        """Return the ids of the domains, and of those that only given clicks are of."""
        listed = [d["id"] for d in self.domains() if isinstance(d, dict) and "id" in d]
        return [*listed, *(id for id in self.sandbox.clicks or {} if id not in listed)]

    def is_case_sensitive(self, domain_id: int) -> bool:
        """Return whether the domain tells paths apart that differ in case only."""
        found = [d for d in self.domains() if isinstance(d, dict) and d.get("id") == domain_id]
        return bool(found and found[0].get("caseSensitive"))

    def folders(self, domain_id: int) -> list[Any]:
        """Return the folders of a domain."""
        if self.sandbox.folders is not None:
            return list(self.sandbox.folders.get(domain_id, []))
        return self.made_up.folders(domain_id) if self.made_up else []

    def links(self, domain_id: int) -> list[tuple[int, Any]]:
        """Return the links of a domain, newest first, each after when it was made in milliseconds.

        A given link that does not say its domain is one of the first domain's.
        """
        rows = self.made_up.links(domain_id) if self.made_up else []
        if self.sandbox.links is not None:
            ids = self.domain_ids()
            first = ids[0] if ids else None
            rows = [r for r in self.sandbox.links if _domain_of(r, first) == domain_id]
        if not self.sandbox.switches.archived_listed:
            rows = [r for r in rows if not (isinstance(r, dict) and r.get("archived"))]
        return _newest_first(rows, "createdAt")

    def clicks(self, domain_id: int) -> Clicks:
        """Return the clicks of a domain."""
        given = (self.sandbox.clicks or {}).get(domain_id)
        if given is not None or self.made_up is None:
            return _GivenClicks(_newest_first(given or [], "dt")[::-1])
        if domain_id in self.made_up.domain_ids():
            return self.made_up.clicks(domain_id)
        return _GivenClicks([])

    def is_made_up(self, domain_id: int) -> bool:
        """Return whether the world makes up the clicks of a domain."""
        return domain_id not in (self.sandbox.clicks or {})

    def zone(self, asked_for: tzinfo) -> tzinfo:
        """Return the zone in which rows say their time."""
        name = self.sandbox.switches.dt_zone
        return ZoneInfo(name) if name else asked_for

    def newest_numbers(
        self, domain_id: int, clicks: Clicks, window: range, ties: Random | None = None
    ) -> Iterator[int]:
        """Yield the numbers of the clicks that happened in a window and are there, newest first.

        Args:
            domain_id: Whose clicks.
            clicks: What `clicks` returned of it.
            window: Milliseconds since 1970.
            ties: Draws the order of clicks of the same millisecond; if None that never changes.
        """
        switches, numbers = self.sandbox.switches, range(clicks.size)
        first = bisect_left(numbers, window.start, key=clicks.ms)
        stop = bisect_left(numbers, min(window.stop, _indexed_until(switches)), key=clicks.ms)
        withheld = switches.withheld.get(domain_id, ())
        order = _shuffled(clicks, range(first, stop), ties) if ties else range(first, stop)[::-1]
        return (number for number in order if number not in withheld)


def _indexed_until(switches: ShortIoSwitches) -> int:
    if not switches.indexing_seconds:
        return EVER
    return milliseconds(switches.clock() - timedelta(seconds=switches.indexing_seconds)) + 1


def _shuffled(clicks: Clicks, numbers: range, ties: Random) -> Iterator[int]:
    stop = numbers.stop
    while stop > numbers.start:
        ms, start = clicks.ms(stop - 1), stop - 1
        while start > numbers.start and clicks.ms(start - 1) == ms:
            start -= 1
        group = list(range(start, stop))
        ties.shuffle(group)
        yield from group
        stop = start


def _domain_of(row: Any, otherwise: int | None) -> Any:
    domain_id = row.get("DomainId") if isinstance(row, dict) else None
    return otherwise if domain_id is None else domain_id


def _newest_first(rows: Sequence[Any], field: str) -> list[tuple[int, Any]]:
    """Return rows after their times; one that does not say its own has that of the one before."""
    timed, ms = [], next((ms for row in rows if (ms := _ms(row, field)) is not None), _SOME_TIME)
    for row in rows:
        own = _ms(row, field)
        ms = ms if own is None else own
        timed.append((ms, row))
    return sorted(timed, key=lambda pair: pair[0], reverse=True)


def _ms(row: Any, field: str) -> int | None:
    value = row.get(field) if isinstance(row, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError):
        return None
