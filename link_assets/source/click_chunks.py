"""Chunks of clicks that are fetched ahead, kept in files, and loaded with those of other domains.

`fetch_chunk` reads the next chunk of one domain with dlt's REST source, outside any pipeline;
`chunks_source` is the dlt source that loads the chunks of any number of domains at once. Between
the two a chunk takes room on disk, not in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.extract import DltResource, DltSource

from link_assets.contract import CLICKS
from link_assets.settings import ApiSettings
from link_assets.source.rest import SOURCE_NAME, declare_tables, fetched_clicks
from link_assets.source.resume import ClicksRead
from link_assets.source.run_resources import RunResources
from link_assets.source.transforms import BATCH_ROWS, FetchedRows, rejected_rows

if TYPE_CHECKING:
    import pyarrow as pa

_Files = Sequence[Path]


@dataclass(frozen=True)
class ClickChunk:
    """The next `rows` of a domain's clicks in Arrow files, and the `state` to go on from.

    A chunk without a state is a part of one: nothing goes on from it.
    """

    domain_id: int
    rows: int
    state: Mapping[str, Any] | None
    clicks: _Files
    rejected: _Files

    def halves(self) -> tuple[ClickChunk, ClickChunk] | None:
        """Return two chunks to load one after the other; None if it cannot be divided.

        The first has no state: until the second is loaded, the next run goes on from before both.
        """
        middle = len(self.clicks) // 2
        if not middle:
            return None
        first = replace(self, state=None, clicks=self.clicks[:middle], rejected=())
        return first, replace(self, clicks=self.clicks[middle:])

    def delete(self) -> None:
        """Delete the files."""
        for file in (*self.clicks, *self.rejected):
            file.unlink(missing_ok=True)


@contextmanager
def chunk_folder() -> Iterator[Path]:
    """Give the block a temporary folder for chunks."""
    with tempfile.TemporaryDirectory(prefix="link_assets_", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def fetch_chunk(
    settings: ApiSettings,
    domain_id: int,
    read: ClicksRead,
    folder: Path,
    *,
    resources: RunResources | None = None,
    host: str | None = None,
) -> ClickChunk:
    """Fetch a domain's next chunk into files of a folder; arguments else as for `clicks_source`.

    Raises:
        ResourceExtractionError: dlt's error around what `clicks_source` names.
    """
    source = fetched_clicks(settings, domain_id, read, resources=resources, host=host)
    fetched = [_kept(rows, folder) for rows in cast(Iterator[FetchedRows], source)]
    return ClickChunk(
        domain_id,
        sum(rows for rows, _, _ in fetched),
        deepcopy(read.state),
        [clicks for _, clicks, _ in fetched],
        [file for _, _, rejected in fetched for file in rejected],
    )


def _kept(rows: FetchedRows, folder: Path) -> tuple[int, Path, _Files]:
    return (
        len(rows.clicks) + sum(map(len, rows.rejected)),
        _write(rows.clicks, folder),
        [_write(rejected, folder) for rejected in rows.rejected],
    )


def _write(table: pa.Table, folder: Path) -> Path:
    import pyarrow as pa

    with tempfile.NamedTemporaryFile(dir=folder, suffix=".arrow", delete=False) as file:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table)
    return Path(file.name)


def _read(file: Path) -> pa.Table:
    import pyarrow as pa

    with pa.memory_map(str(file)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def chunks_source(settings: ApiSettings, chunks: Sequence[ClickChunk]) -> DltSource:
    """Make the source that loads chunks of different domains, with their rejected rows."""
    schema = dlt.Schema(SOURCE_NAME)
    declare_tables(schema, settings, (CLICKS,))
    clicks = dlt.resource(
        _tables(chunks),
        name=CLICKS.name,
        primary_key=list(CLICKS.primary_key),
        write_disposition="merge",
    )
    return DltSource(schema, SOURCE_NAME, [cast(DltResource, clicks)])


def _tables(chunks: Sequence[ClickChunk]) -> Iterator[Any]:
    """Yield what dlt takes for its tables; of many small chunks as few tables as of a large one."""
    yield dlt.mark.materialize_table_schema()
    yield from _lots(file for chunk in chunks for file in chunk.clicks)
    for rejected in _lots(file for chunk in chunks for file in chunk.rejected):
        yield from rejected_rows(rejected)


def _lots(files: Iterator[Path]) -> Iterator[pa.Table]:
    """Yield the tables in files, small ones together, up to about BATCH_ROWS rows."""
    import pyarrow as pa

    lot: list[pa.Table] = []
    for file in files:
        lot.append(_read(file))
        if sum(map(len, lot)) >= BATCH_ROWS:
            yield pa.concat_tables(lot, promote_options="default")
            lot = []
    if lot:
        yield pa.concat_tables(lot, promote_options="default")
