"""The domain partitions: found through the links, narrowed by the allow-list, never removed."""

from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from link_assets.defs.partitions import PARTITIONS_NAME, domain_id, known_domains, register_domains
from link_assets.defs.translator import CLICKS_KEY, LINKS_KEY
from link_assets.sandbox import Sandbox, World
from link_assets_tests.support import Location, failure_text, mostly_long, rows

NOT_DOMAIN_IDS = ["abc", "1a", "-1", "1.0", "", " 1", "01", "1\n", "\N{ARABIC-INDIC DIGIT ONE}"]


def registered(location: Location) -> list[str]:
    """The partitions, oldest first."""
    return list(location.instance.get_dynamic_partitions(PARTITIONS_NAME))


def new_domains(result: dg.ExecuteInProcessResult) -> object:
    """What the materialization of the links says of new domains."""
    _, materialized = result.asset_materializations_for_node("links")
    assert materialized.asset_key == LINKS_KEY
    return materialized.metadata["new_domains"].value


def test_materializing_links_registers_the_domains_that_are_new(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.world = World(domains=2, links_per_domain=2)
    first = location.links()
    assert (registered(location), new_domains(first)) == (["1", "2"], ["1", "2"])
    sandbox.world = World(domains=11, links_per_domain=1)
    second = location.links()
    later = [str(number) for number in range(3, 12)]
    assert (registered(location), new_domains(second)) == (["1", "2", *later], later)


def test_partitions_stay_when_their_links_vanish(location: Location, sandbox: Sandbox) -> None:
    sandbox.world = World(domains=2, links_per_domain=1)
    assert location.links().success
    rows("DELETE FROM {dataset}.links WHERE domain_id = 1")
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.links") == [(2,)]
    assert register_domains(location.instance) == []
    assert registered(location) == ["1", "2"]


def test_the_allow_list_narrows_what_is_registered_and_what_is_known(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.world = World(domains=3, links_per_domain=1)
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "1, 3,77")
    assert location.links().success
    assert registered(location) == ["1", "3"]
    assert rows("SELECT count(*) FROM {dataset}.links") == [(3,)]
    monkeypatch.setenv("LINK_ASSETS__DOMAINS", "3")
    assert known_domains(location.instance) == ["3"]
    assert registered(location) == ["1", "3"]
    monkeypatch.delenv("LINK_ASSETS__DOMAINS")
    assert register_domains(location.instance) == ["2"]
    assert known_domains(location.instance) == ["1", "3", "2"]


@pytest.mark.long
def test_registering_asks_the_instance_once_however_many_domains_there_are(
    location: Location, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.links = [{"id": f"link {number}", "DomainId": number} for number in range(3000)]
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, ["7", "2999"])
    storage, asked = type(location.instance.event_log_storage), Counter[str]()

    def count(name: str) -> None:
        method = getattr(storage, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            asked[name] += 1
            return method(*arguments, **named)

        monkeypatch.setattr(storage, name, counted)

    for name in ("get_dynamic_partitions", "has_dynamic_partition", "add_dynamic_partitions"):
        count(name)
    assert location.links().success
    assert asked == {"get_dynamic_partitions": 1, "add_dynamic_partitions": 1}
    assert len(registered(location)) == 3000


@pytest.mark.long
def test_links_without_a_usable_domain_register_none(location: Location, sandbox: Sandbox) -> None:
    ids = [None, -4, 0, 9223372036854775807]
    sandbox.links = [{"id": f"link {number}", "DomainId": number} for number in ids]
    assert location.links().success
    assert rows("SELECT count(*) FROM {dataset}.links") == [(4,)]
    assert registered(location) == ["0", "9223372036854775807"]
    assert [domain_id(key) for key in registered(location)] == [0, 9223372036854775807]


@pytest.mark.parametrize("key", [*NOT_DOMAIN_IDS, "9223372036854775808", "9" * 5000])
def test_a_key_that_is_no_domain_id_is_refused_with_what_to_do(key: str) -> None:
    with pytest.raises(dg.Failure) as refusal:
        domain_id(key)
    told = refusal.value.description or ""
    assert told.startswith(f"The partition key {key!r} is not a domain id")
    assert "Delete it from the dynamic partitions 'domain'" in told
    assert refusal.value.allow_retries is False


@pytest.mark.parametrize("key", mostly_long(["abc", "-1", ""], 1))
def test_a_key_that_is_no_domain_id_is_refused_before_anything_is_fetched(
    key: str, location: Location, sandbox: Sandbox, workdir: Path
) -> None:
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, [key])
    result = location.clicks(key)
    assert not result.success
    # Dagster itself refuses to run for a partition without a name
    expected = f"{key!r} is not a domain id" if key else "non-partitioned run"
    assert expected in failure_text(result)
    assert sandbox.requests == []
    assert not list(workdir.glob("*.duckdb"))


@pytest.mark.parametrize(
    "keys", mostly_long([["1", "abc", "2"], ["abc", "1", "2"], ["1", "2", "007"]], 1)
)
def test_a_key_that_is_no_domain_id_fails_without_the_other_domains_of_its_run(
    keys: list[str], location: Location, sandbox: Sandbox
) -> None:
    location.instance.add_dynamic_partitions(PARTITIONS_NAME, keys)
    result = location.clicks(keys[0], keys[-1])
    (bad,) = set(keys) - {"1", "2"}
    assert not result.success
    assert failure_text(result).startswith("1 of 3 domains failed; the others are loaded.")
    assert f"The partition key {bad!r} is not a domain id" in failure_text(result)
    assert location.instance.get_materialized_partitions(CLICKS_KEY) == {"1", "2"}
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.clicks ORDER BY 1") == [(1,), (2,)]
