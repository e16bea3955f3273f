"""Every setting, its default and its range: of the API (`ApiSettings`) and of the code location.

dlt's configuration gives them: environment variables, `.dlt/config.toml`, `.dlt/secrets.toml`.
They are read when they are asked for, never when this module is imported. A value that cannot
work raises SettingsError, which names the environment variable and quotes no secret.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from link_assets.contract import PersonalGroup, Treatment

API_SECTION = "sources.link_assets"
LOCATION_SECTION = "link_assets"
ALERT_WEBHOOK = f"{LOCATION_SECTION}.alert_webhook"
"""The setting of the address that alerts are sent to; a secret, which `alert_webhook` reads."""

WEEK = 7 * 24 * 60 * 60
CENTURY_DAYS = 36_500
"""Longer waits and older days than these do not fit into a socket's timeout or a date."""
LEAST_KEPT_DAYS = 45
"""What checks and charts look back to."""
KEPT_DAYS = f"0, to keep all clicks, or a whole number from {LEAST_KEPT_DAYS} to {CENTURY_DAYS}"
ADDRESS = (
    "a URL with http or https and a host, such as https://api.example.com, without user, "
    "password, query, fragment or blanks"
)
TREE = "/tree/"
"""What stands before the branch in an address of GitHub or GitLab."""
BRANCH = "the address of a branch, such as https://github.com/you/link_assets/tree/main"
DOMAIN_IDS = "domain ids separated by commas, such as 1,2: whole numbers without leading zeros"
QUOTES = "\"'"
BASE_URLS = {"short_io": "https://api.short.io"}
"""The addresses of the APIs that have one for all."""
STATISTICS_URL = "https://statistics.short.io/statistics"

# Ranges; the description is what an error says that the setting must be.
Count = Annotated[int, Meta(gt=0, description="more than zero")]
Retries = Annotated[int, Meta(ge=0, description="zero or more")]
Positive = Annotated[float, Meta(gt=0, description="more than zero")]
ZeroOrMore = Annotated[float, Meta(ge=0, description="zero or more")]
Share = Annotated[float, Meta(ge=0, le=1, description="a share from 0 to 1")]
Timeout = Annotated[float, Meta(gt=0, le=WEEK, description=f"more than zero and at most {WEEK}")]
Days = Annotated[
    float, Meta(ge=0, le=CENTURY_DAYS, description=f"zero or more and at most {CENTURY_DAYS}")
]
KeptDays = Annotated[int, Meta(ge=0, le=CENTURY_DAYS, description=KEPT_DAYS)]
Hours = Annotated[
    float,
    Meta(
        gt=0,
        le=CENTURY_DAYS * 24,
        description=f"more than zero hours and at most {CENTURY_DAYS * 24}",
    ),
]
QueryParameter = Annotated[
    str, Meta(pattern=r"\A[^\s\"'&=?#]+\Z", description="the name of a query parameter")
]
MemorySize = Annotated[
    str,
    Meta(pattern=r"\A[1-9][0-9]* *[KMGT]i?B\Z", description="a size such as 512MB or 2GB"),
]
Api = Annotated[Literal["guide", "short_io"], Meta(description="guide or short_io")]
AlertFormat = Annotated[Literal["slack", "text"], Meta(description="slack or text")]
ClicksOrder = Annotated[
    Literal["unordered", "newest_first"], Meta(description="unordered or newest_first")
]
PersonalTreatment = Annotated[Treatment, Meta(description="keep or hash or drop")]


class SettingsError(ValueError):
    """A setting is missing or unusable; the message names it and says what to give."""


def environment_name(key: str) -> str:
    """Return the environment variable of the setting `key`, as dlt spells it."""
    return key.replace(".", "__").upper()


@dataclass(frozen=True)
class ApiSettings:
    """The API's address and key, and how to read from it; section `sources.link_assets`.

    `api` says which API it is: the guide's, or Short.io's, whose clicks come from
    `statistics_url`. `full_read_days` is how often a domain of which only new clicks are read is
    read whole, and how often links that stay as they are are written again; 0 is never.

    `max_retries` and `backoff_factor` default to the guide's rule. Times are in seconds unless
    the name says otherwise. `max_connections` and `requests_per_second` hold for all domains of a
    run together. `max_pages_without_news` pages in a row without a new row end a listing with an
    error.

    `chunk_rows`, `chunk_megabytes` (of JSON text) and `chunk_seconds` bound what one load holds,
    and so what a killed run fetches again: the load that was being written, and the one that was
    being fetched.

    Clicks that are older than `keep_clicks_days` whole days are not loaded, and are deleted once
    their days are computed; 0 keeps all.

    `personal_ip`, `personal_password` and `personal_people` say what becomes of that personal data
    before anything is written; hashes are keyed with `hash_salt`.
    """

    base_url: str
    api_key: str = field(repr=False)
    api: Api = "guide"
    statistics_url: str = STATISTICS_URL
    hash_salt: str = field(default="", repr=False)
    max_retries: Retries = 3
    backoff_factor: ZeroOrMore = 2
    page_size: Count | None = None
    page_size_param: QueryParameter = "limit"
    timeout_seconds: Timeout = 60
    max_connections: Count = 10
    requests_per_second: Positive | None = None
    clicks_order: ClicksOrder = "unordered"
    clicks_since_param: QueryParameter | None = None
    clicks_lookback_days: Days = 3
    full_read_days: Days = 7
    keep_clicks_days: KeptDays = 0
    max_pages_without_news: Count = 100
    chunk_rows: Count = 100_000
    chunk_megabytes: Positive = 100
    chunk_seconds: Positive = 120
    personal_ip: PersonalTreatment = "keep"
    personal_password: PersonalTreatment = "keep"
    personal_people: PersonalTreatment = "keep"

    def __post_init__(self) -> None:
        _require_ranges(self)
        for name in ("base_url", "statistics_url"):
            _require(self, name, _is_address(getattr(self, name)), ADDRESS)
        # errors of the HTTP client quote a header that cannot be sent
        sendable = self.api_key.isascii() and self.api_key.isprintable()
        _require(self, "api_key", sendable, "printable ASCII")
        _require(self, "api_key", not _is_quoted(self.api_key), "given without quotes around it")
        salted = bool(self.hash_salt) or "hash" not in self.personal.values()
        _require(self, "hash_salt", salted, "a secret of your own for personal data to be hashed")
        kept = self.keep_clicks_days
        _require(self, "keep_clicks_days", kept == 0 or kept >= LEAST_KEPT_DAYS, KEPT_DAYS)

    @property
    def personal(self) -> dict[PersonalGroup, Treatment]:
        """Return what becomes of each group of personal data."""
        return {group: getattr(self, f"personal_{group}") for group in get_args(PersonalGroup)}


@dataclass(frozen=True)
class LocationSettings:
    """Schedules, run sizes and the limits of checks; section `link_assets`.

    `domains` is the allow-list (domain ids, comma-separated); empty allows every domain.
    `domains_per_run` is how many domains of a backfill share a run, `domains_at_once` how many
    of those are fetched side by side. The schedules are cron expressions in `timezone`; Dagster
    checks them when it loads its definitions. A table that is older than its `fresh_hours` is
    late. If more than `disappeared_share` of the links are gone at once, none is marked as
    deleted. A day is unusual if a domain has less than `volume_share` of its usual clicks.
    `lock_timeout_seconds` bounds the wait for others that use the warehouse. DuckDB takes up to
    `duckdb_memory` before it writes to disk; if that is not set, as much as a load needs.
    Alerts are Slack's JSON or plain text (`alert_format`) and link to the UI at `ui_url`. Assets
    link to their code in the branch at `git_url`, if that is set.
    """

    domains: str = ""
    domains_per_run: Count = 10
    domains_at_once: Count = 10
    links_cron: str = "0 * * * *"
    clicks_cron: str = "15 * * * *"
    checks_cron: str = "45 * * * *"
    timezone: str = "UTC"
    links_fresh_hours: Hours = 25
    clicks_fresh_hours: Hours = 25
    disappeared_share: Share = 0.5
    volume_share: Share = 0.3
    run_retries: Retries = 2
    lock_timeout_seconds: Timeout = 600
    duckdb_memory: MemorySize | None = None
    owner: str = "team:growth-data"
    alert_format: AlertFormat = "slack"
    ui_url: str = "http://127.0.0.1:3000"
    git_url: str = ""

    def __post_init__(self) -> None:
        _require_ranges(self)
        _require(self, "domains", all(map(is_domain_id, self.allowed_domains)), DOMAIN_IDS)
        zone = f"a time zone such as Europe/Berlin, not {self.timezone!r}"
        _require(self, "timezone", _is_timezone(self.timezone), zone)
        _require(self, "ui_url", _is_address(self.ui_url), ADDRESS)
        _require(self, "git_url", not self.git_url or _is_branch(self.git_url), BRANCH)
        _require(self, "owner", _is_owner(self.owner), "an email address or team:name")

    @property
    def allowed_domains(self) -> frozenset[str]:
        """Return the allow-list's ids; empty if every domain is allowed."""
        # a list in TOML has become text
        items = (
            item.strip().strip(QUOTES).strip() for item in self.domains.strip("[] ").split(",")
        )
        return frozenset(item for item in items if item)


def api_settings() -> ApiSettings:
    """Return the API settings as configured now.

    The guide's top-level `api_key` is honoured where the section has none.

    Raises:
        SettingsError: `base_url` or the API key is missing, or a value cannot work.
    """
    configured = _configured(ApiSettings, API_SECTION, secrets=("api_key", "hash_salt"))
    if known := BASE_URLS.get(configured.get("api", "")):
        configured.setdefault("base_url", known)
    if "base_url" not in configured:
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
    return ApiSettings(api_key=api_key, hash_salt=_secret(f"{API_SECTION}.hash_salt"), **configured)


def keep_clicks_days() -> int:
    """Return for how many days clicks are kept, 0 for all of them; the API need not be set.

    Raises:
        SettingsError: The number cannot be used.
    """
    name = "keep_clicks_days"
    text = _text(f"{API_SECTION}.{name}")
    given = {name: _read(f"{API_SECTION}.{name}", text, int)} if text else {}
    return replace(UNSET_API, **given).keep_clicks_days


def location_settings() -> LocationSettings:
    """Return the code location's settings as configured now.

    Raises:
        SettingsError: A value cannot work.
    """
    return LocationSettings(**_configured(LocationSettings, LOCATION_SECTION))


def alert_webhook() -> str:
    """Return the address that alerts are sent to, empty if there is none; it is a secret.

    Raises:
        SettingsError: It is no address.
    """
    webhook = _secret(ALERT_WEBHOOK).strip()
    if webhook and not webhook.startswith(("http://", "https://")):
        raise _unusable(ALERT_WEBHOOK, "a URL with http or https")
    return webhook


def base_url_is_set() -> bool:
    """Return whether it is known which address to read from, with or without a key."""
    return bool(_text(f"{API_SECTION}.base_url")) or configured_api() in BASE_URLS


def address_setting(url: str) -> str:
    """Return the name of the setting that the address of a request is from."""
    statistics = _text(f"{API_SECTION}.statistics_url") or STATISTICS_URL
    is_there = url.startswith(statistics.rstrip("/"))
    return f"{environment_name(API_SECTION)}__{'STATISTICS_URL' if is_there else 'BASE_URL'}"


def configured_api() -> str:
    """Return the name of the API that is read, which may be unusable: `api_settings` checks it."""
    return _text(f"{API_SECTION}.api") or ApiSettings.api


def _configured(
    spec: type[ApiSettings | LocationSettings], section: str, secrets: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the settings that are given, but for secrets, each as what its field holds.

    Not by dlt's `configspec`: it would also take a `base_url` that is meant for something else,
    from a section above, and its errors name no environment variable.
    """
    types = get_type_hints(spec)
    texts = {f.name: _text(f"{section}.{f.name}") for f in fields(spec) if f.name not in secrets}
    return {
        name: _read(f"{section}.{name}", text, types[name]) for name, text in texts.items() if text
    }


def keep_no_traces() -> None:
    """Have dlt not remember where it found each setting, each time that it is asked; repeatable.

    It forgets that when a pipeline ends. A code server runs none, so it would grow with each tick.
    """
    from dlt.common.configuration.utils import TraceLogContext

    TraceLogContext.logging_enabled = False


def _text(key: str) -> str:
    """Return a setting as text without the blanks around it, empty if it is not given."""
    import dlt

    keep_no_traces()
    return (dlt.config.get(key, str) or "").strip()


def _secret(key: str) -> str:
    """Return a secret as text, empty if it is not given."""
    import dlt

    keep_no_traces()
    # asked for as text it would be no secret to dlt, which writes it into the pipeline's trace
    return str(dlt.secrets.get(key) or "")  # type: ignore[arg-type]


def _read(key: str, text: str, hint: Any) -> str | int | float:
    """Return what the text spells for a field of this type.

    Numbers are read by Python: msgspec reads those of JSON, which do not include .5 and 007.
    """
    if hint in (int, int | None):
        kind, what = int, "a whole number"
    elif hint in (float, float | None):
        kind, what = float, "a number"
    else:
        return text
    with suppress(ValueError):
        number = kind(text)
        if abs(number) != math.inf:
            return number
    raise _unusable(key, f"{what}, not {text!r}")


def _require_ranges(settings: ApiSettings | LocationSettings) -> None:
    """Raise SettingsError if a value is not what the type of its field says."""
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        _require(settings, name, _fits(getattr(settings, name), hint), _description(hint))


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def _description(hint: Any) -> str:
    """Return what a type says of its values: an Annotated with a Meta, or one of these or None."""
    metas = [meta for part in (hint, *get_args(hint)) for meta in getattr(part, "__metadata__", ())]
    return next((meta.description for meta in metas), "text")


def _require(
    settings: ApiSettings | LocationSettings, name: str, holds: bool, expectation: str
) -> None:
    section = API_SECTION if isinstance(settings, ApiSettings) else LOCATION_SECTION
    if not holds:
        raise _unusable(f"{section}.{name}", expectation)


def _unusable(key: str, expectation: str) -> SettingsError:
    return SettingsError(f"{environment_name(key)} must be {expectation}.")


def _is_address(url: str) -> bool:
    """Return whether the HTTP client can send a request there."""
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
    without_user = "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(host) and usable_port and without_user


def _is_branch(url: str) -> bool:
    """Return whether it is the address of a branch at GitHub or GitLab."""
    return _is_address(url) and all(url.rstrip("/").partition(TREE))


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES


def is_domain_id(text: str) -> bool:
    """Return whether a text spells a domain's id: 64 bits, not negative, no zero first."""
    return bool(re.fullmatch(r"0|[1-9][0-9]{0,18}", text)) and int(text) < 2**63


def _is_owner(text: str) -> bool:
    """Return whether Dagster accepts the text as an owner; settings do not import Dagster."""
    email = r"[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}"
    return bool(re.fullmatch(rf"team:\s*\S.*|{email}", text, re.ASCII)) and text.isprintable()


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


UNSET_API = ApiSettings(base_url="http://api.invalid", api_key="unset")
"""Stands where a source must be described before the settings may be read."""
