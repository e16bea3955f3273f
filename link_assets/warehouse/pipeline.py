"""The dlt pipeline of a domain, or of the links: it fetches beside others and writes alone.

dlt's own `run` would touch the warehouse from beginning to end. Here it is extract, normalize and
load one by one, with the warehouse held only to read the saved state and to load. Assets, chunks
and scripts get their pipelines from `open_pipeline`. What is fetched, the source says; how a
warehouse differs from others, `destinations/`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dlt
from dlt.common.pipeline import LoadInfo
from dlt.extract import DltSource
from dlt.pipeline.state_sync import load_pipeline_state_from_destination

from link_assets.contract import DATASET
from link_assets.settings import location_settings
from link_assets.warehouse.access import busy, exclusive_access
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.errors import ConcurrentWriteError
from link_assets.warehouse.process import prepare_process


@dataclass(frozen=True)
class SavedPosition:
    """Where a load has come to, as dlt keeps it in files.

    `state_hash` is that of dlt's state, None before anything was loaded. `files` are dlt's state
    and schemas, by their paths within the pipeline's folder.
    """

    state_hash: str | None
    files: Mapping[Path, bytes]


@dataclass
class WriteSeconds:
    """How long loads waited for their turn at the warehouse, and how long they wrote."""

    waiting: float = 0
    writing: float = 0


class WarehousePipeline(dlt.Pipeline):
    """A dlt pipeline that holds the warehouse only to read its state and to load rows."""

    continues_from: SavedPosition | None = None
    """Where the load before ended, if that is not in the warehouse yet; else None."""
    on_fetched: Callable[[SavedPosition], None] | None = None
    """Called before the warehouse is held to write; if it raises, nothing is written."""
    seconds: WriteSeconds | None = None
    """Where to add how long loads wait and write; None if nobody asks."""

    def run(self, data: Any = None, **options: Any) -> LoadInfo:  # type: ignore[override]
        """Extract, normalize and load, like dlt's `run`.

        Args:
            data: What to load; a DltSource is adapted to the warehouse.
            options: Options of dlt's `extract`.

        Raises:
            WarehouseBusy: The warehouse was not free in time.
            ConcurrentWriteError: Another run has written since `continues_from`.
            PipelineStepFailed: dlt's error around any other.
        """
        warehouse = configured_warehouse()
        self._restore()
        if isinstance(data, DltSource):
            warehouse.adapt_source(data)
        self.extract(data, loader_file_format=warehouse.loader_file_format, **options)
        self.normalize()
        _release_arrow_memory()
        if self.on_fetched:
            self.on_fetched(self._position())
        began = time.monotonic()
        with self._loading_alone(), exclusive_access(self._purpose) as opened:
            turn = time.monotonic()
            opened.run(self._purpose, partial(self._prepare_tables, opened))
            info = opened.run(self._purpose, lambda: self.load())
        if self.seconds:
            self.seconds.waiting += turn - began
            self.seconds.writing += time.monotonic() - turn
        info.raise_on_failed_jobs()  # dlt can be configured not to raise
        return info

    @property
    def _purpose(self) -> str:
        return f"loading {self.pipeline_name}"

    @contextmanager
    def _loading_alone(self) -> Iterator[None]:
        """Keep other machines from loading this pipeline, where the warehouse is not a file."""
        seconds = location_settings().lock_timeout_seconds
        with ExitStack() as stack:
            try:
                stack.enter_context(configured_warehouse().loading_alone(self, seconds))
            except TimeoutError:
                raise busy(seconds, self._purpose, "another run or machine") from None
            yield

    def _restore(self) -> None:
        """Restore the state and the schemas of the load before."""
        if self.continues_from is None:
            with exclusive_access(f"reading the state of {self.pipeline_name}"):
                self.sync_destination()
            return
        for file, content in self.continues_from.files.items():
            path = Path(self.working_dir) / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    def _position(self) -> SavedPosition:
        """Return where the load has come to, for the next one to continue from."""
        # private to dlt: `STATE_FILE`, the folder of schemas, `_version_hash`. dlt gives a state to
        # another pipeline only through the warehouse, which does not have this one yet
        folder = Path(self.working_dir)
        schemas = Path(self.schemas.storage.storage_path)
        files = [folder / self.STATE_FILE, *schemas.iterdir()]
        return SavedPosition(
            self.state.get("_version_hash"),
            {file.relative_to(folder): file.read_bytes() for file in files},
        )

    def _prepare_tables(self, opened: OpenWarehouse) -> None:
        """Create missing tables and columns, also those that were dropped by hand.

        While a file stays open, once for each version of the schema: nobody else can change it.
        """
        opened.drop_staging()
        if opened.has_tables_of(self.default_schema.version_hash) and not self.continues_from:
            return
        with self.destination_client() as client:
            self._require_saved_position(client)
            # as dlt's load does, but `force` also looks for tables that were dropped by hand
            client.initialize_storage()
            client.update_stored_schema(force=True)
        opened.remember_tables_of(self.default_schema.version_hash)

    def _require_saved_position(self, client: Any) -> None:
        """Raise ConcurrentWriteError unless the warehouse is where this load continues from."""
        if self.continues_from is None:
            return
        # private to dlt: the state as the warehouse has it, and its `_version_hash`, which changes
        # with the state. dlt's own sync_destination would overwrite the state of this load
        stored = load_pipeline_state_from_destination(self.pipeline_name, client)
        if not stored or stored.get("_version_hash") != self.continues_from.state_hash:
            raise ConcurrentWriteError(
                f"Another run has loaded {self.pipeline_name} meanwhile. What was fetched since is "
                "not written; run it again."
            )


def _release_arrow_memory() -> None:
    """Free what Arrow would keep for itself and the destination needs now."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


@contextmanager
def open_pipeline(name: str) -> Iterator[WarehousePipeline]:
    """Give the block a pipeline with a working folder of its own, which is deleted afterwards.

    Nothing in the folder is needed again: the state lives in the warehouse, so that any machine
    can continue where another stopped.

    Args:
        name: Such as `links` or `clicks_7`; runs of the same name continue each other.
    """
    prepare_process()
    with tempfile.TemporaryDirectory(prefix="link_assets_", ignore_cleanup_errors=True) as folder:
        yield dlt.pipeline(
            f"{DATASET}_{name}",
            pipelines_dir=folder,
            destination=configured_warehouse().destination(name),
            dataset_name=DATASET,
            # private to dlt: its way to make a pipeline of another class with all its configuration
            _impl_cls=WarehousePipeline,
        )


def described_pipeline(name: str) -> dlt.Pipeline:
    """Return a pipeline for Dagster to describe, without destination and folder, so not to run."""
    with tempfile.TemporaryDirectory(prefix="link_assets_") as folder:
        return dlt.pipeline(f"{DATASET}_{name}", pipelines_dir=folder, dataset_name=DATASET)
