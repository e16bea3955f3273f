"""Copies of a warehouse that is a file: made while runs go on, and put in its place again.

Both hold the warehouse for as long as it takes to copy the file. Runs fetch meanwhile, and wait for
their turn to write. The file is copied while nobody has it open, so the copy is complete in itself.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from dlt.common.destination.exceptions import DestinationException
from dlt.common.storages import FileStorage

from link_assets.warehouse.access import kept_closed
from link_assets.warehouse.destinations.base import Warehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.process import prepare_process


class NoWarehouse(ValueError):
    """A file is not there, or is no such warehouse; the message says which file, and why."""


def back_up(copy: Path) -> int:
    """Copy the warehouse to a file, whose place it takes when it is whole; return its bytes.

    Raises:
        NoWarehouse: There is no warehouse that can be opened, or the copy would take its place.
        SettingsError: The warehouse is more than a file.
        WarehouseBusy, WarehouseUnusable: See `access.exclusive_access`.
        OSError: The copy cannot be written.
    """
    warehouse = configured_warehouse()
    file = warehouse.file_to_copy
    if not file.exists():
        raise NoWarehouse(f"{warehouse.name} is not there yet: there is nothing to back up.")
    if copy.exists() and copy.samefile(file):
        raise NoWarehouse(f"{copy} is the warehouse itself. Give another file.")
    with kept_closed("a backup", lambda: _close(warehouse)):
        return _replace(copy, file)


def restore(copy: Path) -> Path | None:
    """Put a copy in the place of the warehouse; return where the replaced file is kept, if any.

    Runs under way that go on from other positions than the copy's begin again from those.

    Raises:
        NoWarehouse: The file is no copy of such a warehouse.
        SettingsError, WarehouseBusy, WarehouseUnusable, OSError: As `back_up`.
    """
    warehouse = configured_warehouse()
    file = warehouse.file_to_copy
    if not copy.is_file() or (file.exists() and copy.samefile(file)) or not warehouse.is_copy(copy):
        raise NoWarehouse(f"{copy} is no backup of a warehouse of the type {warehouse.type}.")
    with kept_closed("restoring a backup", lambda: _close_if_possible(warehouse)):
        replaced = _kept(file) if file.exists() else None
        # what the replaced file had not taken up yet would be added to the restored one
        file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
        _replace(file, copy)
    return replaced


def _close(warehouse: Warehouse) -> None:
    """Make sure that nobody has the file open, and that it has all that was written."""
    prepare_process()
    try:
        with warehouse.open():
            pass
    except DestinationException as error:
        reason = warehouse.reason(error)
        raise NoWarehouse(f"{warehouse.name} cannot be opened: {reason}.") from None


def _close_if_possible(warehouse: Warehouse) -> None:
    """Do the same with a file that may be damaged, which is why it is replaced."""
    if warehouse.exists():
        with suppress(NoWarehouse):
            _close(warehouse)


def _kept(file: Path) -> Path:
    """Return another name of the file, which stays when it is replaced."""
    kept = file.with_name(f"{file.name}.replaced")
    kept.unlink(missing_ok=True)
    FileStorage.link_hard_with_fallback(str(file), str(kept))
    return kept


def _replace(file: Path, by: Path) -> int:
    """Replace a file by a copy of another one, at once when it is whole; return its bytes."""
    arriving = file.with_name(f"{file.name}.arriving")
    try:
        with by.open("rb") as source, arriving.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        arriving.replace(file)
    finally:
        arriving.unlink(missing_ok=True)
    return file.stat().st_size
