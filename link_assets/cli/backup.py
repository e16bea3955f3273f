"""The commands `backup` and `restore`, for a warehouse that is a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from link_assets.cli.before_start import check_settings, errors_in_one_sentence


@click.command(help="Copy the warehouse to FILE, while runs go on.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Copy the warehouse; a file that is there is replaced once the copy is whole."""
    started = time.monotonic()
    with _errors_in_one_sentence():
        from link_assets.warehouse.backup import back_up

        size = back_up(file)
    seconds = time.monotonic() - started
    click.echo(f"{file.absolute()}: {size / 1e6:.1f} MB, copied in {seconds:.1f} seconds.")


@click.command(help="Put the backup FILE in the place of the warehouse.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(file: Path) -> None:
    """Replace the warehouse, which is kept under another name."""
    with _errors_in_one_sentence():
        from link_assets.warehouse import backup
        from link_assets.warehouse.destinations.configured import configured_warehouse

        replaced = backup.restore(file)
        address = configured_warehouse().address
    click.echo(f"{address} is now a copy of {file}; loads go on from where it stands.")
    if replaced:
        click.echo(f"What it was before is in {replaced}.")


@contextmanager
def _errors_in_one_sentence() -> Iterator[None]:
    with errors_in_one_sentence():
        check_settings()
        from link_assets.warehouse.backup import NoWarehouse
        from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable

        try:
            yield
        except (NoWarehouse, WarehouseBusy, WarehouseUnusable) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(
                f"{error.filename or 'The copy'} cannot be written ({error.strerror})."
            ) from None
