"""The made-up words the world is put together from. No real person, host or address."""

from __future__ import annotations

from itertools import product
from typing import Any

THEMES = ("Spring", "newsletter", "Docs", "launch", "Podcast", "jobs", "Webinar", "beta")
UNKNOWN_PATHS = ("/robots.txt", "/favicon.ico", "/Old-Campaign", "/wp-login.php", "/.env")
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
PROTOCOLS = ("http", *["https"] * 7)
GOALS = ("signup", "purchase", *[None] * 48)
SPLIT_PATHS = ("a", "b", *[None] * 22)

PEOPLE: tuple[dict[str, Any], ...] = (
    {"id": 501, "name": "Ada Example", "email": "ada@example.com", "photoURL": None},
    {
        "id": 502,
        "name": "Bo Sample",
        "email": "bo@example.com",
        "photoURL": "https://img.example.com/bo.png",
    },
    {"id": 503, "name": None, "email": "ci@example.com", "photoURL": None},
    {"id": 504, "name": "Zoë 测试", "email": "zoe@example.com", "photoURL": None},
)


def _person(browser: str, version: str, os: str, device: str, ua: str) -> dict[str, Any]:
    client = {"human": True, "browser": browser, "browser_version": version, "os": os}
    return {"method": "GET", **client, "ua": f"Mozilla/5.0 {ua}", "device_type": device}


def _bot(name: str, method: str) -> dict[str, Any]:
    client = {"human": False, "browser": name, "browser_version": "", "os": None}
    ua = f"Mozilla/5.0 (compatible; {name}/2.1; +https://bots.example/{name.lower()})"
    return {"method": method, **client, "ua": ua, "device_type": None}


CLIENTS = (
    _person("Chrome", "131", "Windows", "desktop", "(Windows NT 10.0; Win64; x64) Chrome/131.0"),
    _person("Chrome Mobile", "130", "Android", "mobile", "(Linux; Android 14) Chrome/130.0 Mobile"),
    _person("Mobile Safari", "18.1", "iOS", "mobile", "(iPhone; CPU iPhone OS 18_1) Safari/604.1"),
    _person("Safari", "17.6", "Mac OS X", "desktop", "(Macintosh; Intel Mac OS X) Version/17.6"),
    _person("Firefox", "133", "Linux", "desktop", "(X11; Linux x86_64; rv:133.0) Firefox/133.0"),
    _bot("ExampleBot", "GET"),
    _bot("SampleCrawler", "HEAD"),
)

PLACES = (
    {"country": "India", "city": "Mumbai"},
    {"country": "Germany", "city": "Köln"},
    {"country": "Brazil", "city": "São Paulo"},
    {"country": "Japan", "city": "東京"},
    {"country": "Kenya", "city": "Nairobi"},
    {"country": "Canada", "city": ""},
    {"country": None, "city": None},
)

REFERRERS = (
    {"ref": "", "refhost": "", "social": ""},
    {"ref": None, "refhost": None, "social": None},
    {"ref": "https://news.example/a?x=1&y=%3D", "refhost": "news.example", "social": ""},
    {"ref": "https://chat.example/", "refhost": "chat.example", "social": "Chatter"},
    {"ref": "https://www.example.com/blog", "refhost": "www.example.com", "social": ""},
)

CAMPAIGNS = (
    {"utm_source": "", "utm_medium": "", "utm_campaign": ""},
    {"utm_source": None, "utm_medium": None, "utm_campaign": None},
    {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "spring"},
    {"utm_source": "chatter", "utm_medium": "social", "utm_campaign": "launch week"},
)

VISITS_WITH_DEVICE: tuple[dict[str, Any], ...] = tuple(
    {**client, **place, **referrer, **campaign}
    for client, place, referrer, campaign in product(CLIENTS, PLACES, REFERRERS, CAMPAIGNS)
)
VISITS = tuple(
    {name: value for name, value in visit.items() if name != "device_type"}
    for visit in VISITS_WITH_DEVICE
)
"""Everything about a visitor, put together once: a page of clicks is made on every request."""
