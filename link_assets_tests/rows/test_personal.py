"""Personal data is kept, hashed or dropped before anything is written, rejected rows included."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from link_assets.contract import CLICKS, LINKS
from link_assets.defs.failures import find_cause
from link_assets.defs.partitions import PARTITIONS_NAME
from link_assets.rows.personal import PersonalData
from link_assets.sandbox import Sandbox
from link_assets.settings import SettingsError
from link_assets.source.resume import ClicksRead
from link_assets_tests.source.test_rest import (
    click,
    count,
    link,
    load_chunk,
    load_clicks,
    load_links,
    only_row,
    pages,
)
from link_assets_tests.support import Location, failure_text, mostly_long, rows
from link_assets_tests.traces import Traces, events
from link_assets_tests.truth import CLICK_COLUMNS, loaded_clicks_with_keys

API = "SOURCES__LINK_ASSETS__"
SALT = "a-salt-of-our-own"
IP, PASSWORD = "203.0.113.77", "pa55-4e1d"
OWNER = {"name": "Ada-4e1d", "email": "ada-4e1d@x.example", "photoURL": "https://x.example/4e1d"}
USER = {**OWNER, "email": "user-4e1d@x.example"}
TREATMENTS = mostly_long(["hash", "drop", "keep"], 1)
CLICKS_IP = ["domain_id", "click_id", *CLICK_COLUMNS].index("ip")
CHANGED = "PERSONAL_IP or its HASH_SALT has changed"

pytestmark = pytest.mark.usefixtures("api")


@pytest.fixture(autouse=True)
def salted(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes can be made; nothing is treated yet."""
    monkeypatch.setenv(f"{API}HASH_SALT", SALT)


def treat(patch: pytest.MonkeyPatch, treatment: str, *groups: str) -> None:
    """Treats groups of personal data so from here on, all of them unless some are named."""
    for group in groups or ("IP", "PASSWORD", "PEOPLE"):
        patch.setenv(f"{API}PERSONAL_{group}", treatment)


def hashed(value: Any, salt: str = SALT) -> str:
    """What a value must become, worked out without the loader."""
    key = blake2b(salt.encode()).digest()
    return blake2b(
        json.dumps(value, separators=(",", ":")).encode(), key=key, digest_size=16
    ).hexdigest()


def treated(value: Any, treatment: str) -> Any:
    return {"keep": value, "hash": hashed(value), "drop": None}[treatment]


def rejected() -> list[dict[str, Any]]:
    """The rejected rows as they are kept."""
    return [json.loads(text) for (text,) in rows("SELECT payload FROM {dataset}.rejected_rows")]


def ips() -> list[Any]:
    return [ip for (ip,) in rows("SELECT ip FROM {dataset}.clicks ORDER BY path, ip")]


def people() -> dict[str, Any]:
    """A link's owner and user with ids of their own."""
    return {"Owner": {"id": 7, **OWNER}, "User": {"id": 8, **USER}}


# Tables and rejected rows


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_addresses_of_visitors_are_treated(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "IP")
    sandbox.clicks = {1: [click(ip=IP), click(ip=IP, st="odd"), {"ip": IP}]}
    sandbox.links = [link(password=PASSWORD, **people())]
    load_clicks()
    load_links()
    assert ips() == [treated(IP, treatment)]
    assert [row["ip"] for row in rejected()] == [treated(IP, treatment)] * 2
    assert only_row("links")["password"] == PASSWORD
    assert only_row("links")["user__email"] == USER["email"]


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_passwords_are_treated(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "PASSWORD")
    good = link(password=PASSWORD, hasPassword=True, **people())
    sandbox.links, sandbox.clicks = [good, {**good, "archived": "perhaps"}], {1: [click(ip=IP)]}
    load_links()
    load_clicks()
    row = only_row("links")
    assert (row["password"], row["has_password"]) == (treated(PASSWORD, treatment), True)
    assert [row["password"] for row in rejected()] == [treated(PASSWORD, treatment)]
    assert (row["owner__name"], ips()) == (OWNER["name"], [IP])


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_people_are_treated_but_not_their_ids(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "PEOPLE")
    good = link(password=PASSWORD, OwnerId=7, **people())
    sandbox.links = [good, {**good, "DomainId": "odd"}]
    load_links()
    row, (kept,) = only_row("links"), rejected()
    for who, person in (("Owner", {"id": 7, **OWNER}), ("User", {"id": 8, **USER})):
        expected = {k: v if k == "id" else treated(v, treatment) for k, v in person.items()}
        columns = [f"{who.lower()}__{name}" for name in ("id", "name", "email", "photo_url")]
        assert [row[column] for column in columns] == list(expected.values())
        assert kept[who] == expected
    assert (row["owner_id"], row["password"]) == (7, PASSWORD)


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize("person", mostly_long(["Ada-4e1d", ["Ada-4e1d"], 4711, True], 1))
def test_a_person_that_is_not_an_object_is_treated_as_a_whole(
    treatment: str, person: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "PEOPLE")
    sandbox.links = [link(Owner=person)]
    load_links()
    if treatment == "drop":
        assert (rejected(), only_row("links")["owner__name"]) == ([], None)
        return
    ((reason,),) = rows("SELECT reason FROM {dataset}.rejected_rows")
    assert reason.startswith("Owner: is ")
    (found,) = [row["Owner"] for row in rejected()]
    if treatment == "keep":
        assert found == person
    else:
        assert re.fullmatch("[0-9a-f]{32}", found)


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize("value", mostly_long([{"v4": IP}, [IP], 42, ""], 1))
def test_personal_values_of_an_unexpected_type_are_treated_too(
    treatment: str, value: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment)
    sandbox.clicks = {1: [click(ip=value, st="odd")]}
    sandbox.links = [link(password=value, Owner={"name": value}, archived="perhaps")]
    load_clicks()
    load_links()
    expected = treated(value, treatment)
    found = [row.get("ip", row.get("password")) for row in rejected()]
    assert found == [expected, expected]
    assert [row["Owner"] for row in rejected() if "Owner" in row] == [{"name": expected}]


def test_null_stays_null_and_a_missing_field_stays_missing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, "hash")
    sandbox.clicks = {1: [click(ip=None), {"st": "odd"}]}
    sandbox.links = [link(password=None, Owner=None, User={"id": 8, "name": None})]
    load_clicks()
    load_links()
    assert (ips(), rejected()) == ([None], [{"st": "odd"}])
    row = only_row("links")
    names = ("password", "owner__id", "owner__name", "user__name", "user__email")
    assert [row[name] for name in names] == [None] * 5


@pytest.mark.long
def test_a_hash_is_the_same_in_every_run_domain_and_table_field(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, "hash")
    sandbox.clicks = {d: [click(ip=IP), click(path="/y", ip="203.0.113.78")] for d in (1, 2)}
    sandbox.links = [link(password=IP, Owner={"name": IP}, User={"email": IP})]
    for _ in range(2):
        load_links()
        load_clicks(1)
        load_clicks(2)
    assert set(ips()) == {hashed(IP), hashed("203.0.113.78")}
    assert count("clicks") == 4
    row = only_row("links")
    names = ("password", "owner__name", "user__email")
    assert {row[name] for name in names} == {hashed(IP)}


def test_different_salts_make_different_hashes() -> None:
    rows_of = [{"ip": f"203.0.113.{number}"} for number in range(50)]
    found: list[str] = []
    for salt in ("one", "another", "one "):
        treatments: Any = {"ip": "hash", "password": "keep", "people": "keep"}
        treated_rows = PersonalData(treatments, salt).treat(rows_of, CLICKS)
        found += [row["ip"] for row in treated_rows]
    assert len(set(found)) == 150


def test_treating_leaves_the_given_rows_as_they_were() -> None:
    given = {"password": PASSWORD, "Owner": {"name": "Ada"}, "id": "a"}
    before = json.dumps(given)
    treatments: Any = {"ip": "drop", "password": "drop", "people": "drop"}
    (row,) = PersonalData(treatments).treat([given], LINKS)
    assert row == {"password": None, "Owner": {"name": None}, "id": "a"}
    assert json.dumps(given) == before


@pytest.mark.parametrize("group", ["IP", "PASSWORD", "PEOPLE"])
def test_hashing_without_a_salt_fails_the_run_before_its_first_request(
    group: str, location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, "hash", group)
    monkeypatch.delenv(f"{API}HASH_SALT")
    result = location.links()
    assert not result.success
    assert f"{API}HASH_SALT must be a secret of your own" in failure_text(result)
    assert sandbox.requests == []


# Files and logs


def full_of_people(sandbox: Sandbox) -> None:
    """Rows of every kind with personal data: readable and not, whole and torn."""
    good = link(password=PASSWORD, **people())
    sandbox.links = [
        good,
        {**good, "id": "b", "archived": "perhaps"},
        {**good, "id": "c", "Owner": OWNER["name"], "User": [USER]},
        {**good, "id": "d", "password": {"is": PASSWORD}},
    ]
    odd = [click(ip=IP, st="odd"), {"ip": IP}, click(ip=[IP], path="/list")]
    sandbox.clicks = {1: [click(ip=IP), *odd]}


def load_people(location: Location, sandbox: Sandbox, traces: Traces) -> None:
    """Loads such rows and keeps what the runs say."""
    full_of_people(sandbox)
    for result in (location.links(), location.clicks("1")):
        assert result.success
        traces.said += events(location, result)


CLEAR = [IP, PASSWORD, *OWNER.values(), USER["email"]]


@pytest.mark.parametrize("treatment", mostly_long(["hash", "drop"], 1))
def test_treated_values_are_in_no_file_and_no_log_of_a_run(
    treatment: str,
    location: Location,
    sandbox: Sandbox,
    traces: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    treat(monkeypatch, treatment)
    load_people(location, sandbox, traces)
    assert count("rejected_rows") >= 2
    for marker in CLEAR:
        assert traces.with_(marker) == set(), marker
    assert treatment == "drop" or {"tables", "parquet"} <= traces.with_(hashed(IP))


@pytest.mark.long
def test_kept_values_are_in_the_warehouse_and_the_load_package_but_in_no_log(
    location: Location, sandbox: Sandbox, traces: Traces
) -> None:
    load_people(location, sandbox, traces)
    for marker in CLEAR:
        found = traces.with_(marker)
        assert {"tables", "parquet"} <= found, marker
        assert not {"log", "db"} & found, marker


@pytest.mark.long
def test_kept_values_are_in_no_log_of_a_load_that_the_database_refuses(
    location: Location, sandbox: Sandbox, traces: Traces
) -> None:
    load_clicks(2)
    rows("ALTER TABLE {dataset}.clicks ALTER ip TYPE BIGINT USING NULL")
    full_of_people(sandbox)
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, ["1"])
    result = location.clicks("1")
    assert not result.success
    assert "Could not convert" in failure_text(result)
    traces.said += [*events(location, result), failure_text(result)]
    assert not {"log", "db"} & traces.with_(IP)


@pytest.mark.long
@pytest.mark.parametrize("treatment", mostly_long(["hash", "keep"], 1))
def test_the_salt_is_in_no_file_and_no_log_of_a_run(
    treatment: str,
    location: Location,
    sandbox: Sandbox,
    traces: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    treat(monkeypatch, treatment)
    load_people(location, sandbox, traces)
    assert traces.with_(SALT) == set()


# Identity of clicks


def visits(*ages: float) -> list[dict[str, Any]]:
    """Two clicks that differ in nothing but the address at each of these ages, newest first."""
    now = datetime(2026, 2, 20, tzinfo=UTC)
    times = [(now - timedelta(days=age)).isoformat() for age in ages]
    return [click(dt=dt, ip=f"203.0.113.{visitor}") for dt in times for visitor in (1, 2)]


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_clicks_that_differ_only_in_the_address_stay_separate_when_loaded_again(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "IP")
    sandbox.clicks = {1: visits(1, 2)}
    load_clicks()
    once = loaded_clicks_with_keys()
    assert len(once) == 4
    load_clicks()
    assert loaded_clicks_with_keys() == once


@pytest.mark.parametrize("treatment", mostly_long(["hash", "drop"], 1))
def test_treated_clicks_are_loaded_in_chunks_and_incrementally(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat(monkeypatch, treatment, "IP")
    settings: dict[str, Any] = {"clicks_order": "newest_first", "clicks_lookback_days": 0}
    sandbox.page_size, sandbox.clicks = 2, {1: visits(1, 2, 3)}
    load_chunk(ClicksRead(), chunk_rows=2, **settings)
    assert load_clicks(chunk_rows=2, **settings).stats.resumed_from == 2
    assert (pages(sandbox), count("clicks")) == ([1, 2, 3], 6)
    sandbox.reset_log()
    sandbox.clicks = {1: visits(0, 1, 2, 3)}
    load_clicks(**settings)
    assert (pages(sandbox), count("clicks")) == ([1, 2, 3], 8)
    assert rows("SELECT count(DISTINCT click_id) FROM {dataset}.clicks") == [(8,)]


CHANGES = [
    (("keep", SALT), ("hash", SALT)),
    (("hash", SALT), ("keep", SALT)),
    (("keep", SALT), ("drop", SALT)),
    (("drop", SALT), ("hash", SALT)),
    (("hash", SALT), ("hash", "another")),
]


def set_ip(patch: pytest.MonkeyPatch, treatment: str, salt: str) -> None:
    treat(patch, treatment, "IP")
    patch.setenv(f"{API}HASH_SALT", salt)


@pytest.mark.long
@pytest.mark.parametrize("change", mostly_long(CHANGES, 1))
def test_a_changed_treatment_of_addresses_is_refused_until_the_domain_is_loaded_again(
    change: tuple[tuple[str, str], tuple[str, str]],
    location: Location,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, after = change
    set_ip(monkeypatch, *before)
    sandbox.clicks = {1: [click(ip=IP)], 2: [click(ip=IP)]}
    load_clicks(1)
    load_clicks(2)
    loaded = loaded_clicks_with_keys()
    set_ip(monkeypatch, *after)
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, ["1", "2"])
    sandbox.reset_log()
    refused = location.clicks("1")
    assert not refused.success
    text = failure_text(refused)
    assert f"{API}{CHANGED}" in text
    assert "Delete this domain's rows from link_assets.clicks and run it with full_refresh" in text
    assert (sandbox.requests, loaded_clicks_with_keys()) == ([], loaded)
    assert not location.clicks("1", full_refresh=True).success
    assert loaded_clicks_with_keys() == loaded
    rows("DELETE FROM {dataset}.clicks WHERE domain_id = 1")
    assert location.clicks("1", full_refresh=True).success
    assert location.clicks("1").success
    found = rows("SELECT domain_id, ip FROM {dataset}.clicks ORDER BY 1")
    values = {"keep": IP, "hash": hashed(IP, after[1]), "drop": None}
    assert found == [(1, values[after[0]]), (2, loaded[1][CLICKS_IP])]
    assert not location.clicks("2").success


def test_loads_continue_when_the_treatment_is_set_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clicks = {1: [click(ip=IP)]}
    treat(monkeypatch, "hash", "IP")
    load_clicks()
    once = loaded_clicks_with_keys()
    treat(monkeypatch, "drop", "IP")
    with pytest.raises(PipelineStepFailed) as failure:
        load_clicks()
    assert CHANGED in str(find_cause(failure.value, SettingsError))
    treat(monkeypatch, "hash", "IP")
    load_clicks()
    assert loaded_clicks_with_keys() == once


def test_an_unfinished_load_is_not_resumed_under_another_treatment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_chunk(ClicksRead(), chunk_rows=15)
    treat(monkeypatch, "hash", "IP")
    with pytest.raises(PipelineStepFailed) as failure:
        load_clicks()
    assert CHANGED in str(find_cause(failure.value, SettingsError))
    assert count("clicks") == 15


@pytest.mark.long
def test_the_treatment_of_links_and_an_unused_salt_may_change_at_any_time(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clicks, sandbox.links = {1: [click(ip=IP)]}, [link(password=PASSWORD, **people())]
    for treatment, salt in (("keep", "one"), ("hash", "two"), ("drop", "three")):
        treat(monkeypatch, treatment, "PASSWORD", "PEOPLE")
        monkeypatch.setenv(f"{API}HASH_SALT", salt)
        load_links()
        load_clicks()
    row = only_row("links")
    assert (row["password"], row["owner__name"], ips()) == (None, None, [IP])
