"""The table `daily_clicks`: clicks by link and day, computed in the warehouse from `clicks`.

    clicks ──> join to links ──> count and load ids of each day and link
                                      |   compared with those in daily_clicks
                                      v
                                days that changed
                                      |   one transaction: delete, insert
                                      v
                                daily_clicks

A row keeps the sum of the load ids of its clicks. A click that is new, late or revised has the id
of its last load, and one whose link appeared, moved or was deleted adds to another row, so days
that changed are found without any other state. A computation that is killed leaves the days as
they were, and the next one finds them again.

The days are those of UTC, whatever the time zone of the session. Text is compared by its bytes
(`COLLATE "C"`), so that every warehouse decides alike.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from math import inf
from typing import Any, cast

import dlt
from dlt.common.schema.utils import dlt_load_id_column, new_table
from dlt.common.storages.load_package import create_load_id
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase

from link_assets.contract import CLICKS, DAILY_CLICKS, DATASET, LINKS
from link_assets.settings import location_settings
from link_assets.warehouse.access import busy, exclusive_access, without_loads
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.errors import NoClicks, WarehouseBusy
from link_assets.warehouse.link_join import clicks_with_links, missing_tables
from link_assets.warehouse.old_clicks import OldClicks, any_old, of_open_days
from link_assets.warehouse.process import prepare_process
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DATE, up_to

PURPOSE = "computing daily clicks"
DELETE_SECONDS = 60
"""How long days wait for loads to be kept out, which deleting their clicks needs."""
logger = logging.getLogger(__name__)
TABLE = f"{{dataset}}.{DAILY_CLICKS.name}"
COLUMNS = ", ".join(field.column for field in DAILY_CLICKS.columns)
CHANGED = "link_assets_changed_days"
"""The temporary table of the days that changed."""
LOAD_ID = "CAST(_dlt_load_id AS DECIMAL(18, 7))"
"""A load's id, which is seconds of Unix time as text; a float of them has seven places at most.

DuckDB 1.5 takes 16 microseconds for each text if there are more digits than 64 bits hold.
"""
LOAD_IDS = f"coalesce(sum({LOAD_ID}), 0)"
PATH_OF_LINK = 'min(CASE WHEN link_id IS NOT NULL THEN link_path END COLLATE "C")'


@dataclass(frozen=True)
class ComputedDays:
    """A domain's rows after a computation.

    `days` are how many were computed because they had changed, `table` how many rows the whole
    table has, and `computed_at` is when the computation began. What was loaded until `last_load`,
    the id of a load, is in it; 0 if there were no clicks. `newest` is the time of the newest click
    that is not of the future, and `future` how many are. `deleted` are the old clicks that are not
    kept any longer.
    """

    days: int
    rows: int
    clicks: int
    last_click: datetime | None
    newest: datetime | None
    future: int
    table: int
    computed_at: datetime
    last_load: Decimal
    deleted: int = 0


def compute_days(
    domains: Collection[int], old: OldClicks | None = None
) -> Mapping[int, ComputedDays]:
    """Compute the days of these domains that changed; return by domain what it has now.

    The number of queries does not grow with the domains. `old` clicks, of some of the domains, are
    deleted once they are counted; their days stay as they are from then on. If others use the
    warehouse for too long, they are left for the next time.

    Raises:
        NoClicks: The table of clicks does not exist.
        WarehouseBusy: The warehouse was not free in time.
    """
    prepare_process()
    if old and any_old(old):
        try:
            with without_loads(PURPOSE, DELETE_SECONDS) as opened:
                return _compute(opened, domains, old)
        except WarehouseBusy as error:
            logger.info("Old clicks are not deleted this time: %s", error)
    with exclusive_access(PURPOSE) as opened:
        return _compute(opened, domains, None)


def _compute(
    opened: OpenWarehouse, domains: Collection[int], old: OldClicks | None
) -> Mapping[int, ComputedDays]:
    """Do it, with the warehouse held; if there are `old` clicks, with loads kept out."""
    with _client() as client:
        began = datetime.now(UTC)
        opened.run(PURPOSE, partial(_make_table, client, opened))
        reader = Reader(client.sql_client, opened)
        missing = missing_tables(reader, LINKS.name, CLICKS.name)
        if CLICKS.name in missing:
            raise NoClicks("There are no clicks yet: materialize link_assets/clicks first.")
        # read before: what another machine loads meanwhile is then newer
        last_loads = _last_loads(reader, of_domains(domains))
        compute = partial(_compute_changed, client, of_domains(domains), missing, old)
        days, deleted = opened.run(PURPOSE, compute)
        found = _counts(reader, domains, days, last_loads, began)
        return {d: replace(c, deleted=deleted.get(d, 0)) for d, c in found.items()}


def _last_loads(reader: Reader, among: str) -> Mapping[int, Decimal]:
    query = f"SELECT domain_id, max({LOAD_ID}) FROM {{dataset}}.{CLICKS.name} WHERE {among}"
    return dict(map(tuple, reader.rows(f"{query} GROUP BY domain_id")))


def _client() -> SqlJobClientBase:
    """Return dlt's client of a schema that has this one table."""
    schema = dlt.Schema(f"{DATASET}_{DAILY_CLICKS.name}")
    columns: list[Any] = [
        {"name": field.column, "data_type": field.data_type, "nullable": field.nullable}
        for field in DAILY_CLICKS.columns
    ]
    schema.update_table(new_table(DAILY_CLICKS.name, columns=[*columns, dlt_load_id_column()]))
    # dlt works its hash out as it is written
    schema = dlt.Schema.from_dict(dict(schema.to_dict()))
    destination = configured_warehouse().destination(DAILY_CLICKS.name)
    return cast(SqlJobClientBase, dlt.dataset(destination, DATASET, schema).destination_client)


def _make_table(client: SqlJobClientBase, opened: OpenWarehouse) -> None:
    """Create the table, or columns of it, where they are missing."""
    if opened.has_tables_of(client.schema.version_hash):
        return
    client.initialize_storage()
    client.update_stored_schema(force=True)
    opened.remember_tables_of(client.schema.version_hash)


def _compute_changed(
    client: SqlJobClientBase, among: str, missing: Collection[str], old: OldClicks | None
) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """Compute the days that changed, and delete old clicks, in one transaction.

    Returns:
        By domain how many days there were, and how many old clicks.
    """
    deleted: Mapping[int, int] = {}
    with client.sql_client.begin_transaction():
        seconds = min(location_settings().lock_timeout_seconds, DELETE_SECONDS if old else inf)
        for table in (DAILY_CLICKS.name, *([CLICKS.name] if old else [])):
            _write_alone(client.sql_client, table, seconds)
        reader = Reader(client.sql_client)
        reader.run(f"CREATE TEMPORARY TABLE {CHANGED} AS {_changed_days(among, missing)}")
        days = reader.rows(f"SELECT domain_id, count(*) FROM {CHANGED} GROUP BY domain_id")
        if days:
            _replace(reader, load_id := create_load_id(), missing)
            client.complete_load(load_id)
        reader.run(f"DROP TABLE {CHANGED}")
        if old and (deleted := old.count(reader)):
            old.delete(reader)
    return dict(map(tuple, days)), deleted


def _write_alone(client: SqlClientBase[Any], table: str, seconds: float) -> None:
    """Keep other machines from replacing rows of a table until the client's transaction ends."""
    try:
        configured_warehouse().writing_alone(client, table, seconds)
    except TimeoutError:
        raise busy(seconds, PURPOSE, "another run or machine") from None


def _replace(reader: Reader, load_id: str, missing: Collection[str]) -> None:
    changed = f"(domain_id, day) IN (SELECT domain_id, day FROM {CHANGED})"
    reader.run(f"DELETE FROM {TABLE} WHERE {changed}")
    reader.run(
        f"INSERT INTO {TABLE} ({COLUMNS}, _dlt_load_id)"
        f" SELECT {COLUMNS}, '{load_id}' FROM ({_computed(missing)}) AS computed"
    )


def _changed_days(among: str, missing: Collection[str]) -> str:
    """Return the SQL of the days whose clicks, loads or links are not those of their rows.

    Clicks are counted before they are joined, so that a path is looked up once a day.
    """
    by_path = (
        f"(SELECT domain_id, {DATE} AS day, path, st, count(*) AS clicks, {LOAD_IDS} AS load_ids"
        f" FROM {{dataset}}.{CLICKS.name} WHERE {among} GROUP BY 1, 2, 3, 4)"
    )
    open_days = f"({of_open_days(by_path)})"
    return (
        "SELECT DISTINCT domain_id, day FROM (SELECT domain_id, day FROM ("
        f"SELECT domain_id, day, link_id, {PATH_OF_LINK} AS link_path,"
        " CAST(sum(clicks) AS BIGINT) AS clicks, sum(load_ids) AS load_ids, 1 AS side"
        f" FROM ({clicks_with_links(open_days, missing)}) AS j GROUP BY 1, 2, 3"
        " UNION ALL"
        f' SELECT domain_id, day, link_id, link_path COLLATE "C", clicks, load_ids, -1 AS side'
        f" FROM ({of_open_days(TABLE)}) AS t WHERE {among}"
        ") AS both_sides GROUP BY domain_id, day, link_id, link_path, clicks, load_ids"
        " HAVING sum(side) <> 0) AS differing"
    )


def _computed(missing: Collection[str]) -> str:
    """Return the SQL of the rows of the days that changed.

    The parts are put together by UNION ALL and GROUP BY, which take null for equal to null: a join
    would leave out the clicks of no link.
    """
    clicks = (
        f"(SELECT domain_id, {DATE} AS day, path, st, dt, human, concat(ip, ' ', ua) AS visitor,"
        " nullif(country, '') AS country, nullif(refhost, '') AS refhost, _dlt_load_id"
        f" FROM {{dataset}}.{CLICKS.name}"
        f" WHERE (domain_id, {DATE}) IN (SELECT domain_id, day FROM {CHANGED}))"
    )
    return f"""\
WITH linked AS ({clicks_with_links(clicks, missing)}),
parts AS (
    SELECT domain_id, day, link_id, {PATH_OF_LINK} AS link_path, count(*) AS clicks,
        count(CASE WHEN human THEN 1 END) AS clicks_by_people,
        min(dt) AS first_click, max(dt) AS last_click, {LOAD_IDS} AS load_ids,
        CAST(NULL AS BIGINT) AS visitors, CAST(NULL AS TEXT) AS top_country,
        CAST(NULL AS TEXT) AS top_referrer
    FROM linked GROUP BY 1, 2, 3
    UNION ALL
    SELECT domain_id, day, link_id, NULL, NULL, NULL, NULL, NULL, NULL, count(*), NULL, NULL
    FROM (SELECT DISTINCT domain_id, day, link_id, visitor FROM linked) AS v GROUP BY 1, 2, 3
    UNION ALL
    SELECT domain_id, day, link_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, top, NULL
    FROM ({_top("country")}) AS c
    UNION ALL
    SELECT domain_id, day, link_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, top
    FROM ({_top("refhost")}) AS r
)
SELECT domain_id, day, link_id, min(link_path) AS link_path, min(clicks) AS clicks,
    min(clicks_by_people) AS clicks_by_people, min(visitors) AS visitors,
    min(first_click) AS first_click, min(last_click) AS last_click,
    min(top_country) AS top_country, min(top_referrer) AS top_referrer, min(load_ids) AS load_ids,
    FALSE AS clicks_deleted
FROM parts GROUP BY 1, 2, 3"""


def _top(column: str) -> str:
    """Return the SQL of the value that most clicks of a day and link have; the first of several."""
    return (
        f"SELECT domain_id, day, link_id, {column} AS top FROM (SELECT domain_id, day, link_id,"
        f" {column}, row_number() OVER (PARTITION BY domain_id, day, link_id"
        f' ORDER BY count(*) DESC, {column} COLLATE "C") AS place'
        f" FROM linked WHERE {column} IS NOT NULL GROUP BY domain_id, day, link_id, {column})"
        " AS ranked WHERE place = 1"
    )


def _counts(
    reader: Reader,
    domains: Collection[int],
    days: Mapping[int, int],
    last_loads: Mapping[int, Decimal],
    began: datetime,
) -> Mapping[int, ComputedDays]:
    past = up_to(began.date(), "last_click")
    found = reader.rows(
        "SELECT domain_id, count(*), CAST(sum(clicks) AS BIGINT), max(last_click),"
        f" max(CASE WHEN {past} THEN last_click END),"
        f" CAST(sum(CASE WHEN {past} THEN 0 ELSE clicks END) AS BIGINT)"
        f" FROM {TABLE} GROUP BY domain_id"
    )
    of_domain = {domain: numbers for domain, *numbers in found}
    table = sum(rows for rows, *_ in of_domain.values())

    def counts(domain: int) -> ComputedDays:
        rows, clicks, last, newest, future = of_domain.get(domain, (0, 0, None, None, 0))
        last_load = last_loads.get(domain, Decimal(0))
        computed = days.get(domain, 0)
        return ComputedDays(computed, rows, clicks, last, newest, future, table, began, last_load)

    return {domain: counts(domain) for domain in domains}
