"""The column `_dlt_load_id` of Arrow tables, where dlt does not fill it in.

dlt fills it in for all Arrow tables of a pipeline or for none. That of the links has tables which
do not have it: the child tables (`warehouse.process`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable

if TYPE_CHECKING:
    import pyarrow as pa


def with_load_id(table: pa.Table) -> pa.Table:
    """Return the table with the id of the load that it is extracted for, if there is one."""
    import pyarrow as pa

    try:
        load_id = dlt.current.load_package_state().get("load_id")
    except CurrentLoadPackageStateNotAvailable:
        return table
    column = pa.field(C_DLT_LOAD_ID, pa.string(), nullable=False)
    return table.append_column(column, pa.repeat(pa.scalar(load_id), len(table)))
