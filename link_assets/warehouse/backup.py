"""Copies of a warehouse that is a file: made while runs go on, and put in its place again.

Both hold the warehouse: runs fetch meanwhile, and wait for their turn to write. A file takes the
place of another when it is whole, and what a restored copy replaces is kept.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dlt.common.destination.exceptions import DestinationException
from dlt.common.storages import FileStorage

from link_assets.warehouse import positions
from link_assets.warehouse.access import exclusive_access, kept_closed
from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.process import prepare_process

COPY = """
import shutil, sys
try:
    shutil.copyfile(*sys.argv[1:])
except OSError as error:
    sys.exit(error.errno or 1)
"""
"""Copies a file, as a program that exits with the system's error."""


class NoWarehouse(ValueError):
    """A file is not there, or is no such warehouse; the message says which file, and why."""


def back_up(copy: Path) -> int:
    """Copy the warehouse to a file, whose place it takes when it is whole; return its bytes.

    The copy may be read by those who may read the warehouse.

    Raises:
        NoWarehouse: There is no warehouse that can be opened, or the copy would take its place.
        SettingsError: The warehouse is more than a file.
        WarehouseBusy, WarehouseUnusable: See `access.exclusive_access`.
        OSError: The copy cannot be written.
    """
    warehouse = configured_warehouse()
    file, copy = warehouse.file_to_copy.resolve(), copy.resolve()
    if not file.exists():
        raise NoWarehouse(f"{warehouse.name} is not there yet: there is nothing to back up.")
    if copy.exists() and copy.samefile(file):
        raise NoWarehouse(f"{copy} is the warehouse itself. Give another file.")
    prepare_process()
    arriving = _arriving(copy)
    try:
        with exclusive_access("a backup") as opened:
            opened.complete_file()
            _copy(file, arriving)
        _changes_of(copy).unlink(missing_ok=True)
        arriving.replace(copy)
    except DestinationException as error:
        raise _not_opened(warehouse, error) from None
    finally:
        arriving.unlink(missing_ok=True)
    return copy.stat().st_size


def restore(copy: Path) -> Path | None:
    """Put a copy in the place of the warehouse; return where the replaced file is kept, if any.

    Positions get other numbers, so that runs which have fetched since the copy was made notice, and
    begin again from it.

    Raises:
        NoWarehouse: The file is no copy of such a warehouse, or not all of one.
        SettingsError, WarehouseBusy, WarehouseUnusable, OSError: As `back_up`.
    """
    warehouse = configured_warehouse()
    file, copy = warehouse.file_to_copy.resolve(), copy.resolve()
    arriving = _arriving(file)
    try:
        _require_whole(copy, file, warehouse)
        _copy(copy, arriving)
        warehouse.add_in_copy(arriving, positions.TABLE, "number", 1 + secrets.randbelow(2**31))
        with kept_closed("restoring a backup", lambda: _close_if_possible(warehouse)):
            replaced = _keep(file, arriving) if file.exists() else None
            arriving.replace(file)
    finally:
        arriving.unlink(missing_ok=True)
        _changes_of(arriving).unlink(missing_ok=True)
    return replaced


def _require_whole(copy: Path, file: Path, warehouse: Warehouse) -> None:
    is_other = copy.is_file() and not (file.exists() and copy.samefile(file))
    changes = _changes_of(copy)
    if is_other and changes.exists():
        raise NoWarehouse(
            f"{copy} is not all of a backup: {changes.name} beside it has changes that it has not "
            "taken up. Open it with DuckDB for writing once, or delete that file."
        )
    if not is_other or not warehouse.is_copy(copy):
        raise NoWarehouse(f"{copy} is no backup of a warehouse of the type {warehouse.type}.")


def _close_if_possible(warehouse: Warehouse) -> None:
    """Make sure that nobody has the file open; it may be damaged, and be replaced for that."""
    prepare_process()
    if warehouse.exists():
        with suppress(DestinationException), warehouse.open():
            pass


def _keep(file: Path, arriving: Path) -> Path:
    """Keep the file, and what it has not taken up, under another name; return that.

    What arrives gets its mode and, as far as this process may, its owner.
    """
    now = datetime.now(UTC)
    kept = file.with_name(f"{file.name}.replaced-{now:%Y%m%dT%H%M%S.%fZ}")
    FileStorage.link_hard_with_fallback(str(file), str(kept))
    owner = file.stat()
    shutil.copymode(file, arriving)
    with suppress(OSError):
        os.chown(arriving, owner.st_uid, owner.st_gid)
    with suppress(FileNotFoundError):
        # beside the restored file, they would be added to it
        _changes_of(file).replace(_changes_of(kept))
    return kept


def _copy(file: Path, arriving: Path) -> None:
    """Copy a file, with its mode, to one that nobody else may read before; and to the disk."""
    arriving.unlink(missing_ok=True)
    arriving.touch(0o600)
    # in another process: a database that this one has open loses its lock when this one closes it
    if code := subprocess.run([sys.executable, "-I", "-c", COPY, file, arriving]).returncode:
        raise OSError(code, os.strerror(code), str(arriving))
    shutil.copymode(file, arriving)
    with arriving.open("rb+") as written:
        os.fsync(written.fileno())


def _arriving(file: Path) -> Path:
    return file.with_name(f"{file.name}.arriving")


def _changes_of(file: Path) -> Path:
    """Return the file in which DuckDB keeps changes that a database has not taken up."""
    return file.with_name(f"{file.name}.wal")


def _not_opened(warehouse: Warehouse, error: DestinationException) -> NoWarehouse:
    reason = warehouse.reason(error)
    return NoWarehouse(f"{warehouse.name} cannot be opened: {reason}.")
