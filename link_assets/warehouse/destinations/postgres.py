"""PostgreSQL as the warehouse: exact values, and machines that do not load the same at once.

`postgres_client.py` says how dlt's own client and destination are changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.configuration.specs import ConnectionStringCredentials
from dlt.common.destination import Destination
from dlt.destinations.sql_client import SqlClientBase

from link_assets.contract import CLICKS
from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.errors import root_cause

if TYPE_CHECKING:
    from link_assets.warehouse.destinations.postgres_client import PostgresLoadClient

NAMES_ONLY = ("08", "23", "28", "3D", "3F", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE whose primary message quotes names but no value of a row.

The classes are listed in PostgreSQL's documentation, appendix A.
"""
STAGING_DATASETS = 16
"""How many staging datasets machines share that load clicks at the same time."""
SYNTAX_ERROR = "42601"
"""The one error of these classes that quotes the statement, and with it any value."""
ADVICE = {
    "54000": "A row has more fields than PostgreSQL can keep in one row, which is about 450 long "
    "texts. Nothing of this load was written. Ask the API's provider what the undocumented fields "
    "are for, or load into DuckDB, which takes such rows.",
    "22P05": "Load into a database with the encoding UTF8, which takes all text.",
}
"""What to do about an error, by SQLSTATE: a row that does not fit into a page of the database, and
text that the database's encoding has no character for."""

_PRIMARY = re.compile(r"(?:ERROR|FATAL): +(.*)")


class PostgresWarehouse(Warehouse):
    """The PostgreSQL database that dlt's settings name."""

    @property
    def uri(self) -> str:
        """Return host, port and database."""
        at = cast(ConnectionStringCredentials, self.dataset().destination_client.config.credentials)
        return f"postgresql://{at.host}:{at.port}/{at.database}"

    @property
    def machine(self) -> str:
        """Return one of a few names, since machines may come and go; a lock keeps loads apart."""
        return f"m{int(super().machine[1:], 16) % STAGING_DATASETS}"

    def destination(self, staging: str) -> Destination[Any, Any]:
        """Return dlt's PostgreSQL destination, changed to keep every value as it is."""
        from link_assets.warehouse.destinations.postgres_client import exact_postgres

        layout = self.staging_layout(staging)
        return exact_postgres(destination_name=self.type, staging_dataset_name_layout=layout)

    @contextmanager
    def loading_alone(
        self, pipeline: dlt.Pipeline, parts: Sequence[str], seconds: float
    ) -> Iterator[None]:
        """Hold locks of the database within the block, and start with an empty staging dataset.

        Raises:
            TimeoutError: Another machine held one for longer than `seconds`.
            HeldElsewhere: Other machines hold those of some of several parts.
        """
        client = cast("PostgresLoadClient", pipeline.destination_client())
        with client:
            client.load_alone(parts, seconds)
            client.drop_former_staging(parts)
            client.empty_staging()
            yield

    def writing_alone(self, client: SqlClientBase[Any], table: str, seconds: float) -> None:
        """Hold a lock of the database until the client's transaction ends.

        Loads take none of these, so the table of clicks is locked itself.

        Raises:
            TimeoutError: Another machine held it for longer than `seconds`.
        """
        from link_assets.warehouse.destinations.postgres_client import lock_table, wait_for_lock

        wait_for_lock(client, "pg_advisory_xact_lock", f"rows of {table}", seconds)
        if table == CLICKS.name:
            lock_table(client, table, seconds)

    def message_without_values(self, error: BaseException) -> str | None:
        """Return the message without details if its SQLSTATE says that it quotes only names."""
        return message_of_postgres(error)

    def advice(self, error: BaseException) -> str | None:
        """Return what to do about a row or a text that PostgreSQL cannot hold."""
        return ADVICE.get(sqlstate(root_cause(error)) or "")


def message_of_postgres(error: BaseException) -> str | None:
    """Return what PostgreSQL says without details if its SQLSTATE says that it quotes only names.

    So does a refused connection. None for any other error.
    """
    if code := sqlstate(error):
        names_only = code.startswith(NAMES_ONLY) and code != SYNTAX_ERROR
        return _primary(error) if names_only else None
    return str(error) if _is_refused_connection(error) else None


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of a driver's error, psycopg2's or ADBC's; None if it has none."""
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def _is_refused_connection(error: BaseException) -> bool:
    """Return whether it is psycopg2's, raised without a connection: before a statement or after."""
    kind = type(error)
    return (kind.__module__, kind.__name__) == ("psycopg2", "OperationalError")


def _primary(error: BaseException) -> str:
    """Return the message without the details after it, which PostgreSQL takes from rows."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return str(primary)
    found = _PRIMARY.search(str(error))
    return found[1] if found else str(error)
