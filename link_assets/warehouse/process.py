"""What a process sets up before dlt loads or reads in it.

`open_pipeline` and `reading` call `prepare_process`, so that importing the package changes nothing
and a script needs no call of its own.
"""

from __future__ import annotations

import logging
import os

from link_assets.contract import DATASET, LINKS
from link_assets.settings import environment_name
from link_assets.warehouse.redaction import WithoutQuoted

_ADD_LOAD_ID = "normalize.parquet_normalizer.add_dlt_load_id"
_QUOTES_BLANKED = WithoutQuoted()


def prepare_process() -> None:
    """Have dlt mark Arrow rows with their load and keep values out of its log; may be repeated."""
    # Clicks come as Arrow tables, which dlt gives `_dlt_load_id` only if this is set. It is set in
    # the environment because that also reaches processes that dlt starts to normalize, and because
    # a value in `dlt.config` would be one more place to search for every setting of every load.
    os.environ[environment_name(_ADD_LOAD_ID)] = "true"
    # Child tables have no such column, so that of the links is filled in by their source.
    os.environ[environment_name(f"{DATASET}_{LINKS.name}.{_ADD_LOAD_ID}")] = "false"
    # dlt logs a failed load with all that the database said, which may quote rows. The same filter
    # is not added twice.
    logging.getLogger("dlt").addFilter(_QUOTES_BLANKED)
