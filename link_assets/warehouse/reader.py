"""Reading the warehouse with SQL, whichever it is.

Checks, counts and tests read through `reading`, and so does a run before it loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

from dlt.destinations.sql_client import SqlClientBase

from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.process import prepare_process

TABLE = re.compile(r"\{dataset\}\.(?P<name>\w+)")
"""Matches a table in a query."""
FETCHED_AT_ONCE = 10_000
"""How many rows `Reader.each` holds in memory."""

_T = TypeVar("_T")


class Reader:
    """Runs queries; in them `{dataset}.clicks` stands for the name that dlt gives the table.

    A warehouse without schemas may have the dataset in the name of the table itself.
    """

    def __init__(self, client: SqlClientBase[Any], opened: OpenWarehouse | None = None) -> None:
        self._client = client
        self._opened = opened or OpenWarehouse()

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """Return the rows of a query.

        Raises:
            DatabaseUndefinedRelation: dlt's error if a table is missing.
        """
        return self._read(lambda: self._client.execute_sql(self._qualified(query)) or [])

    def run(self, statement: str) -> None:
        """Run a statement that gives no rows; raise like `rows`."""
        self._client.execute_sql(self._qualified(statement))

    def each(self, query: str) -> Iterator[Sequence[Any]]:
        """Yield the rows of a query, of which FETCHED_AT_ONCE are in memory; raise like `rows`."""
        with self._client.execute_query(self._qualified(query)) as cursor:
            while rows := cursor.fetchmany(FETCHED_AT_ONCE):
                yield from rows

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns, in order; raise like `rows`."""
        name = self._client.make_qualified_table_name(table)
        return self._read(partial(columns_of, self._client, name))

    def _read(self, read: Callable[[], _T]) -> _T:
        return self._opened.run("reading", read)

    def _qualified(self, query: str) -> str:
        name = self._client.make_qualified_table_name
        return TABLE.sub(lambda table: name(table["name"]), query)


def columns_of(client: SqlClientBase[Any], table: str) -> list[str]:
    """Return the names of a table's columns, in order.

    Args:
        client: An open client.
        table: The table's name as the client qualifies it.
    """
    with client.execute_query(f"SELECT * FROM {table} LIMIT 0") as cursor:
        return [column[0] for column in cursor.description]


@contextmanager
def reading(at_most: float | None = None) -> Iterator[Reader]:
    """Give the block a reader, with exclusive access where reading keeps writers out.

    Args:
        at_most: How many seconds to wait for access, if that is less than the setting
            `lock_timeout_seconds`.

    Raises:
        WarehouseBusy, WarehouseUnusable, SettingsError: See `exclusive_access`.
    """
    prepare_process()
    warehouse = configured_warehouse()
    dataset, locked = warehouse.dataset(), warehouse.readers_need_lock
    with (
        exclusive_access("reading", at_most) if locked else nullcontext(OpenWarehouse()) as opened,
        dataset.sql_client as client,
    ):
        yield Reader(client, opened)
