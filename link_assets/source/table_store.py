"""Where tables wait to be loaded: in memory while there is room, then in files.

All domains of a run share a store, so what waits takes as much memory however many they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

IN_MEMORY = 24_000_000
"""Bytes of a store in memory: about 60,000 clicks."""


class TableStore:
    """Keeps tables until they are discarded; safe to call from several threads.

    Args:
        folder: Where to write what does not fit into memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room = IN_MEMORY
        self._changed = Lock()

    def keep(self, table: pa.Table) -> StoredTable:
        """Keep a table."""
        size = table.nbytes
        if self._take(size):
            return StoredTable(self, len(table), size, table)
        return StoredTable(self, len(table), 0, _write(table, self._folder))

    def give_back(self, size: int) -> None:
        """Make room for so many bytes again."""
        with self._changed:
            self._room += size

    def _take(self, size: int) -> bool:
        with self._changed:
            fits = size <= self._room
            self._room -= size if fits else 0
            return fits


@dataclass
class StoredTable:
    """A table of `rows` rows in a store, where it takes so many bytes of memory."""

    store: TableStore
    rows: int
    size: int
    _kept: pa.Table | Path | None

    def read(self) -> pa.Table:
        """Return the table; it must not be discarded yet."""
        import pyarrow as pa

        if not isinstance(self._kept, Path):
            return self._kept
        with pa.memory_map(str(self._kept)) as mapped:
            return pa.ipc.open_file(mapped).read_all()

    def halves(self) -> tuple[StoredTable, StoredTable] | None:
        """Return two tables that take its place; None if it has only one row."""
        middle, table = self.rows // 2, self.read()
        if not middle:
            return None
        self.discard()
        return self.store.keep(table.slice(0, middle)), self.store.keep(table.slice(middle))

    def discard(self) -> None:
        """Give back the room; may be repeated."""
        kept, self._kept = self._kept, None
        if isinstance(kept, Path):
            with suppress(OSError):  # the folder is deleted at the end
                kept.unlink()
        elif kept is not None:
            self.store.give_back(self.size)


def _write(table: pa.Table, folder: Path) -> Path:
    import pyarrow as pa

    with tempfile.NamedTemporaryFile(dir=folder, suffix=".arrow", delete=False) as file:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table)
    return Path(file.name)


@contextmanager
def open_store() -> Iterator[TableStore]:
    """Give the block a store, whose files are deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="link_assets_", ignore_cleanup_errors=True) as folder:
        yield TableStore(Path(folder))
