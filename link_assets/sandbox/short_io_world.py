"""The made-up world in Short.io's shape: the same links and clicks, with its own peculiarities.

Each domain plays a part by its number: the 2nd, 5th, ... tell upper case from lower, the 3rd, 6th,
... have an international host name. One more domain than the world's has clicks but no links.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Any
from urllib.parse import quote

from link_assets.sandbox.short_io_dates import written
from link_assets.sandbox.short_io_switches import ShortIoSwitches
from link_assets.sandbox.world import World, milliseconds

_SPECIAL_PATHS = {1: "Äpfel", 3: "two words", 5: "50%-off", 7: "日本", 9: "a%20b", 10: "a+b"}
"""By the link's number modulo twelve; the number follows."""
_OLD_FIELDS = frozenset({"lcpath", "updatedAt", "Owner", "icon"})
_DATES = ("createdAt", "expiresAt")
_MAY_BE_NULL = frozenset({"ab_path", "goal_completed"})
_TIES = range(10, 15)
"""Of every twenty clicks these happen in one millisecond, and three of them are alike."""
_ALIKE = range(12, 14)
_BORN = datetime(2025, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ShortIoWorld:
    """The rows of a world as the switches have them."""

    world: World
    switches: ShortIoSwitches

    @property
    def linkless_id(self) -> int:
        """Return the id of the domain that has clicks and no links."""
        return self.world.domains + 1

    def domain_ids(self) -> list[int]:
        """Return the ids of all domains, from 1."""
        return [*self.world.domain_ids(), self.linkless_id]

    def domains(self) -> list[dict[str, Any]]:
        """Return every domain in the order of the listing."""
        rows = [self._domain(domain_id) for domain_id in self.domain_ids()]
        order = self.switches.domains_order
        if order == "id":
            return rows
        key = "createdAt" if order == "newest" else "hostname"
        return sorted(rows, key=lambda row: row[key], reverse=order == "newest")

    def folders(self, domain_id: int) -> list[dict[str, Any]]:
        """Return the two folders of a domain; none where there are no links."""
        names = ("Campaigns", "Печать")
        return [
            {"id": _folder_id(domain_id, number), "name": name, "DomainId": domain_id}
            for number, name in enumerate(names)
            if domain_id in self._links
        ]

    def links(self, domain_id: int) -> list[dict[str, Any]]:
        """Return the links of a domain."""
        return self._links.get(domain_id, [])

    def clicks(self, domain_id: int) -> WorldClicks:
        """Return the clicks of a domain as they are now."""
        source = self._linkless if domain_id == self.linkless_id else self.world
        return WorldClicks(self, source, domain_id, source.click_count(domain_id))

    def host(self, domain_id: int, unicode: bool = False) -> str:
        """Return the domain's host name, in ASCII or as people write it."""
        host = self.world.host(domain_id)
        host = host if domain_id % 3 else host.replace("go", "gö")
        return host if unicode else host.encode("idna").decode()

    def is_case_sensitive(self, domain_id: int) -> bool:
        """Return whether the domain tells paths apart that differ in case only."""
        return domain_id % 3 == 2

    @cached_property
    def _linkless(self) -> World:
        few = -(-self.world.clicks_per_domain // 20)
        shape = {"domains": self.linkless_id, "links_per_domain": 0, "clicks_per_domain": few}
        return replace(self.world, **shape)

    @cached_property
    def urls(self) -> dict[tuple[int, str], str]:
        """Return the target of each link by its domain and path."""
        return {
            (link["DomainId"], self.path(link["DomainId"], link["path"])): _url(link)
            for link in self.world.links()
        }

    @cached_property
    def _links(self) -> dict[int, list[dict[str, Any]]]:
        rows: dict[int, list[dict[str, Any]]] = {d: [] for d in self.world.domain_ids()}
        for link in self.world.links():
            rows[link["DomainId"]].append(self._link(link))
        return {domain_id: links for domain_id, links in rows.items() if links}

    def _link(self, link: dict[str, Any]) -> dict[str, Any]:
        number, domain_id = _number(link), link["DomainId"]
        path = self.path(domain_id, link["path"])
        url = f"https://{self.host(domain_id)}/{quote(path)}"
        kept = _OLD_FIELDS if self.switches.old_rows else frozenset()
        row = {k: v for k, v in link.items() if k not in _OLD_FIELDS or k in kept}
        row |= {"path": path, "shortURL": url, "secureShortURL": url}
        row |= {"lcpath": path.lower()} if kept else {}
        row |= _today(link, number, domain_id)
        self._rewrite_dates(row, number)
        gone = self.switches.link_fields_missing | _absent(row, number)
        return {name: value for name, value in row.items() if name not in gone}

    def path(self, domain_id: int, path: str) -> str:
        """Return the path, without its slash, of a link that the world has at `path`."""
        text, _, number = path.rpartition("-")
        place = (int(number) - 1) % 12
        if place == 2 and self.is_case_sensitive(domain_id):
            # apart from the first link's path in its case alone
            return self._world_paths[domain_id, int(number) - 3].swapcase()
        return f"{_SPECIAL_PATHS.get(place, text)}-{number}"

    @cached_property
    def _world_paths(self) -> dict[tuple[int, int], str]:
        return {(link["DomainId"], _number(link)): link["path"] for link in self.world.links()}

    def _rewrite_dates(self, row: dict[str, Any], number: int) -> None:
        numeric = self.switches.numeric_dates
        if numeric == "all" or (numeric == "some" and number % 4 == 1):
            row |= {name: _ms(row[name]) for name in _DATES if row.get(name)}

    def _domain(self, domain_id: int) -> dict[str, Any]:
        made = written(milliseconds(_BORN) + domain_id * 86_400_000, UTC)
        host = self.host(domain_id)
        return {
            "id": domain_id,
            "hostname": host,
            "unicodeHostname": self.host(domain_id, unicode=True),
            "state": "configured" if domain_id % 4 else "not_verified",
            "createdAt": made,
            "updatedAt": made,
            **({} if domain_id % 3 == 0 else {"TeamId": 77 if domain_id % 3 == 1 else None}),
            "hasFavicon": domain_id % 2 == 0,
            "hideReferer": False,
            "linkType": "random" if domain_id % 2 else "increment",
            "cloaking": False,
            "hideVisitorIp": False,
            "enableAI": False,
            "httpsLevel": "none" if domain_id % 2 else "hsts",
            "httpsLinks": None if domain_id % 2 else True,
            "clientStorage": {"note": f"storage-secret-{domain_id}"},
            "caseSensitive": self.is_case_sensitive(domain_id),
            "incrementCounter": str(domain_id * 10),
            "robots": "noindex" if domain_id % 2 else "allow",
            "exportEnabled": False,
            "enableConversionTracking": domain_id % 2 == 1,
            "qrScanTracking": True,
            "isFavorite": domain_id == 1,
            **(_rarely_set(domain_id) if domain_id % 2 else {}),
        }


@dataclass(frozen=True)
class WorldClicks:
    """The clicks of a domain by their numbers from the oldest, as many as there were at first."""

    shape: ShortIoWorld
    world: World
    domain_id: int
    size: int

    def ms(self, number: int) -> int:
        """Return when a click happened, in milliseconds since 1970."""
        first = number - number % 20 + _TIES.start
        if number % 20 not in _TIES:
            first = number
        elif number >= self.world.clicks_per_domain:
            # what is added to a world is never older than its end
            first = max(first, self.world.clicks_per_domain)
        return self.world.click_ms(self.domain_id, first)

    def row(self, number: int, zone: tzinfo = UTC) -> dict[str, Any]:
        """Return a click as the API gives it, with its time in a zone."""
        like = number - number % 20 + _ALIKE.start - 1 if number % 20 in _ALIKE else number
        click = self.world.click(self.domain_id, like)
        click.pop("device_type", None)
        click |= self._target(click, like)
        click |= {"dt": written(self.ms(number), zone), "host": self._host}
        self._set_goal(click)
        if like >= self.world.clicks_per_domain // 2:
            click |= {"geoname_id": 1000 + like % 7, "utm_term": "", "utm_content": "", "ja4": ""}
        return {k: "" if v is None and k not in _MAY_BE_NULL else v for k, v in click.items()}

    @cached_property
    def _host(self) -> str:
        return self.shape.host(self.domain_id, self.shape.switches.hosts == "unicode")

    def _target(self, click: dict[str, Any], number: int) -> dict[str, Any]:
        """Return where a click went: the root, the wildcard, what is not there, or a link."""
        path, found = click["path"], {}
        if number % 23 == 7:
            path = "/"
            found = {"url": f"https://www{self.domain_id}.example/", "st": 302}
        elif number % 41 == 11:
            path, found = "/*", {"url": "", "st": 404}
        elif click["st"] != 404:
            link_path = self.shape.path(self.domain_id, path[1:])
            found = {"url": self.shape.urls[self.domain_id, link_path]}
            path = f"/{self._as_typed(link_path, number)}"
        if self.shape.switches.encoded_paths:
            path = encoded(path)
        return {"path": path, "lcpath": path.lower(), **found}

    def _as_typed(self, path: str, number: int) -> str:
        """Return a path in the case in which a visitor typed it, where that leads to the link."""
        either = not self.shape.is_case_sensitive(self.domain_id)
        return path.swapcase() if either and number % 7 == 3 else path

    def _set_goal(self, click: dict[str, Any]) -> None:
        kind = self.shape.switches.goal_completed
        reached = click.pop("goal_completed") is not None
        if kind != "absent":
            click["goal_completed"] = reached if kind == "bool" else None


def _rarely_set(domain_id: int) -> dict[str, Any]:
    """Return the fields, secrets among them, that a domain may go without."""
    return {
        "segmentKey": f"segment-secret-{domain_id}",
        "webhookURL": f"https://hooks.example/webhook-secret-{domain_id}",
        "integrationGA": "UA-EXAMPLE-1",
        "sslCertExpirationDate": "2026-12-01T00:00:00.000Z",
        "sslCertInstalledSuccess": True,
        "domainRegistrationId": 7000 + domain_id,
        "UserId": 501,
        "OrganizationId": "00000000-0000-4000-8000-000000000001",
    }


def encoded(path: str) -> str:
    """Return a path as a browser sends it."""
    return quote(path, safe="/*+")


def _number(link: dict[str, Any]) -> int:
    """Return a link's number in its domain, from 0."""
    return int(link["path"].rpartition("-")[2]) - 1


def _folder_id(domain_id: int, number: int) -> str:
    return f"folder_{domain_id:06}_{number:07}"


def _ms(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text))


def _url(link: dict[str, Any]) -> str:
    """Return a link's target; every third has a campaign's id, which is a field nowhere."""
    number = _number(link)
    return (
        f"{link['originalURL']}&utm_id=campaign-{number}"
        if number % 3 == 0
        else link["originalURL"]
    )


def _today(link: dict[str, Any], number: int, domain_id: int) -> dict[str, Any]:
    """Return the fields that rows have today, or have with other types than in the guide."""
    row: dict[str, Any] = {"originalURL": _url(link), "integrationTT": None, "ttl": None}
    if number % 4 != 3:
        row["FolderId"] = _folder_id(domain_id, 0) if number % 4 == 1 else None
    if link.get("redirectType") is None:
        row["redirectType"] = "302"
    if "splitPercent" in link:
        percent = int(link["splitPercent"])
        row |= {
            "splitPercent": percent,
            "splitURLv2": [{"url": link["splitURL"], "percent": percent}],
        }
    if "clicksLimit" in link:
        row["clicksLimit"] = int(link["clicksLimit"])
    if link["hasPassword"]:
        row |= {"password": f"link-password-{number}", "passwordContact": False}
    return row


def _absent(row: dict[str, Any], number: int) -> set[str]:
    """Return the fields that this row leaves out instead of saying null or nothing."""
    absent = {"password"} if row["password"] is None else set()
    absent |= {"User"} if row["User"] is None else set()
    return absent | ({"tags"} if number % 5 == 4 else set())
