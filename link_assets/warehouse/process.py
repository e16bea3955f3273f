"""What a process sets up before dlt loads or reads in it.

`open_pipeline` and `reading` call `prepare_process`, so that importing the package changes nothing
and a script needs no call of its own.
"""

from __future__ import annotations

import logging
import os

from link_assets.contract import CLICKS, DATASET, LINKS
from link_assets.settings import environment_name, keep_no_traces
from link_assets.warehouse.redaction import WithoutQuoted

_ADD_LOAD_ID = "normalize.parquet_normalizer.add_dlt_load_id"
_QUOTES_BLANKED = WithoutQuoted()


def prepare_process() -> None:
    """Have dlt mark Arrow rows with their load and keep values out of its log; may be repeated.

    Nor does it remember where it found settings (`keep_no_traces`).
    """
    keep_no_traces()
    # Clicks come as Arrow tables, which dlt gives `_dlt_load_id` only if this is set. It is set in
    # the environment because that also reaches processes that dlt starts to normalize, and because
    # a value in `dlt.config` would be one more place to search for every setting of every load.
    os.environ[environment_name(_ADD_LOAD_ID)] = "true"
    # Child tables have no such column, so that of the links is filled in by their source.
    os.environ[environment_name(f"{DATASET}_{LINKS.name}.{_ADD_LOAD_ID}")] = "false"
    # that of the clicks is opened in a thread, and a new variable, unlike a new value, is not safe
    # beside others that read the environment
    raise_failures(CLICKS.name)
    # dlt logs a failed load with all that the database said, which may quote rows. The same filter
    # is not added twice.
    logging.getLogger("dlt").addFilter(_QUOTES_BLANKED)


def raise_failures(name: str) -> None:
    """Have dlt raise what a load of the pipeline of that name fails with; may be repeated.

    It can be set not to, and would then call a failed load complete. No other setting comes before
    this one, which is of the pipeline and in the environment.
    """
    os.environ[environment_name(f"{DATASET}_{name}.load.raise_on_failed_jobs")] = "true"
