"""Where people read a domain's id they read its host, and nothing fails for want of one."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from link_assets.defs.domain_names import WITHOUT_HOSTS, domain_names, names_in
from link_assets.sandbox import Fault, Sandbox, World
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import reading
from link_assets_tests.defs.loads import register, said
from link_assets_tests.support import Location, failure_text

HOSTS = "link_assets/hosts"


def tags(location: Location, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The tags of a run as Dagster shows them now."""
    run = location.instance.get_run_by_id(result.run_id)
    assert run is not None
    return dict(run.tags)


def change(statement: str) -> None:
    """Runs a statement on the warehouse."""
    with (
        open_pipeline("links") as pipeline,
        exclusive_access("a test"),
        pipeline.sql_client() as client,
    ):
        client.execute_sql(statement)


@pytest.mark.long
def test_a_run_of_clicks_shows_the_host_of_each_of_its_domains(location: Location) -> None:
    assert location.links().success
    result = location.clicks("1", "2")
    assert result.success
    assert [location.click_metadata(d)["host"] for d in "12"] == [
        "go1.example.com",
        "go2.example.com",
    ]
    assert "clicks of domain 2 (go2.example.com): 40 rows in 3 pages" in said(location, result)
    assert tags(location, result)[HOSTS] == "go1.example.com, go2.example.com"


@pytest.mark.long
def test_the_tag_of_a_run_of_many_domains_names_ten_hosts_and_how_many_more(
    location: Location, sandbox: Sandbox
) -> None:
    sandbox.world = World(domains=12, links_per_domain=1, clicks_per_domain=1)
    assert location.links().success
    shown = tags(location, location.clicks("1", "12"))[HOSTS]
    assert shown.startswith("go1.example.com, go2.example.com, ")
    assert shown.endswith("go10.example.com, and 2 more")


def test_clicks_of_domains_without_a_known_host_are_shown_by_id(location: Location) -> None:
    register(location, 1)
    result = location.clicks("1")
    assert result.success
    assert "host" not in location.click_metadata("1")
    assert HOSTS not in tags(location, result)
    assert "clicks of domain 1: 40 rows" in said(location, result)


@pytest.mark.long
def test_a_run_and_its_checks_succeed_though_hosts_cannot_be_read(location: Location) -> None:
    assert location.links().success
    change("ALTER TABLE link_assets.domains RENAME COLUMN hostname TO elsewhere")
    assert domain_names() == WITHOUT_HOSTS
    result = location.clicks("1", "3")
    assert result.success
    assert "clicks of domain 1: 40 rows" in said(location, result)
    (fresh,) = [
        e
        for e in result.get_asset_check_evaluations()
        if (e.asset_key.path[-1], e.check_name) == ("clicks", "fresh")
    ]
    assert fresh.passed


@pytest.mark.long
def test_reasons_of_several_failed_domains_name_their_hosts(
    location: Location, sandbox: Sandbox
) -> None:
    assert location.links().success
    sandbox.faults = [
        Fault(path=f"/v1/domain/{domain}", page=page, status=403, times=None)
        for domain, page in ((1, 1), (3, 2))
    ]
    told = failure_text(location.clicks("1", "3"))
    assert "clicks of domain 1 (go1.example.com), page 1: the API answered 403" in told
    assert "clicks of domain 3 (go3.example.com), page 2: the API answered 403" in told


def test_new_domains_are_shown_with_their_hosts_and_the_domains_are_counted(
    location: Location,
) -> None:
    def shown(result: dg.ExecuteInProcessResult) -> list[object]:
        assert result.success
        domains, links = result.asset_materializations_for_node("links")
        assert links.metadata["new_hosts"] == domains.metadata["new_hosts"]
        names = ("new_hosts", "rows_new", "rows_total", "dagster/row_count")
        return [domains.metadata[name].value for name in names]

    hosts = ["1 (go1.example.com)", "2 (go2.example.com)", "3 (go3.example.com)"]
    assert shown(location.links()) == [hosts, 3, 3, 3]
    assert shown(location.links()) == [[], 0, 3, 3]


@pytest.mark.long
def test_a_host_is_shown_in_one_short_line_whatever_it_holds(location: Location) -> None:
    assert location.links().success
    change("UPDATE link_assets.domains SET hostname = 'a' || chr(10) || 'b' WHERE id = 1")
    change("UPDATE link_assets.domains SET unicode_hostname = '' WHERE id = 1")
    change("UPDATE link_assets.domains SET hostname = repeat('a', 300) WHERE id = 2")
    change("UPDATE link_assets.domains SET unicode_hostname = 'café.example' WHERE id = 3")
    names = domain_names()
    assert [names.of(1), names.of("3"), names.of(4)] == ["1 (a b)", "3 (café.example)", "4"]
    assert len(names.host(2) or "") < 100
    with reading() as reader:
        assert names_in(reader) == names


@pytest.mark.long
def test_hosts_are_done_without_while_the_warehouse_is_in_use(location: Location) -> None:
    assert location.links().success
    with exclusive_access("a test"):
        assert domain_names(at_most=0) == WITHOUT_HOSTS
    assert domain_names(at_most=0) == domain_names() != WITHOUT_HOSTS


def test_looking_for_hosts_makes_no_warehouse(workdir: Path) -> None:
    assert domain_names() == WITHOUT_HOSTS
    assert list(workdir.iterdir()) == []
