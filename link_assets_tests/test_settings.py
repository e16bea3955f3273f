"""Settings come from dlt's configuration, and an unusable one says what to change."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from link_assets.settings import (
    ApiSettings,
    LocationSettings,
    SettingsError,
    api_settings,
    base_url_is_set,
    location_settings,
)

API, LOCATION = "SOURCES__LINK_ASSETS__", "LINK_ASSETS__"
URL, KEY = "https://api.example.com", "the-key-nobody-may-see"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{API}BASE_URL", URL)
    monkeypatch.setenv(f"{API}API_KEY", KEY)


def problem_of(read: Any) -> str:
    with pytest.raises(SettingsError) as problem:
        read()
    return str(problem.value)


def test_only_the_address_and_the_key_are_needed(configured: None) -> None:
    assert api_settings() == ApiSettings(base_url=URL, api_key=KEY)
    assert (api_settings().max_retries, api_settings().backoff_factor) == (3, 2)
    assert location_settings() == LocationSettings()


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_base_url_names_its_setting(
    configured: None, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(f"{API}BASE_URL")
    if value is not None:
        monkeypatch.setenv(f"{API}BASE_URL", value)
    assert f"set {API}BASE_URL" in problem_of(api_settings)
    assert not base_url_is_set()


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_key_names_both_of_its_settings(
    configured: None, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(f"{API}API_KEY")
    if value is not None:
        monkeypatch.setenv(f"{API}API_KEY", value)
    assert f"set {API}API_KEY or API_KEY" in problem_of(api_settings)
    assert base_url_is_set()


@pytest.mark.parametrize(
    ("of_section", "top_level", "taken"),
    [(None, "top", "top"), ("section", None, "section"), ("section", "top", "section")],
)
def test_the_top_level_key_is_used_if_the_section_has_none(
    configured: None,
    monkeypatch: pytest.MonkeyPatch,
    of_section: str | None,
    top_level: str | None,
    taken: str,
) -> None:
    monkeypatch.delenv(f"{API}API_KEY")
    for name, value in ((f"{API}API_KEY", of_section), ("API_KEY", top_level)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert api_settings().api_key == taken


@pytest.mark.parametrize("name", ["BASE_URL", "SOURCES__BASE_URL", "LINK_ASSETS__BASE_URL"])
def test_an_address_of_another_section_is_not_used(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "https://elsewhere.example")
    monkeypatch.setenv("API_KEY", KEY)
    assert not base_url_is_set()
    assert f"{API}BASE_URL" in problem_of(api_settings)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_retries", "0", 0),
        ("max_retries", "7", 7),
        ("backoff_factor", "0.5", 0.5),
        ("backoff_factor", "2", 2.0),
        ("page_size", "200", 200),
        ("page_size", "", None),
        ("page_size_param", "pageSize", "pageSize"),
        ("timeout_seconds", "1.5", 1.5),
        ("clicks_order", "newest_first", "newest_first"),
        ("clicks_since_param", "since", "since"),
        ("clicks_lookback_days", "0", 0.0),
        ("keep_clicks_days", "0", 0),
        ("keep_clicks_days", "45", 45),
        ("chunk_rows", "10", 10),
        ("chunk_megabytes", "0.5", 0.5),
        ("chunk_seconds", "0.1", 0.1),
        ("personal_ip", "hash", "hash"),
        ("personal_password", "drop", "drop"),
        ("personal_people", "keep", "keep"),
    ],
)
def test_api_settings_are_read_as_their_types(
    configured: None, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(API + name.upper(), text)
    monkeypatch.setenv(f"{API}HASH_SALT", "salt")
    read = getattr(api_settings(), name)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("domains", "1,2", "1,2"),
        ("domains", "7", "7"),
        ("domains_per_run", "3", 3),
        ("domains_at_once", "1", 1),
        ("links_cron", "*/5 * * * *", "*/5 * * * *"),
        ("timezone", " Europe/Berlin ", "Europe/Berlin"),
        ("owner", "somebody@example.com", "somebody@example.com"),
        ("owner", "team:growth data", "team:growth data"),
        ("clicks_fresh_hours", "1.5", 1.5),
        ("disappeared_share", "0", 0.0),
        ("volume_share", "1", 1.0),
        ("run_retries", "0", 0),
        ("lock_timeout_seconds", "2", 2.0),
    ],
)
def test_location_settings_are_read_as_their_types(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(LOCATION + name.upper(), text)
    read = getattr(location_settings(), name)
    assert (read, type(read)) == (value, type(value))


ADDRESSES = [
    "http://127.0.0.1:8300",
    "https://api.example.com/",
    "HTTPS://API.example.com/v2/",
    "https://api.example.com:443/a%20b",
    "http://[::1]:8300",
    "http://under_score.internal",
    "https://b\u00fccher.example",
]
NO_ADDRESSES = [
    "http://[::1",
    "http://[::1]x",
    "http://[zz]",
    "http://a..b",
    "http://.b",
    "http://*",
    "http://" + "a" * 64 + ".example",
    "https://",
    "https:///v1",
    "https://:8300",
    "https://api.example.com?v=1",
    "https://api.example.com/v1#top",
    "https://api.example.com/?",
    "https://api example.com",
    "https://api.example.com/a b",
    "https://api.example.com/\tb",
    "https://api.example.com:99999",
    "https://api.example.com:0",
    "https://api.example.com:http",
    "https://somebody:the-password@api.example.com",
    "https://somebody@api.example.com",
    '"https://api.example.com"',
    "'https://api.example.com'",
    "https:\\\\api.example.com",
    "//api.example.com",
    "api.example.com:443",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", ["{}", " {} ", "{}\n"])
def test_blanks_around_an_address_are_ignored(
    configured: None, monkeypatch: pytest.MonkeyPatch, address: str, around: str
) -> None:
    monkeypatch.setenv(f"{API}BASE_URL", around.format(address))
    assert api_settings().base_url == address
    assert base_url_is_set()


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_unusable_address_is_refused_without_being_quoted(
    configured: None, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(f"{API}BASE_URL", address)
    problem = problem_of(api_settings)
    assert problem.startswith(f"{API}BASE_URL must be a URL with http or https and a host")
    assert "the-password" not in problem


NUMBERS = [
    (prefix, name)
    for prefix, spec in ((API, ApiSettings), (LOCATION, LocationSettings))
    for name, hint in get_type_hints(spec).items()
    if {int, float} & {hint, *get_args(hint)}
]


@pytest.mark.parametrize("text", ["nan", "-nan", "-1", "-0.001", "inf", "1e999", "'3'", "3 4"])
@pytest.mark.parametrize(("prefix", "name"), NUMBERS)
def test_a_number_out_of_range_is_refused_by_its_name(
    configured: None, monkeypatch: pytest.MonkeyPatch, prefix: str, name: str, text: str
) -> None:
    monkeypatch.setenv(prefix + name.upper(), text)
    read = api_settings if prefix == API else location_settings
    assert problem_of(read).startswith(f"{prefix}{name.upper()} must be ")


@pytest.mark.parametrize(
    ("prefix", "name", "text"),
    [
        (API, "timeout_seconds", "604801"),
        (API, "clicks_lookback_days", "999999999"),
        (LOCATION, "links_fresh_hours", "1e300"),
        (LOCATION, "clicks_fresh_hours", "876001"),
        (LOCATION, "lock_timeout_seconds", "1e12"),
    ],
)
def test_a_time_that_no_timeout_or_date_can_hold_is_refused(
    configured: None, monkeypatch: pytest.MonkeyPatch, prefix: str, name: str, text: str
) -> None:
    monkeypatch.setenv(prefix + name.upper(), text)
    read = api_settings if prefix == API else location_settings
    assert "and at most" in problem_of(read)


@pytest.mark.parametrize(("name", "text", "value"), [("page_size", " 20 ", 20)])
def test_blanks_around_a_number_are_ignored(
    configured: None, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: int
) -> None:
    monkeypatch.setenv(API + name.upper(), text)
    assert getattr(api_settings(), name) == value


UNUSABLE_API = [
    ("api_key", '"quoted"', "must be given without quotes around it"),
    ("api_key", "'quoted'", "must be given without quotes around it"),
    ("page_size_param", '"limit"', "must be the name of a query parameter"),
    ("page_size_param", "limit=5", "must be the name of a query parameter"),
    ("clicks_since_param", "since when", "must be the name of a query parameter"),
    ("base_url", "api.example.com", "must be a URL"),
    ("base_url", "ftp://api.example.com", "must be a URL"),
    ("api_key", "two\nlines", "must be printable ASCII"),
    ("api_key", "schlüssel", "must be printable ASCII"),
    ("max_retries", "many", "must be a whole number, not 'many'"),
    ("max_retries", "-1", "must be zero or more"),
    ("max_retries", "1.5", "must be a whole number, not '1.5'"),
    ("backoff_factor", "twice", "must be a number, not 'twice'"),
    ("backoff_factor", "-0.1", "must be zero or more"),
    ("backoff_factor", "nan", "must be zero or more"),
    ("page_size", "0", "must be more than zero"),
    ("page_size", "all", "must be a whole number, not 'all'"),
    ("timeout_seconds", "0", "must be more than zero"),
    ("clicks_order", "oldest_first", "must be unordered or newest_first"),
    ("clicks_lookback_days", "-3", "must be zero or more"),
    ("keep_clicks_days", "44", "must be 0, to keep all clicks, or a whole number from 45 to"),
    ("keep_clicks_days", "-1", "must be 0, to keep all clicks, or a whole number from 45 to"),
    ("keep_clicks_days", "36501", "must be 0, to keep all clicks, or a whole number from 45 to"),
    ("keep_clicks_days", "60.5", "must be a whole number, not '60.5'"),
    ("chunk_rows", "0", "must be more than zero"),
    ("chunk_megabytes", "0", "must be more than zero"),
    ("chunk_seconds", "-1", "must be more than zero"),
    ("personal_ip", "mask", "must be keep or hash or drop"),
    ("personal_password", "Keep", "must be keep or hash or drop"),
    ("personal_people", "no", "must be keep or hash or drop"),
]
BOUNDLESS_API = [
    (name, text, f"must be a number, not '{text}'")
    for name in ("backoff_factor", "timeout_seconds", "clicks_lookback_days", "chunk_seconds")
    for text in ("inf", "-Infinity", "1e999")
]


@pytest.mark.parametrize(("name", "text", "says"), UNUSABLE_API + BOUNDLESS_API)
def test_an_unusable_api_setting_is_named_as_its_environment_variable(
    configured: None, monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str
) -> None:
    monkeypatch.setenv(API + name.upper(), text)
    problem = problem_of(api_settings)
    assert f"{API}{name.upper()} {says}" in problem
    assert KEY not in problem
    assert name != "api_key" or text not in problem


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("domains", "1,two", "must be domain ids separated by commas"),
        ("domains", "01", "must be domain ids separated by commas"),
        ("domains", "1,007", "must be domain ids separated by commas"),
        ("domains", "1 2", "must be domain ids separated by commas"),
        ("domains", "1;2", "must be domain ids separated by commas"),
        ("domains", "1.0", "must be domain ids separated by commas"),
        ("domains", "+1", "must be domain ids separated by commas"),
        ("domains", "9223372036854775808", "must be domain ids separated by commas"),
        ("domains", "9" * 5000, "must be domain ids separated by commas"),
        ("domains", "\N{ARABIC-INDIC DIGIT ONE}", "must be domain ids separated by commas"),
        ("timezone", "Mars/Olympus", "must be a time zone such as Europe/Berlin, not 'Mars"),
        ("timezone", "Europe", "must be a time zone"),
        ("timezone", "../../etc/passwd", "must be a time zone"),
        ("timezone", "/etc/localtime", "must be a time zone"),
        ("timezone", "'UTC'", "must be a time zone"),
        ("timezone", "+02:00", "must be a time zone"),
        ("owner", "growth-data", "must be an email address or team:name"),
        ("owner", "team:", "must be an email address or team:name"),
        ("owner", "team: ", "must be an email address or team:name"),
        ("owner", "a@b", "must be an email address or team:name"),
        ("owner", "'a@example.com'", "must be an email address or team:name"),
        ("duckdb_memory", "0MB", "must be a size such as 512MB"),
        ("domains", "-1", "must be domain ids separated by commas"),
        ("domains_per_run", "0", "must be more than zero"),
        ("domains_at_once", "0", "must be more than zero"),
        ("domains_at_once", "few", "must be a whole number, not 'few'"),
        ("lock_timeout_seconds", "0", "must be more than zero"),
        ("links_fresh_hours", "0", "must be more than zero hours"),
        ("clicks_fresh_hours", "-1", "must be more than zero hours"),
        ("links_fresh_hours", "inf", "must be a number, not 'inf'"),
        ("lock_timeout_seconds", "inf", "must be a number, not 'inf'"),
        ("disappeared_share", "1.1", "must be a share from 0 to 1"),
        ("disappeared_share", "nan", "must be a share from 0 to 1"),
        ("volume_share", "-0.1", "must be a share from 0 to 1"),
        ("run_retries", "-1", "must be zero or more"),
    ],
)
def test_an_unusable_location_setting_is_named_as_its_environment_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str
) -> None:
    monkeypatch.setenv(LOCATION + name.upper(), text)
    assert f"{LOCATION}{name.upper()} {says}" in problem_of(location_settings)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", set()),
        (" , ", set()),
        ("7", {"7"}),
        ("1,2", {"1", "2"}),
        (" 1 , 2 ,", {"1", "2"}),
        ("[1, 2]", {"1", "2"}),
        ('["1", "2"]', {"1", "2"}),
        ('"1,2"', {"1", "2"}),
        ("1,1,2,1", {"1", "2"}),
        ("0\n,9223372036854775807\n", {"0", "9223372036854775807"}),
    ],
)
def test_the_allow_list_holds_domain_ids(
    monkeypatch: pytest.MonkeyPatch, text: str, allowed: set[str]
) -> None:
    monkeypatch.setenv(f"{LOCATION}DOMAINS", text)
    assert location_settings().allowed_domains == allowed


@pytest.mark.parametrize("group", ["IP", "PASSWORD", "PEOPLE"])
@pytest.mark.parametrize("salt", [None, ""])
def test_hashing_without_a_salt_names_the_setting(
    configured: None, monkeypatch: pytest.MonkeyPatch, group: str, salt: str | None
) -> None:
    monkeypatch.setenv(f"{API}PERSONAL_{group}", "hash")
    if salt is not None:
        monkeypatch.setenv(f"{API}HASH_SALT", salt)
    assert f"{API}HASH_SALT must be a secret of your own" in problem_of(api_settings)
    monkeypatch.setenv(f"{API}PERSONAL_{group}", "drop")
    assert api_settings().hash_salt == ""


def test_neither_the_key_nor_the_salt_shows_in_the_settings(
    configured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}HASH_SALT", "the-salt-nobody-may-see")
    settings = api_settings()
    assert (settings.api_key, settings.hash_salt) == (KEY, "the-salt-nobody-may-see")
    shown = f"{settings!r} {settings}"
    assert KEY not in shown
    assert "the-salt" not in shown


def test_a_newline_at_the_end_of_the_key_is_ignored(
    configured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}API_KEY", f"{KEY}\n")
    assert api_settings().api_key == KEY
