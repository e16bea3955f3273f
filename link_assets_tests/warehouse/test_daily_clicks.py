"""The table `daily_clicks`: what it holds, and which days are computed again, in each warehouse."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from link_assets.contract import DAILY_CLICKS
from link_assets.sandbox import Sandbox, World
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import NoClicks
from link_assets.warehouse.old_clicks import OldClicks
from link_assets.warehouse.reader import Reader, reading
from link_assets_tests.children import WAIT, child, finish
from link_assets_tests.support import rows
from link_assets_tests.truth import expected_days, loaded_days, world_clicks
from link_assets_tests.warehouse import test_link_join as joins
from link_assets_tests.warehouse.helpers import load_clicks, load_links, wait_until

FIXTURES = (port, server, warehouse) = joins.port, joins.server, joins.warehouse
"""For pytest to find here: one kind of warehouse after the other, empty."""
WORLD = World(domains=3, links_per_domain=5, clicks_per_domain=60)
TOTALS = "SELECT sum(clicks), count(*) FROM {dataset}.daily_clicks WHERE domain_id = 1"


def written() -> dict[date, set[str]]:
    """The loads that wrote the rows of each day of domain 1."""
    found = rows("SELECT day, _dlt_load_id FROM {dataset}.daily_clicks WHERE domain_id = 1")
    return {day: {load for d, load in found if d == day} for day, _ in found}


def load(sandbox: Sandbox, *clicks: dict[str, Any], links: Iterable[dict[str, Any]] = ()) -> None:
    """Loads these clicks of domain 1, beside those that are there, and the links."""
    sandbox.clicks, sandbox.links = {1: list(clicks)}, list(links)
    load_links()
    load_clicks(1)


def click(day: int, path: str = "/promo", **more: Any) -> dict[str, Any]:
    return joins.click(path) | {"dt": f"2026-03-{day:02}T12:00:00Z", "human": True, **more}


def counts(*columns: str) -> dict[tuple[int, str | None], Any]:
    """Columns of domain 1's rows by day of the month and link."""
    names = ", ".join(columns)
    found = rows(f"SELECT day, link_id, {names} FROM {{dataset}}.daily_clicks WHERE domain_id = 1")
    return {(day.day, link): more[0] if len(more) == 1 else more for day, link, *more in found}


def test_the_table_holds_what_the_clicks_of_each_day_and_link_come_to(sandbox: Sandbox) -> None:
    sandbox.world = WORLD
    load_links()
    for domain in WORLD.domain_ids():
        load_clicks(domain)
    done = compute_days(WORLD.domain_ids())
    expected = expected_days({d: world_clicks(WORLD, d) for d in (1, 2, 3)}, WORLD.links())
    assert loaded_days() == expected
    assert [done[d].clicks for d in (1, 2, 3)] == [60, 60, 60]
    assert {c.table for c in done.values()} == {len(expected)}
    assert done[1].days == len({row[1] for row in expected if row[0] == 1})
    assert done[1].last_click == max(row[8] for row in expected if row[0] == 1)


def test_the_query_that_the_document_shows_runs(sandbox: Sandbox) -> None:
    load(sandbox, links=[joins.link(1, "promo", shortURL="http://a.example/promo")])
    section = joins.DOCUMENT.read_text().partition("\n## Daily clicks\n")[2]
    (sql,) = re.findall(r"```sql\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    compute_days([1])
    assert rows(sql) == []
    now = datetime.now(UTC).isoformat()
    clicks = [click(1, ua=ua, human=ua == "a") | {"dt": now} for ua in "ab"]
    load(sandbox, *clicks, links=sandbox.links or ())
    compute_days([1])
    assert rows(sql) == [("http://a.example/promo", 1, 2)]


def test_only_the_domains_that_are_asked_for_are_computed(sandbox: Sandbox) -> None:
    sandbox.world = WORLD
    for domain in (1, 2):
        load_clicks(domain)
    assert set(compute_days([1])) == {1}
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.daily_clicks") == [(1,)]
    assert compute_days([1, 2, 5])[5].clicks == 0


def test_the_columns_are_those_of_the_contract(sandbox: Sandbox) -> None:
    load(sandbox, click(1))
    compute_days([1])
    found = rows(
        "SELECT column_name, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'daily_clicks' ORDER BY ordinal_position"
    )
    declared = [(f.column, "YES" if f.nullable else "NO") for f in DAILY_CLICKS.columns]
    assert found == [*declared, ("_dlt_load_id", "NO")]
    assert rows(
        "SELECT DISTINCT load_id FROM {dataset}._dlt_loads WHERE schema_name LIKE '%day%'"
        " OR schema_name LIKE '%daily%'"
    ) == rows("SELECT DISTINCT _dlt_load_id FROM {dataset}.daily_clicks")


def test_clicks_of_days_that_are_not_kept_are_deleted_and_their_days_stay(
    sandbox: Sandbox,
) -> None:
    midnight = click(2, ua="first") | {"dt": "2026-03-02T00:00:00Z"}
    last = click(1, ua="last") | {"dt": "2026-03-01T23:59:59.999Z"}
    load(sandbox, click(1), last, midnight, click(3))
    old = OldClicks([1], date(2026, 3, 2))
    done = compute_days([1], old)[1]
    assert (done.days, done.clicks, done.deleted) == (3, 4, 2)
    assert counts("clicks", "clicks_deleted") == {
        (1, None): [2, True],
        (2, None): [1, False],
        (3, None): [1, False],
    }
    left = rows("SELECT ua FROM {dataset}.clicks WHERE dt < '2026-03-03 00:00:00+00'")
    assert left == [("first",)]
    # one that comes late for a day that is kept, and one for a day that is not
    load(sandbox, click(1, ua="late"), click(2, ua="late"), links=sandbox.links or ())
    done = compute_days([1], old)[1]
    assert (done.days, done.clicks, done.deleted) == (1, 5, 1)
    assert counts("clicks") == {(1, None): 2, (2, None): 2, (3, None): 1}
    assert compute_days([1], old)[1].deleted == 0


def test_old_clicks_of_other_domains_stay(sandbox: Sandbox) -> None:
    sandbox.clicks = {domain: [click(1)] for domain in (1, 2)}
    for domain in (1, 2):
        load_clicks(domain)
    done = compute_days([1, 2], OldClicks([1], date(2026, 3, 2)))
    assert [done[domain].deleted for domain in (1, 2)] == [1, 0]
    assert rows("SELECT domain_id FROM {dataset}.clicks") == [(2,)]


@pytest.mark.long
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_day_is_that_of_utc_in_any_time_zone(
    zone: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("DUCKDB", "POSTGRES"):
        monkeypatch.setenv(f"DESTINATION__{kind}__CREDENTIALS__SESSION_TIMEZONE", zone)
    times = ["2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999999Z", "2026-03-02T01:00:00+02:00"]
    load(sandbox, *(click(1, ua=str(i)) | {"dt": time} for i, time in enumerate(times)))
    assert rows("SELECT current_setting('TimeZone')") == [(zone,)]
    assert compute_days([1])[1].days == 1
    assert counts("clicks") == {(1, None): 3}
    assert compute_days([1])[1].days == 0


def test_special_paths_are_those_of_the_link_that_the_join_gives(sandbox: Sandbox) -> None:
    links = [joins.link(1, path) for path in ("promo", "café", "*", "/")]
    paths = ["/promo", "/PROMO/?utm=x", "/caf%C3%A9", "/café", "/", "/*", "/unknown"]
    clicks = [click(1, path, ua=path) for path in paths]
    load(sandbox, *clicks, click(1, "/promo", st=404), links=links)
    compute_days([1])
    assert counts("clicks") == {(1, "1 promo"): 2, (1, "1 café"): 2, (1, None): 4}
    assert counts("link_path") == {
        (1, "1 promo"): "promo",
        (1, "1 café"): "caf%c3%a9",
        (1, None): None,
    }


def test_of_countries_and_referrers_with_as_many_clicks_the_first_by_name_is_the_top(
    sandbox: Sandbox,
) -> None:
    countries = ["se", "DE", "de", "SE", None, None, None, ""]
    clicks = [
        click(1, ua=str(i), country=country, refhost=None if i else "b.example")
        for i, country in enumerate(countries)
    ]
    load(sandbox, *clicks, click(2))
    compute_days([1])
    found = counts("top_country", "top_referrer")
    assert found == {(1, None): ["DE", "b.example"], (2, None): [None, None]}


@pytest.mark.long
@pytest.mark.parametrize("treatment", ["hash", "drop"])
def test_visitors_are_counted_without_their_addresses(
    treatment: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__PERSONAL_IP", treatment)
    monkeypatch.setenv("SOURCES__LINK_ASSETS__HASH_SALT", "a salt")
    pairs = [("1.1.1.1", "a"), ("1.1.1.1", "b"), ("2.2.2.2", "a"), ("1.1.1.1", "a"), (None, None)]
    clicks = [click(1, ip=ip, ua=ua, url=f"{i}") for i, (ip, ua) in enumerate(pairs)]
    load(sandbox, *clicks)
    compute_days([1])
    assert counts("visitors") == {(1, None): {"hash": 4, "drop": 3}[treatment]}


def changed_days(before: dict[date, set[str]]) -> set[int]:
    """The days of the month that were written since, each by one load; the others are untouched."""
    now = written()
    changed = {day for day in now | before if now.get(day) != before.get(day)}
    assert all(len(now[day]) == 1 for day in changed & now.keys())
    return {day.day for day in changed}


def load_more(sandbox: Sandbox, *clicks: dict[str, Any]) -> dict[date, set[str]]:
    """Loads clicks beside three days that are computed; returns what was written before."""
    known = [joins.link(1, "promo")]
    load(sandbox, *(click(day) for day in (1, 2, 3)), links=known)
    compute_days([1])
    before = written()
    assert compute_days([1])[1].days == 0
    assert written() == before
    load(sandbox, *clicks, links=known)
    return before


@pytest.mark.long
def test_a_new_click_has_its_day_computed_and_no_other(sandbox: Sandbox) -> None:
    before = load_more(sandbox, click(4))
    assert compute_days([1])[1].days == 1
    assert changed_days(before) == {4}


def test_a_late_click_has_its_day_computed_again_and_no_other(sandbox: Sandbox) -> None:
    before = load_more(sandbox, click(2, ua="late"))
    assert compute_days([1])[1].days == 1
    assert changed_days(before) == {2}
    assert counts("clicks") == {(day, "1 promo"): 1 + (day == 2) for day in (1, 2, 3)}


@pytest.mark.long
def test_a_revised_click_has_its_day_computed_again_and_no_other(sandbox: Sandbox) -> None:
    before = load_more(sandbox, click(3, human=False))
    assert compute_days([1])[1].days == 1
    assert changed_days(before) == {3}
    assert counts("clicks_by_people") == {(1, "1 promo"): 1, (2, "1 promo"): 1, (3, "1 promo"): 0}


def test_clicks_go_with_links_that_appear_move_swap_and_are_deleted(sandbox: Sandbox) -> None:
    load(sandbox, click(1, "/a"), click(1, "/b"), click(2, "/c"))
    compute_days([1])
    before = written()
    assert counts("clicks") == {(1, None): 2, (2, None): 1}
    load_links_of(sandbox, x="a", y="b")
    assert compute_days([1])[1].days == 1
    assert changed_days(before) == {1}
    assert counts("link_path") == {(1, "x"): "a", (1, "y"): "b", (2, None): None}
    load_links_of(sandbox, x="b", y="a")
    compute_days([1])
    assert counts("link_path") == {(1, "x"): "b", (1, "y"): "a", (2, None): None}
    load_links_of(sandbox, x="elsewhere", y="c")
    assert compute_days([1])[1].days == 2
    assert counts("clicks") == {(1, None): 2, (2, "y"): 1}


def load_links_of(sandbox: Sandbox, **paths: str) -> None:
    sandbox.links = [joins.link(1, path, name) for name, path in paths.items()]
    load_links()


def test_rows_that_were_changed_or_deleted_by_hand_are_put_right(sandbox: Sandbox) -> None:
    load(sandbox, *(click(day) for day in range(1, 6)))
    compute_days([1])
    right = loaded_days()
    columns = ", ".join(f.column for f in DAILY_CLICKS.columns)
    for spoil in (
        "DELETE FROM {dataset}.daily_clicks WHERE day = '2026-03-01'",
        "UPDATE {dataset}.daily_clicks SET clicks = 7 WHERE day = '2026-03-02'",
        f"INSERT INTO {{dataset}}.daily_clicks ({columns}, _dlt_load_id)"
        f" SELECT {columns}, '0' FROM {{dataset}}.daily_clicks WHERE day = '2026-03-03'",
    ):
        rows(spoil)
        assert loaded_days() != right
        assert compute_days([1])[1].days == 1
        assert loaded_days() == right
    rows("DELETE FROM {dataset}.clicks WHERE dt < '2026-03-02'")
    compute_days([1])
    assert loaded_days() == right[1:]


@pytest.mark.long
def test_clicks_are_counted_before_links_and_domains_are_loaded(sandbox: Sandbox) -> None:
    sandbox.clicks = {1: [click(1)]}
    load_clicks(1)
    compute_days([1])
    assert counts("clicks") == {(1, None): 1}
    load(sandbox, click(1), links=[joins.link(1, "promo")])
    compute_days([1])
    assert counts("clicks") == {(1, "1 promo"): 1}


def test_without_clicks_the_error_says_what_to_materialize() -> None:
    with pytest.raises(NoClicks, match="materialize link_assets/clicks first"):
        compute_days([1])


def test_a_domain_without_clicks_has_no_rows(sandbox: Sandbox) -> None:
    load(sandbox)
    assert compute_days([1])[1].rows == 0
    assert compute_days([]) == {}


@pytest.mark.long
def test_the_number_of_queries_does_not_grow_with_domains_and_days(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.world = WORLD
    for domain in WORLD.domain_ids():
        load_clicks(domain)
    queries: list[str] = []

    def count(client: Any, sql: Any, *arguments: Any, **options: Any) -> Any:
        queries.append(str(sql))
        return plain(client, sql, *arguments, **options)

    kind = type(configured_warehouse().dataset().sql_client)
    plain = kind.execute_sql
    monkeypatch.setattr(kind, "execute_sql", count)
    compute_days([1])
    queries.clear()
    rows("DELETE FROM {dataset}.daily_clicks WHERE day > '2026-02-27'")
    compute_days([1])
    of_one = len(queries)
    queries.clear()
    rows("DELETE FROM {dataset}.daily_clicks")
    assert all(counts.days > 1 for counts in compute_days([1, 2, 3]).values())
    assert len(queries) == of_one


def compute_to_the_insertion() -> None:
    """Computes the days of domain 1, and stops between deleting and inserting rows."""
    run = Reader.run

    def stop(reader: Reader, statement: str) -> None:
        if statement.startswith("INSERT"):
            Path("deleted").touch()
            time.sleep(WAIT)
        run(reader, statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "run", stop)
        compute_days([1])


@pytest.mark.long
def test_a_computation_that_is_killed_halfway_leaves_the_days_as_they_were(
    sandbox: Sandbox,
) -> None:
    load_more(sandbox, click(2, ua="late"), click(4))
    before = loaded_days()
    with child(compute_to_the_insertion) as process:
        wait_until(lambda: Path("deleted").exists() or not process.is_alive(), WAIT)
        process.kill()
        process.join(WAIT)
        assert process.exitcode == -signal.SIGKILL
    assert loaded_days() == before
    assert compute_days([1])[1].days == 2
    assert counts("clicks") == {(day, "1 promo"): 1 + (day == 2) for day in (1, 2, 3, 4)}


def compute() -> None:
    compute_days([1])


@pytest.mark.long
def test_runs_that_compute_the_same_days_at_once_add_no_row_twice(sandbox: Sandbox) -> None:
    sandbox.world = WORLD
    load_links()
    load_clicks(1)
    with child(compute) as one, child(compute) as other:
        finish(one)
        finish(other)
    assert loaded_days() == expected_days({1: world_clicks(WORLD, 1)}, WORLD.links())


@pytest.mark.long
def test_a_million_clicks_take_seconds(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.world = World(domains=1, links_per_domain=500, clicks_per_domain=2_500)
    load_links()
    load_clicks(1)
    multiply_clicks(400)
    told = []
    for what in ("all days", "no day", "one day"):
        if what == "one day":
            newest = "SELECT max(dt) FROM {dataset}.clicks"
            rows(
                f"UPDATE {{dataset}}.clicks SET human = TRUE, _dlt_load_id = '1999999999'"
                f" WHERE dt = ({newest})"
            )
        started = time.monotonic()
        counts = compute_days([1])[1]
        told.append(f"{what} ({counts.days}): {time.monotonic() - started:.2f} s")
    assert counts.clicks == 1_000_000
    with capsys.disabled():
        print(f"\n{counts.clicks} clicks, {counts.rows} rows; {', '.join(told)}")


def multiply_clicks(times: int) -> None:
    """Adds each click so many times in all, each time with another id, address and second."""
    with reading() as reader:
        columns = reader.columns("clicks")
    other = {
        "click_id": "concat(click_id, n)",
        "ip": "concat(ip, n % 97)",
        "dt": "dt - n * INTERVAL '1 hour'",
    }
    values = ", ".join(other.get(column, column) for column in columns)
    rows(
        f"INSERT INTO {{dataset}}.clicks ({', '.join(columns)}) SELECT {values}"
        f" FROM {{dataset}}.clicks, generate_series(1, {times - 1}) AS s(n)"
    )
