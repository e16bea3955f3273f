"""Runs of Dagster, with the checks, as a backfill or a schedule starts them."""

from __future__ import annotations

import os
from pathlib import Path

from dagster import DagsterInstance

import benchmarks.contenders.project  # noqa: F401 - imports are not measured
from benchmarks.contenders import API_KEY
from link_assets.definitions import defs


def instance(url: str, domains: str) -> None:
    """A Dagster instance that knows these domains, as it is there before a run starts."""
    with _instance() as instance:
        instance.add_dynamic_partitions("domain", [str(n + 1) for n in range(int(domains))])
        instance.get_runs()
        instance.all_asset_keys()


def clicks(url: str, first: str, last: str, clicks_order: str = "unordered") -> None:
    """One run of the clicks of these domains."""
    os.environ["SOURCES__LINK_ASSETS__BASE_URL"] = url
    os.environ["SOURCES__LINK_ASSETS__API_KEY"] = API_KEY
    os.environ["SOURCES__LINK_ASSETS__CLICKS_ORDER"] = clicks_order
    os.environ["SOURCES__LINK_ASSETS__CLICKS_LOOKBACK_DAYS"] = "0"
    ends = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    with _instance() as instance:
        job = defs.resolve_job_def("clicks_job")
        assert job.execute_in_process(instance=instance, tags=ends).success


def _instance() -> DagsterInstance:
    return DagsterInstance.local_temp(str(Path.cwd()))
