"""A dlt pipeline that fetches beside others and writes alone.

dlt's own `run` would touch the warehouse from beginning to end. Here it is extract, normalize and
load one by one, with the warehouse held only to read the saved state and to load. Links, scripts
and, for clicks, `group_load` get their pipelines from `open_pipeline`. What is fetched, the source
says; how a warehouse differs from others, `destinations/`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import dlt
from dlt.common.pipeline import LoadInfo
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltSource

from link_assets.contract import DATASET
from link_assets.settings import location_settings
from link_assets.warehouse.access import busy, exclusive_access
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.former_names import forget_columns, rename_columns
from link_assets.warehouse.process import prepare_process, raise_failures
from link_assets.warehouse.reader import Reader


@dataclass
class WriteSeconds:
    """How long loads waited for their turn at the warehouse, and how long they wrote."""

    waiting: float = 0
    writing: float = 0


class WarehousePipeline:
    """A dlt pipeline that holds the warehouse only to read its state and to load rows.

    `dlt` is the pipeline itself, and `seconds` how long its loads waited and wrote.
    """

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self.dlt = pipeline
        self.seconds = WriteSeconds()

    def restore(self) -> None:
        """Restore the state and the schemas that the warehouse has of this pipeline.

        Raises:
            WarehouseBusy: The warehouse was not free in time.
        """
        with exclusive_access(f"reading the state of {self.dlt.pipeline_name}"):
            self.dlt.sync_destination()
        for schema in self.dlt.schemas.values():
            forget_columns(schema)

    def sql_client(self) -> SqlClientBase[Any]:
        """Return a client of the warehouse, to open while the warehouse is held."""
        return self.dlt.sql_client()

    def run(self, source: DltSource) -> LoadInfo:
        """Restore the state, extract, normalize and load, like dlt's `run`; raise like `load`."""
        self.restore()
        return self.load(source)

    def load(
        self,
        source: DltSource,
        parts: Sequence[str] = (),
        before: Callable[[Reader], None] | None = None,
    ) -> LoadInfo:
        """Extract, normalize and load.

        Args:
            source: What to load; it is adapted to the warehouse.
            parts: What no other machine may load at the same time; by default this pipeline.
            before: Called when the warehouse is held and its tables are there; if it raises,
                nothing is written.

        Raises:
            WarehouseBusy: The warehouse was not free in time.
            HeldElsewhere: Other machines are loading some of several parts.
            PipelineStepFailed: dlt's error around any other.
        """
        warehouse = configured_warehouse()
        warehouse.adapt_source(source)
        self.dlt.extract(source, loader_file_format=warehouse.loader_file_format)
        self.dlt.normalize()
        _release_arrow_memory()
        began = time.monotonic()
        with self.writing_alone(parts or [self.dlt.pipeline_name]) as opened:
            turn = time.monotonic()
            opened.run(self._purpose, partial(self._prepare_tables, opened, before))
            info = opened.run(self._purpose, lambda: self.dlt.load())
        self.seconds.waiting += turn - began
        self.seconds.writing += time.monotonic() - turn
        return info

    @contextmanager
    def writing_alone(self, parts: Sequence[str]) -> Iterator[OpenWarehouse]:
        """Hold the warehouse, and keep other machines from loading these parts."""
        seconds = location_settings().lock_timeout_seconds
        with ExitStack() as stack:
            try:
                elsewhere = configured_warehouse().loading_alone(self.dlt, parts, seconds)
                stack.enter_context(elsewhere)
            except TimeoutError:
                purpose = f"loading {parts[0]}" if len(parts) == 1 else self._purpose
                raise busy(seconds, purpose, "another run or machine") from None
            yield stack.enter_context(exclusive_access(self._purpose))

    @property
    def _purpose(self) -> str:
        return f"loading {self.dlt.pipeline_name}"

    def _prepare_tables(
        self, opened: OpenWarehouse, before: Callable[[Reader], None] | None
    ) -> None:
        """Create missing tables and columns, also those that were dropped by hand.

        While a file stays open, once for each version of the schema: nobody else can change it.
        """
        opened.drop_staging()
        version = self.dlt.default_schema.version_hash
        if (is_known := opened.has_tables_of(version)) and not before:
            return
        with cast(SqlJobClientBase, self.dlt.destination_client()) as client:
            if not is_known:
                # as dlt's load does, but `force` also looks for tables that were dropped by hand
                client.initialize_storage()
                rename_columns(client)
                client.update_stored_schema(force=True)
            if before:
                before(Reader(client.sql_client))
        opened.remember_tables_of(version)


def _release_arrow_memory() -> None:
    """Free what Arrow would keep for itself and the destination needs now."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


@contextmanager
def open_pipeline(name: str, *, by_machine: bool = False) -> Iterator[WarehousePipeline]:
    """Give the block a pipeline with a working folder of its own, which is deleted afterwards.

    Nothing in the folder is needed again: what a load leaves for the next one lives in the
    warehouse, so that any machine can continue where another stopped.

    Args:
        name: Such as `links`; runs of the same name continue each other.
        by_machine: Whether each machine stages by itself, so that several load at the same time.
    """
    prepare_process()
    raise_failures(name)
    warehouse = configured_warehouse()
    staging = f"{name}_{warehouse.machine}" if by_machine else name
    with tempfile.TemporaryDirectory(prefix="link_assets_", ignore_cleanup_errors=True) as folder:
        pipeline = dlt.pipeline(
            f"{DATASET}_{name}",
            pipelines_dir=folder,
            destination=warehouse.destination(staging),
            dataset_name=DATASET,
        )
        yield WarehousePipeline(pipeline)


def described_pipeline(name: str) -> dlt.Pipeline:
    """Return a pipeline for Dagster to describe, without destination and folder, so not to run."""
    with tempfile.TemporaryDirectory(prefix="link_assets_") as folder:
        return dlt.pipeline(f"{DATASET}_{name}", pipelines_dir=folder, dataset_name=DATASET)
