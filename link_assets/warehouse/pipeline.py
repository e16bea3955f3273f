"""Where rows go: the destination, one dlt pipeline per domain, turns at writing, and reads."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException
from dlt.common.pipeline import LoadInfo
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltSource
from dlt.pipeline.state_sync import load_pipeline_state_from_destination
from filelock import Timeout

from link_assets.contract import CLICKS, DATASET
from link_assets.settings import LOCATION_SECTION, environment_name, location_settings
from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets.warehouse.errors import ConcurrentWriteError, WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.lock import WarehouseLock
from link_assets.warehouse.redaction import WithoutQuoted

if TYPE_CHECKING:
    from link_assets.warehouse.destinations.duckdb import OpenDuckDb
    from link_assets.warehouse.destinations.duckdb_memory import DuckDbMemory
    from link_assets.warehouse.destinations.postgres import PostgresLoadClient

_T = TypeVar("_T")

DUCKDB = "duckdb"
POSTGRES = "postgres"

# Rows that come as Arrow tables are to carry `_dlt_load_id`. Not by dlt.config, which for dlt would
# be one more place to look for every setting of every load.
os.environ[environment_name("normalize.parquet_normalizer.add_dlt_load_id")] = "true"
# dlt logs a failed load with all that the database said; what users need of it they are told
logging.getLogger("dlt").addFilter(WithoutQuoted())


def destination_type() -> str:
    """The configured dlt destination's type; DuckDB if nothing is configured."""
    return (dlt.config.get("destination_type", str) or DUCKDB).rpartition(".")[2]


def duckdb_file() -> Path | None:
    """The DuckDB file, absolute; None for any other destination.

    Raises SettingsError if the setting gives no file that can be a warehouse.
    """
    return duckdb_path() if destination_type() == DUCKDB else None


@dataclass(frozen=True)
class SavedPosition:
    """Where a load has come to: its state's hash, and the files with dlt's state and schemas.

    The files are named from the pipeline's folder.
    """

    state_hash: str | None
    files: Mapping[Path, bytes]


class WarehousePipeline(dlt.Pipeline):
    """A dlt pipeline whose runs fetch side by side and touch the warehouse in turn."""

    continues_from: SavedPosition | None = None
    """The place of the load before, while that is not in the warehouse yet."""
    on_fetched: Callable[[SavedPosition], None] | None = None
    """Called when nothing is left to do but to write; if it raises, nothing is written."""

    def run(self, data: Any = None, **options: Any) -> LoadInfo:  # type: ignore[override]
        """Like dlt's `run`, with the warehouse locked only while state is read and rows loaded.

        Raises WarehouseBusy if the lock is not to be had in time, and ConcurrentWriteError if the
        warehouse is not where this load goes on from.
        """
        self._go_on()
        into_duckdb = destination_type() == DUCKDB
        if into_duckdb and isinstance(data, DltSource):
            _spare_deduplication(data)
        file_format: Any = "parquet" if into_duckdb else None
        self.extract(data, loader_file_format=file_format, **options)
        self.normalize()
        _release_arrow_memory()
        if self.on_fetched:
            self.on_fetched(self._place())
        purpose = f"loading {self.pipeline_name}"
        with self._loading_alone(), turn(purpose) as opened:
            with_memory(opened, purpose, partial(self._prepare_tables, opened))
            info = with_memory(opened, purpose, lambda: self.load())
        info.raise_on_failed_jobs()  # by configuration dlt leaves it at that
        return info

    @contextmanager
    def _loading_alone(self) -> Iterator[None]:
        """Keeps other machines from loading this pipeline; a DuckDB file belongs to one anyway."""
        if destination_type() != POSTGRES:
            yield
            return
        seconds = location_settings().lock_timeout_seconds
        client = cast("PostgresLoadClient", self.destination_client())
        with client:
            try:
                client.load_alone(self.pipeline_name, seconds)
            except TimeoutError:
                purpose, holder = f"loading {self.pipeline_name}", "another run or machine"
                raise WarehouseBusy(_busy(seconds, purpose, holder)) from None
            client.empty_staging()
            yield

    def _go_on(self) -> None:
        """Takes up the state and the schemas of the load before."""
        if self.continues_from is None:
            with turn(f"reading the state of {self.pipeline_name}"):
                self.sync_destination()
            return
        for file, content in self.continues_from.files.items():
            path = Path(self.working_dir) / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    def _place(self) -> SavedPosition:
        folder = Path(self.working_dir)
        schemas = Path(self.schemas.storage.storage_path)
        files = [folder / self.STATE_FILE, *schemas.iterdir()]
        return SavedPosition(
            self.state.get("_version_hash"),
            {file.relative_to(folder): file.read_bytes() for file in files},
        )

    def _prepare_tables(self, opened: OpenDuckDb | None) -> None:
        """Makes what tables and columns are missing, also those that were dropped by hand.

        For each schema this is done once while a DuckDB file stays open. What was staged for the
        load before is forgotten.
        """
        if opened:
            opened.drop_staging()
            # nobody else changes a file that is open here
            if self.default_schema.version_hash in opened.schemas and not self.continues_from:
                return
        with self.destination_client() as client:
            self._check_place(client)
            client.initialize_storage()
            client.update_stored_schema(force=True)
        if opened:
            opened.schemas.add(self.default_schema.version_hash)

    def _check_place(self, client: Any) -> None:
        if self.continues_from is None:
            return
        stored = load_pipeline_state_from_destination(self.pipeline_name, client)
        if not stored or stored.get("_version_hash") != self.continues_from.state_hash:
            raise ConcurrentWriteError(
                f"Another run has loaded {self.pipeline_name} meanwhile. What was fetched since is "
                "not written; run it again."
            )


def _spare_deduplication(source: DltSource) -> None:
    """Has DuckDB not look for clicks that came twice, which takes most of a merge's memory.

    The source hands on none, and DuckDB, within this process, is not given a file twice.
    """
    if clicks := source.resources.get(CLICKS.name):
        clicks.apply_hints(
            write_disposition={
                "disposition": "merge",
                "strategy": "delete-insert",
                "deduplicated": True,
            }
        )


def _release_arrow_memory() -> None:
    """Gives back what Arrow would keep for itself and the destination needs now."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


@contextmanager
def open_pipeline(name: str) -> Iterator[WarehousePipeline]:
    """A pipeline with a working folder of its own, which is gone afterwards.

    Its state lives in the destination, so that any machine can carry on where another stopped.
    """
    with tempfile.TemporaryDirectory(prefix="link_assets_", ignore_cleanup_errors=True) as folder:
        yield _new_pipeline(name, folder)


def described_pipeline(name: str) -> dlt.Pipeline:
    """A pipeline to describe, not to run: it has no destination and leaves no folder behind."""
    with tempfile.TemporaryDirectory(prefix="link_assets_") as folder:
        return dlt.pipeline(f"{DATASET}_{name}", pipelines_dir=folder, dataset_name=DATASET)


def _new_pipeline(name: str, folder: str) -> WarehousePipeline:
    return dlt.pipeline(
        f"{DATASET}_{name}",
        pipelines_dir=folder,
        destination=_destination(name),
        dataset_name=DATASET,
        _impl_cls=WarehousePipeline,
    )


def _destination(name: str) -> Destination[Any, Any]:
    if file := duckdb_file():
        return _duckdb(file)
    # runs that write at the same time must not share a staging dataset
    layout = f"%s_staging_{name}"
    if destination_type() == POSTGRES:
        from link_assets.warehouse.destinations.postgres import exact_postgres

        return exact_postgres(destination_name=POSTGRES, staging_dataset_name_layout=layout)
    other = Destination.from_reference(destination_type(), staging_dataset_name_layout=layout)
    return cast(Destination[Any, Any], other)


def _duckdb(file: Path) -> Destination[Any, Any]:
    from link_assets.warehouse.destinations.duckdb import catalog_duckdb

    return catalog_duckdb(credentials=str(file), destination_name=DUCKDB)


class Reader:
    """Reads the warehouse; in queries `{dataset}` stands for the dataset's qualified name."""

    def __init__(self, client: SqlClientBase[Any], opened: OpenDuckDb | None = None) -> None:
        self._client = client
        self._opened = opened

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The rows of a query; raises dlt's DatabaseUndefinedRelation if a table is missing."""
        return self._read(lambda: self._client.execute_sql(self._qualified(query)) or [])

    def each(self, query: str) -> Iterator[Sequence[Any]]:
        """The rows of a query, some thousands at a time; raises like `rows`."""
        with self._client.execute_query(self._qualified(query)) as cursor:
            while rows := cursor.fetchmany(10_000):
                yield from rows

    def columns(self, table: str) -> list[str]:
        """The columns of a table, in order; raises like `rows`."""
        table = self._qualified(f"{{dataset}}.{table}")
        return self._read(partial(columns_of, self._client, table))

    def _read(self, read: Callable[[], _T]) -> _T:
        return with_memory(self._opened, "reading", read)

    def _qualified(self, query: str) -> str:
        return query.replace("{dataset}", self._client.fully_qualified_dataset_name())


def columns_of(client: SqlClientBase[Any], table: str) -> list[str]:
    """The columns of a table that is named as the client qualifies it, in order."""
    with client.execute_query(f"SELECT * FROM {table} LIMIT 0") as cursor:
        return [column[0] for column in cursor.description]


@contextmanager
def reading() -> Iterator[Reader]:
    """A reader; of a DuckDB file for one turn, since even reading it keeps writers out."""
    dataset = _dataset(_destination("reader"))
    with (
        turn("reading") if duckdb_file() else nullcontext() as opened,
        dataset.sql_client as client,
    ):
        yield Reader(client, opened)


def _dataset(destination: Destination[Any, Any]) -> dlt.Dataset:
    # a schema is given so that dlt does not read it from the destination first
    return dlt.dataset(destination, DATASET, dlt.Schema(DATASET))


@contextmanager
def turn(purpose: str) -> Iterator[OpenDuckDb | None]:
    """Holds the warehouse for this process and thread alone; freed if the process dies.

    Gives the DuckDB file; None for any other destination.

    Raises WarehouseBusy after `lock_timeout_seconds`, which says who holds it and since when, and
    WarehouseUnusable if the lock cannot be made.
    """
    turns, seconds = _turns(duckdb_file()), location_settings().lock_timeout_seconds
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(turns.acquire(purpose, seconds))
        except Timeout:
            raise WarehouseBusy(_busy(seconds, purpose, turns.holder())) from None
        except OSError as error:
            raise WarehouseUnusable(
                f"{warehouse_name()} cannot be used: its lock file {turns.path} cannot be made "
                f"({error.strerror}). Check that its folder is one, and can be written."
            ) from None
        yield opened


def with_memory(opened: OpenDuckDb | None, purpose: str, action: Callable[[], _T]) -> _T:
    """What the action returns; it is repeated while DuckDB lacks memory and may be given more."""
    return opened.memory.enough_for(purpose, opened.client, action) if opened else action()


def _turns(file: Path | None) -> WarehouseLock[OpenDuckDb | None]:
    if file:
        with suppress(FileExistsError):
            file.parent.mkdir(parents=True, exist_ok=True)
        return _turns_at(file.with_name(file.name + ".lock"), file)
    # other destinations take several writers; what one machine does still goes one by one, so
    # that the first loads do not create the same tables at once
    return _turns_at(Path(tempfile.gettempdir()) / f"{DATASET}_{_location_hash()}.lock", None)


def _location_hash() -> str:
    """Tells warehouses apart that are no file; of a secret it says nothing."""
    configuration = _dataset(_destination("reader")).destination_client.config
    location = (destination_type(), configuration.data_location(), DATASET)
    return hashlib.blake2b(repr(location).encode(), digest_size=8).hexdigest()


@cache
def _turns_at(lock: Path, file: Path | None) -> WarehouseLock[OpenDuckDb | None]:
    """The same for all threads, which pass it on to each other."""
    if file is None:
        return WarehouseLock(lock, nullcontext)
    from link_assets.warehouse.destinations.duckdb_memory import DuckDbMemory

    return WarehouseLock(lock, partial(_duckdb_opened, _dataset(_duckdb(file)), DuckDbMemory()))


@contextmanager
def _duckdb_opened(dataset: dlt.Dataset, memory: DuckDbMemory) -> Iterator[OpenDuckDb]:
    """The file, open for all of dlt's clients in this process; else each would open it anew."""
    from link_assets.warehouse.destinations.duckdb import ATTACH_STAGING, OpenDuckDb, open_elsewhere

    client = dataset.sql_client
    try:
        client.open_connection()
    except DestinationException as error:
        if elsewhere := open_elsewhere(error):
            raise elsewhere from None
        raise
    with ExitStack() as stack:
        stack.callback(client.close_connection)
        # DuckDB would fill most of the machine's memory before it writes to disk
        memory.limit(client, location_settings().duckdb_memory)
        # dividing a chunk among threads takes longer than it saves, and each wants memory
        client.execute_sql("SET threads = 1")
        client.execute_sql(ATTACH_STAGING)
        yield OpenDuckDb(client, memory)


def warehouse_name() -> str:
    """What users call the warehouse: the DuckDB file, or the destination's type."""
    file = duckdb_file()
    return f"The warehouse {file}" if file else f"The warehouse ({destination_type()})"


def _busy(seconds: float, purpose: str, holder: str) -> str:
    return (
        f"The warehouse was not free for {seconds:g} seconds while waiting for {purpose}. "
        f"It is held by {holder}. Wait for that to end, or for that program to close the file; or "
        "give it longer with "
        f"{environment_name(LOCATION_SECTION)}__LOCK_TIMEOUT_SECONDS."
    )
