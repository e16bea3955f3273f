"""Settings, read from dlt's configuration (environment, `.dlt/*.toml`) when they are needed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from link_assets.contract import PersonalGroup

API_SECTION = "sources.link_assets"
LOCATION_SECTION = "link_assets"

WEEK = 7 * 24 * 60 * 60
CENTURY_DAYS = 36_500
"""Longer waits and older days than these do not fit into a socket's timeout or a date."""
ADDRESS = (
    "a URL with http or https and a host, such as https://api.example.com, without user, "
    "password, query, fragment or blanks"
)
DOMAIN_IDS = "domain ids separated by commas, such as 1,2: whole numbers without leading zeros"
QUOTES = "\"'"

ClicksOrder = Literal["unordered", "newest_first"]
Treatment = Literal["keep", "hash", "drop"]
"""What becomes of personal data."""


class SettingsError(ValueError):
    """A setting is missing or unusable; the message names it and says what to give."""


def environment_name(key: str) -> str:
    """The environment variable that gives the setting `key`, as dlt spells it."""
    return key.replace(".", "__").upper()


@dataclass(frozen=True)
class ApiSettings:
    """How to reach the API and how to read it; section `sources.link_assets`.

    `max_retries` and `backoff_factor` default to the guide's rule. Times are in seconds unless
    the name says otherwise. `max_connections` and `requests_per_second` hold for all domains of a
    run together. `max_pages_without_news` pages in a row without a new row end a listing with an
    error. `chunk_rows`, `chunk_megabytes` (of JSON text) and `chunk_seconds` bound what one load
    holds, and so what a killed run fetches again: the load that was being written, and the one
    that was being fetched.
    `personal_ip`, `personal_password` and `personal_people` say what becomes of that personal data
    before anything is written; hashes are keyed with `hash_salt`.
    """

    base_url: str
    api_key: str = field(repr=False)
    hash_salt: str = field(default="", repr=False)
    max_retries: int = 3
    backoff_factor: float = 2
    page_size: int | None = None
    page_size_param: str = "limit"
    timeout_seconds: float = 60
    max_connections: int = 10
    requests_per_second: float | None = None
    clicks_order: ClicksOrder = "unordered"
    clicks_since_param: str | None = None
    clicks_lookback_days: float = 3
    max_pages_without_news: int = 100
    chunk_rows: int = 100_000
    chunk_megabytes: float = 100
    chunk_seconds: float = 120
    personal_ip: Treatment = "keep"
    personal_password: Treatment = "keep"
    personal_people: Treatment = "keep"

    def __post_init__(self) -> None:
        _require(self, "base_url", _is_address(self.base_url), ADDRESS)
        # errors of the HTTP client quote a header that cannot be sent
        sendable = self.api_key.isascii() and self.api_key.isprintable()
        _require(self, "api_key", sendable, "printable ASCII")
        _require(self, "api_key", not _is_quoted(self.api_key), "given without quotes around it")
        _require_one_of(self, "clicks_order", get_args(ClicksOrder))
        for group in get_args(PersonalGroup):
            _require_one_of(self, f"personal_{group}", get_args(Treatment))
        salted = bool(self.hash_salt) or "hash" not in self.personal.values()
        _require(self, "hash_salt", salted, "a secret of your own for personal data to be hashed")
        for name in ("page_size_param", "clicks_since_param"):
            plain = re.fullmatch(r"[^\s\"'&=?#]+", getattr(self, name) or "unset")
            _require(self, name, bool(plain), "the name of a query parameter")
        for name in ("max_retries", "backoff_factor"):
            _require_zero_or_more(self, name)
        _require_zero_or_more(self, "clicks_lookback_days", CENTURY_DAYS)
        counts = ("page_size", "max_connections", "requests_per_second", "chunk_rows")
        for name in (*counts, "max_pages_without_news", "chunk_megabytes", "chunk_seconds"):
            _require_more_than_zero(self, name)
        _require_more_than_zero(self, "timeout_seconds", WEEK)

    @property
    def personal(self) -> dict[PersonalGroup, Treatment]:
        """What becomes of each group of personal data."""
        return {group: getattr(self, f"personal_{group}") for group in get_args(PersonalGroup)}


@dataclass(frozen=True)
class LocationSettings:
    """How the code location schedules, groups and judges; section `link_assets`.

    `domains` is the allow-list (domain ids, comma-separated); empty allows every domain.
    `domains_per_run` is how many domains of a backfill share a run, `domains_at_once` how many
    of those are fetched side by side. Freshness windows are in hours. If more than
    `disappeared_share` of the links are gone at once, none is marked as deleted. A day is unusual
    if a domain has less than `volume_share` of its usual clicks. DuckDB takes up to
    `duckdb_memory` before it writes to disk; if that is not set, as much as a load needs.
    """

    domains: str = ""
    domains_per_run: int = 10
    domains_at_once: int = 10
    links_cron: str = "0 * * * *"
    clicks_cron: str = "15 * * * *"
    checks_cron: str = "45 * * * *"
    timezone: str = "UTC"
    links_fresh_hours: float = 25
    clicks_fresh_hours: float = 25
    disappeared_share: float = 0.5
    volume_share: float = 0.3
    run_retries: int = 2
    lock_timeout_seconds: float = 600
    duckdb_memory: str | None = None
    owner: str = "team:growth-data"

    def __post_init__(self) -> None:
        listed = all(map(_is_domain_id, self.allowed_domains))
        _require(self, "domains", listed, DOMAIN_IDS)
        known = _is_timezone(self.timezone)
        _require(
            self, "timezone", known, f"a time zone such as Europe/Berlin, not {self.timezone!r}"
        )
        _require(self, "owner", _is_owner(self.owner), "an email address or team:name")
        for name in ("domains_per_run", "domains_at_once"):
            _require_more_than_zero(self, name)
        _require_more_than_zero(self, "lock_timeout_seconds", WEEK)
        for name in ("links_fresh_hours", "clicks_fresh_hours"):
            _require_more_than_zero(self, name, CENTURY_DAYS * 24, " hours")
        for name in ("disappeared_share", "volume_share"):
            _require(self, name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")
        sized = re.fullmatch(r"[1-9][0-9]* *[KMGT]i?B", self.duckdb_memory or "128MB")
        _require(self, "duckdb_memory", bool(sized), "a size such as 512MB or 2GB")
        _require_zero_or_more(self, "run_retries")

    @property
    def allowed_domains(self) -> frozenset[str]:
        """The allow-list's ids; empty if every domain is allowed."""
        # a list in TOML has become text
        items = (
            item.strip().strip(QUOTES).strip() for item in self.domains.strip("[] ").split(",")
        )
        return frozenset(item for item in items if item)


def api_settings() -> ApiSettings:
    """The API settings as configured now.

    Raises SettingsError if `base_url` or the API key is missing, or a value is unusable.
    The guide's top-level `api_key` is honoured where the section has none.
    """
    given = dict(_given(ApiSettings, API_SECTION, skip=("api_key", "hash_salt")))
    if "base_url" not in given:
        raise SettingsError(
            f"No API to read from: set {environment_name(API_SECTION)}__BASE_URL to its address, "
            "such as https://api.example.com (`link-assets sandbox` starts one to try)."
        )
    # files of secrets tend to end in a newline
    api_key = (_secret(f"{API_SECTION}.api_key") or _secret("api_key")).strip()
    if not api_key:
        raise SettingsError(
            f"No API key: set {environment_name(API_SECTION)}__API_KEY or API_KEY to the key "
            "that the API expects in its Authorization header."
        )
    return ApiSettings(api_key=api_key, hash_salt=_secret(f"{API_SECTION}.hash_salt"), **given)


def _secret(key: str) -> str:
    """The secret as text, empty if there is none."""
    import dlt

    # asked for as text it would be no secret to dlt, which writes it into the pipeline's trace
    return str(dlt.secrets.get(key) or "")  # type: ignore[arg-type]


def base_url_is_set() -> bool:
    """Whether an API has been configured, whatever its key."""
    import dlt

    return bool((dlt.config.get(f"{API_SECTION}.base_url", str) or "").strip())


def location_settings() -> LocationSettings:
    """The code location's settings as configured now; raises SettingsError on an unusable one."""
    return LocationSettings(**dict(_given(LocationSettings, LOCATION_SECTION)))


_Settings = ApiSettings | LocationSettings
_Spec = TypeVar("_Spec", ApiSettings, LocationSettings)
_READ_AS = {int: int, float: float}


def _given(
    spec: type[_Spec], section: str, skip: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    import dlt

    types = get_type_hints(spec)
    for name in (f.name for f in fields(spec) if f.name not in skip):
        value = (dlt.config.get(f"{section}.{name}", str) or "").strip()
        if value:
            yield name, _read(f"{section}.{name}", value, types[name])


def _read(key: str, value: Any, hint: Any) -> Any:
    kind = next((k for k in _READ_AS if hint in (k, k | None)), str)
    try:
        number = kind(value)
        if number in (math.inf, -math.inf):
            raise ValueError("no setting is boundless")
        return number
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{environment_name(key)} must be {what}, not {value!r}.") from None


def _is_address(url: str) -> bool:
    from requests import PreparedRequest

    if not url.isprintable() or any(mark in url for mark in " ?#\\"):
        return False
    try:
        PreparedRequest().prepare_url(url, None)
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        usable_port = parts.port != 0
    except ValueError:
        return False
    nobody = "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(host) and usable_port and nobody


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES


def _is_domain_id(text: str) -> bool:
    return bool(re.fullmatch(r"0|[1-9][0-9]{0,18}", text)) and int(text) < 2**63


def _is_owner(text: str) -> bool:
    """Whether Dagster shows it as an owner."""
    email = r"[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}"
    return bool(re.fullmatch(rf"team:\s*\S.*|{email}", text, re.ASCII)) and text.isprintable()


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _require_zero_or_more(settings: _Settings, name: str, most: float = math.inf) -> None:
    fits = 0 <= getattr(settings, name) <= most
    _require(settings, name, fits, f"zero or more{_at_most(most)}")


def _require_more_than_zero(
    settings: _Settings, name: str, most: float = math.inf, unit: str = ""
) -> None:
    value = getattr(settings, name)
    fits = value is None or 0 < value <= most
    _require(settings, name, fits, f"more than zero{unit}{_at_most(most)}")


def _at_most(most: float) -> str:
    return "" if most == math.inf else f" and at most {most:g}"


def _require_one_of(settings: ApiSettings, name: str, options: tuple[str, ...]) -> None:
    _require(settings, name, getattr(settings, name) in options, " or ".join(options))


def _require(settings: _Settings, name: str, holds: bool, what: str) -> None:
    section = API_SECTION if isinstance(settings, ApiSettings) else LOCATION_SECTION
    if not holds:
        raise SettingsError(f"{environment_name(f'{section}.{name}')} must be {what}.")
