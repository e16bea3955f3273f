"""The made-up data: every link and click is worked out from a seed when it is asked for.

The same values make the same world on every machine, so tests compare rows with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any, TypeVar

from link_assets.sandbox import vocabulary as words

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_HOUR_MS = 3_600_000
_ALWAYS_NULL = {"passwordContact": None, "password": None, "icon": None, "integrationGA": None}


class Dice:
    """Numbers that look random and follow from the key alone, on every machine."""

    def __init__(self, *key: int | str) -> None:
        digest = blake2b(repr(key).encode(), digest_size=16).digest()
        self._state = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        """A number from 0 to before `limit`."""
        self._state, value = divmod(self._state, limit)
        return value

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def one_in(self, chances: int) -> bool:
        """Return True once in so many times."""
        return self.below(chances) == 0


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since 1970 of a time that knows its offset."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


def stamp(ms: int, offset_hours: int = 0) -> str:
    """Return a time as the API writes it, at an offset of whole hours from UTC."""
    local = _EPOCH + timedelta(milliseconds=ms, hours=offset_hours)
    zone = f"+{offset_hours:02}:00" if offset_hours else "Z"
    return local.isoformat(timespec="milliseconds") + zone


@dataclass(frozen=True)
class World:
    """Domains 1, 2, ... with links and clicks, all a pure function of these values.

    Clicks are numbered from the oldest, and a click never changes once it has appeared. Those
    there at the start spread over `span`; the newest of domain 1 happened at `end`. Later ones
    follow `end` in every domain: `added` have appeared already, and one more does every
    `click_seconds` of real time if that is above zero.
    """

    seed: int = 7
    domains: int = 3
    links_per_domain: int = 12
    clicks_per_domain: int = 400
    click_seconds: float = 0
    end: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    span: timedelta = timedelta(days=28)
    added: int = 0
    started: float = field(default_factory=time.monotonic, compare=False, repr=False)

    def grown(self, clicks: int) -> World:
        """The same world after `clicks` more clicks in every domain."""
        return replace(self, added=self.added + clicks)

    def domain_ids(self) -> list[int]:
        """The ids of all domains, from 1."""
        return list(range(1, self.domains + 1))

    def links(self) -> list[dict[str, Any]]:
        """Return every link of every domain, newest first; do not change them."""
        return self._links.copy()

    def click_count(self, domain_id: int) -> int:
        """Return how many clicks the domain has now."""
        elapsed = time.monotonic() - self.started
        appeared = int(elapsed / self.click_seconds) if self.click_seconds > 0 else 0
        return self.clicks_per_domain + self.added + appeared

    def clicks(self, domain_id: int, start: int, stop: int) -> list[dict[str, Any]]:
        """The clicks from `start` to before `stop`, counted from the newest, newest first."""
        count = self.click_count(domain_id)
        return [self.click(domain_id, count - 1 - i) for i in range(start, min(stop, count))]

    def click(self, domain_id: int, number: int) -> dict[str, Any]:
        """Return a click by its number from the oldest. No two of a domain are alike."""
        dice = Dice(self.seed, "click", domain_id, number)
        # The API began to send the device halfway, without a word.
        is_new = number >= self.clicks_per_domain // 2
        visit = dice.pick(words.VISITS_WITH_DEVICE if is_new else words.VISITS)
        return {
            "host": self.host(domain_id),
            **self._target(dice, domain_id),
            "dt": stamp(self.click_ms(domain_id, number), offset_hours=2 * (number % 9 == 0)),
            "ip": self._address(number),
            "proto": dice.pick(words.PROTOCOLS),
            "goal_completed": dice.pick(words.GOALS),
            "ab_path": dice.pick(words.SPLIT_PATHS),
            **visit,
        }

    def click_ms(self, domain_id: int, number: int) -> int:
        """Return when a click happened, in milliseconds since 1970; never falls as numbers rise.

        Time before `end` is cut into slots, a click each. Every fifth click moves into the slot
        of the one before it, and every fourth slot is shared with the other domains.
        """
        after_end = number - self.clicks_per_domain + 1
        if after_end > 0:
            return self._end_ms + after_end * self._pace_ms
        slot = self._lag(domain_id) - after_end
        slot += slot % 5 == 2
        early = (slot * 7_368_787 + domain_id * 15_485_863) % self._slot_ms if slot % 4 else 0
        return self._end_ms - slot * self._slot_ms - early

    @cached_property
    def _end_ms(self) -> int:
        return milliseconds(self.end)

    @cached_property
    def _slot_ms(self) -> int:
        return max(1, self.span // _MILLISECOND // max(1, self.clicks_per_domain))

    @cached_property
    def _pace_ms(self) -> int:
        return max(1, round(self.click_seconds * 1000)) if self.click_seconds > 0 else self._slot_ms

    def _lag(self, domain_id: int) -> int:
        """Return the slots from a domain's newest click to `end`: all of 3's are older than 1's."""
        return (domain_id - 1) % 3 * (self.clicks_per_domain // 2 + 1)

    def host(self, domain_id: int) -> str:
        """Return the domain's host name."""
        return f"go{domain_id}.example.com"

    def _address(self, number: int) -> str:
        # 271 and 762 share no factor, so the neighbours that share a time never share an address.
        network, machine = divmod((number + self.seed) * 271 % 762, 254)
        return f"{words.NETWORKS[network]}.{machine + 1}"

    def _target(self, dice: Dice, domain_id: int) -> dict[str, Any]:
        targets = self._targets[domain_id]
        if not targets or dice.one_in(30):
            path = dice.pick(words.UNKNOWN_PATHS)
            return {"path": path, "lcpath": path.lower(), "url": None, "st": 404}
        return targets[dice.below(dice.below(len(targets)) + 1)]  # some links are popular

    @cached_property
    def _targets(self) -> dict[int, list[dict[str, Any]]]:
        targets: dict[int, list[dict[str, Any]]] = {d: [] for d in self.domain_ids()}
        for link in self._links:
            path, lcpath = f"/{link['path']}", f"/{link['lcpath']}"
            target = {"path": path, "lcpath": lcpath, "url": link["originalURL"], "st": 302}
            targets[link["DomainId"]].append(target)
        return targets

    @cached_property
    def _links(self) -> list[dict[str, Any]]:
        count = range(self.links_per_domain)
        links = [self._link(domain_id, i) for domain_id in self.domain_ids() for i in count]
        return sorted(links, key=lambda link: link["createdAt"], reverse=True)

    def _link(self, domain_id: int, number: int) -> dict[str, Any]:
        """Return a link, older than every click of its domain."""
        dice = Dice(self.seed, "link", domain_id, number)
        path = f"{dice.pick(words.THEMES)}-{number + 1}"
        key = f"lnk_{domain_id:x}_{number:x}_{dice.below(16**8):08x}"
        oldest_ms = self.click_ms(domain_id, 0) if self.clicks_per_domain else 0
        created_ms = oldest_ms - (number + 1) * _HOUR_MS - dice.below(_HOUR_MS)
        owner, user = dice.pick(words.PEOPLE), dice.pick(words.PEOPLE)
        return {
            "id": key,
            "idString": key,
            "path": path,
            "lcpath": path.lower(),
            "title": None if dice.one_in(4) else f"Made-up page {number + 1} “ß”",
            "originalURL": f"https://www{domain_id}.example/pages/{number + 1}?from=link",
            "shortURL": f"http://{self.host(domain_id)}/{path}",
            "secureShortURL": f"https://{self.host(domain_id)}/{path}",
            "DomainId": domain_id,
            "OwnerId": owner["id"],
            "Owner": None if number % 3 == 1 else owner,
            "User": None if number % 4 == 2 else user,
            "createdAt": stamp(created_ms),
            "updatedAt": stamp(created_ms + dice.below(_HOUR_MS)),
            "tags": [word.lower() for word in words.THEMES[: number % 4]],
            "archived": dice.one_in(6),
            "cloaking": False,
            "hasPassword": dice.one_in(9),
            "source": dice.pick(("api", "website", "spreadsheets")),
            "redirectType": dice.pick(("302", "301", None)),
            "skipQS": dice.one_in(2),  # the guide does not know it
            **_ALWAYS_NULL,
            **_extras(dice, number),
        }


def _extras(dice: Dice, number: int) -> dict[str, Any]:
    """Return fields that only some links have. Other documented ones no link has."""
    extras: tuple[dict[str, Any], ...] = (
        {},
        {"iphoneURL": "https://app.example/ios", "androidURL": "https://app.example/android"},
        {"utmSource": "newsletter", "utmMedium": "email", "utmCampaign": "spring", "utmTerm": None},
        {"splitURL": "https://www.example.com/b", "splitPercent": str(10 + dice.below(80))},
        {"expiresAt": "2027-01-01T00:00:00.000Z", "expiredURL": "https://www.example.com/gone"},
        {"clicksLimit": "1000", "integrationGTM": "GTM-EXAMPLE"},
    )
    return extras[number % len(extras)]
