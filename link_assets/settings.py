"""Settings, read from dlt's configuration (environment, `.dlt/*.toml`) when they are needed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit

from link_assets.contract import PersonalGroup

API_SECTION = "sources.link_assets"
LOCATION_SECTION = "link_assets"

_LIST_MARKS = str.maketrans("", "", "[]\"' ")
"""What surrounds the items of a TOML list once dlt has made text of it."""

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
    error. `chunk_rows` and `chunk_seconds` bound what one load holds, and so what a killed
    run fetches again: the load that was being written, and the one that was being fetched.
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
    chunk_seconds: float = 120
    personal_ip: Treatment = "keep"
    personal_password: Treatment = "keep"
    personal_people: Treatment = "keep"

    def __post_init__(self) -> None:
        _require(self, "base_url", urlsplit(self.base_url).scheme in ("http", "https"), "a URL")
        # errors of the HTTP client quote a header that cannot be sent
        sendable = self.api_key.isascii() and self.api_key.isprintable()
        _require(self, "api_key", sendable, "printable ASCII")
        _require_one_of(self, "clicks_order", get_args(ClicksOrder))
        for group in get_args(PersonalGroup):
            _require_one_of(self, f"personal_{group}", get_args(Treatment))
        salted = bool(self.hash_salt) or "hash" not in self.personal.values()
        _require(self, "hash_salt", salted, "a secret of your own for personal data to be hashed")
        for name in ("max_retries", "backoff_factor", "clicks_lookback_days"):
            _require(self, name, getattr(self, name) >= 0, "zero or more")
        positive = ("page_size", "timeout_seconds", "max_connections", "requests_per_second")
        for name in (*positive, "max_pages_without_news", "chunk_rows", "chunk_seconds"):
            value = getattr(self, name)
            _require(self, name, value is None or value > 0, "more than zero")

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
    `duckdb_memory` before it writes to disk.
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
    duckdb_memory: str = "128MB"
    owner: str = "team:growth-data"

    def __post_init__(self) -> None:
        listed = all(re.fullmatch(r"[0-9]+", d) for d in self.allowed_domains)
        _require(self, "domains", listed, "domain ids separated by commas, such as 1,2")
        for name in ("domains_per_run", "domains_at_once", "lock_timeout_seconds"):
            _require(self, name, getattr(self, name) > 0, "more than zero")
        for name in ("links_fresh_hours", "clicks_fresh_hours"):
            _require(self, name, getattr(self, name) > 0, "more than zero hours")
        for name in ("disappeared_share", "volume_share"):
            _require(self, name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")
        sized = re.fullmatch(r"[0-9]+ *[KMGT]i?B", self.duckdb_memory)
        _require(self, "duckdb_memory", bool(sized), "a size such as 512MB or 2GB")
        _require(self, "run_retries", self.run_retries >= 0, "zero or more")

    @property
    def allowed_domains(self) -> frozenset[str]:
        """The allow-list's ids; empty if every domain is allowed."""
        listed = self.domains.translate(_LIST_MARKS)
        return frozenset(domain for domain in listed.split(",") if domain)


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

    return bool(dlt.config.get(f"{API_SECTION}.base_url", str))


def location_settings() -> LocationSettings:
    """The code location's settings as configured now; raises SettingsError on an unusable one."""
    return LocationSettings(**dict(_given(LocationSettings, LOCATION_SECTION)))


_Spec = TypeVar("_Spec", ApiSettings, LocationSettings)
_READ_AS = {int: int, float: float}


def _given(
    spec: type[_Spec], section: str, skip: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    import dlt

    types = get_type_hints(spec)
    for name in (f.name for f in fields(spec) if f.name not in skip):
        value = dlt.config.get(f"{section}.{name}", str)
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


def _require_one_of(settings: ApiSettings, name: str, options: tuple[str, ...]) -> None:
    _require(settings, name, getattr(settings, name) in options, " or ".join(options))


def _require(settings: ApiSettings | LocationSettings, name: str, holds: bool, what: str) -> None:
    section = API_SECTION if isinstance(settings, ApiSettings) else LOCATION_SECTION
    if not holds:
        raise SettingsError(f"{environment_name(f'{section}.{name}')} must be {what}.")
