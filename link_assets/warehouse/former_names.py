"""Columns that earlier versions named otherwise: renamed where they are, with all their rows.

`pipeline.py` asks for it before tables are created or changed. The list is in `contract.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import dlt
from dlt.common.destination.client import WithStagingDataset
from dlt.destinations.job_client_impl import SqlJobClientBase

from link_assets.contract import FORMER_NAMES


def rename_columns(client: SqlJobClientBase) -> None:
    """Rename what has a former name, in the dataset and in its staging dataset.

    It may be repeated, also after it was interrupted, and by several machines at once.
    """
    _rename_in_dataset(client)
    if isinstance(client, WithStagingDataset):
        with client.with_staging_dataset():
            _rename_in_dataset(client)


def forget_columns(schema: dlt.Schema) -> None:
    """Take former names out of a schema that the warehouse had; today's come with the source."""
    for table, names in FORMER_NAMES.items():
        columns = schema.tables.get(table, {}).get("columns", {})
        for former in names:
            columns.pop(former, None)


def _rename_in_dataset(client: SqlJobClientBase) -> None:
    if not _former_columns(client):
        return
    spelled = client.sql_client.escape_column_name
    with client.maybe_ddl_transaction():
        for table, former, column in _former_columns(client):  # others may have been faster
            name = client.sql_client.make_qualified_table_name(table)
            client.sql_client.execute_sql(
                f"ALTER TABLE {name} RENAME COLUMN {spelled(former)} TO {spelled(column)}"
            )


def _former_columns(client: SqlJobClientBase) -> Sequence[tuple[str, str, str]]:
    """Return table, former name and name of the columns that are still to be renamed."""
    stored = client.capabilities.casefold_identifier
    return [
        (table, former, column)
        for table, columns in client.get_storage_tables(FORMER_NAMES)
        for former, column in FORMER_NAMES[table].items()
        if stored(former) in columns and stored(column) not in columns
    ]
