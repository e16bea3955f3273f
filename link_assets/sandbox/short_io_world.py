"""The made-up world as Short.io's API shows it: its domains, links, folders and clicks.

`short_io` serves these rows. They are the guide's world, with what is different today.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from link_assets.sandbox.switches import Switches
from link_assets.sandbox.world import Dice, World, milliseconds

SECRETS = {
    "segmentKey": "segment-secret",
    "webhookURL": "https://hooks.example/webhook-secret",
    "clientStorage": {"token": "storage-secret"},
}
"""What must be kept nowhere: each domain has some of it."""
MISSING_TODAY = ("Owner", "icon", "lcpath", "updatedAt")
EMPTY_TEXTS = ("ref", "refhost", "social", "utm_source", "utm_medium", "utm_campaign")
SAFE = "/!$&'()*+,;=:@~-._"
"""What browsers leave as it is in a path."""


def domain_row(world: World, domain: int) -> dict[str, Any]:
    """Return a domain: every third has an international host, every third tells case apart."""
    dice = Dice(world.seed, "domain", domain)
    host = unicode_host(domain)
    row: dict[str, Any] = {
        "id": domain,
        "hostname": host.encode("idna").decode(),
        "unicodeHostname": host,
        "state": "configured",
        "createdAt": "2020-05-01T10:00:00.000Z",
        "updatedAt": "2026-01-01T10:00:00.000Z",
        "TeamId": None if domain % 2 else 11,
        "hasFavicon": dice.one_in(2),
        "linkType": "four-char",
        "cloaking": False,
        "hideReferer": False,
        "hideVisitorIp": False,
        "enableAI": dice.one_in(2),
        "httpsLevel": "redirect",
        "httpsLinks": None if domain % 2 else True,
        "caseSensitive": domain % 3 == 2,
        "incrementCounter": "",
        "robots": "noindex",
        "exportEnabled": True,
        "enableConversionTracking": False,
        "qrScanTracking": True,
        "isFavorite": dice.one_in(3),
        **SECRETS,
    }
    return row if domain % 2 else row | {"sslCertExpirationDate": "2027-01-01T00:00:00.000Z"}


def unicode_host(domain: int) -> str:
    """Return a domain's host as people read it."""
    return f"bücher{domain}.example.com" if domain % 3 == 0 else f"go{domain}.example.com"


def folder_rows(domain: int) -> list[dict[str, Any]]:
    """Return the folders of a domain."""
    return [{"id": f"folder-{domain}-{n}", "name": f"Folder {n}"} for n in (1, 2)]


def link_row(link: dict[str, Any], number: int, switches: Switches) -> dict[str, Any]:
    """Return a link of the world as the API sends it today."""
    domain = link["DomainId"]
    path, host = shown_path(link["path"]), unicode_host(domain).encode("idna").decode()
    row = {name: value for name, value in link.items() if name not in MISSING_TODAY}
    row |= {"path": path, "FolderId": f"folder-{domain}-1" if number % 3 == 0 else None}
    row |= {"shortURL": f"https://{host}/{path}", "secureShortURL": f"https://{host}/{path}"}
    row |= {"integrationTT": None, "ttl": None}
    row |= {name: int(row[name]) for name in ("splitPercent", "clicksLimit") if name in row}
    if number % 4 == 0:
        row["originalURL"] += f"&utm_id=campaign-{number}"
    if number % 5 == 4:
        del row["tags"]
    if switches.old_link_fields:
        row |= {"lcpath": path.lower(), "updatedAt": link["updatedAt"], "icon": None}
    if switches.numeric_dates:
        row |= {name: _number(row[name]) for name in ("createdAt", "expiresAt") if name in row}
    return row


def shown_path(path: str) -> str:
    """Return a path of the world, with other letters than those of ASCII in some."""
    return path.replace("ocs-", "öcs ") if path.startswith(("D", "P")) else path


def click_row(click: dict[str, Any], domain: int, switches: Switches) -> dict[str, Any]:
    """Return a click of the world as the API sends it today."""
    row = {name: value for name, value in click.items() if name != "device_type"}
    path = "/" + shown_path(row["path"].removeprefix("/"))
    path = quote(path, safe=SAFE) if switches.encoded_paths else path
    host = unicode_host(domain)
    time = datetime.fromisoformat(row["dt"]).astimezone(UTC)
    row |= {"path": path, "lcpath": path.lower(), "url": row["url"] or ""}
    row |= {"host": host if switches.unicode_hosts else host.encode("idna").decode()}
    row |= {"dt": time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    row |= {name: row[name] or "" for name in EMPTY_TEXTS}
    goal = row.pop("goal_completed")
    if switches.goals != "absent":
        row["goal_completed"] = goal is not None if switches.goals == "bool" else None
    return row


def _number(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text))
