"""The command `status`: whether the loads are well, for people and for monitoring."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from link_assets.cli.before_start import check_settings, errors_in_one_sentence
from link_assets.cli.dagster_home import HomeError, home_instance, use_existing_home
from link_assets.settings import SettingsError


class StatusUnknown(click.ClickException):
    """The status could not be found out; options that cannot be have the same exit code."""

    exit_code = 2


@click.command(
    help="""Show the last loads, what is late, what failed and what the checks found.

    By table and domain, from Dagster's records and the warehouse, of which only the domains' hosts
    are read. It waits little for a load that has the warehouse, and makes no file.

    The exit code is 0 if all is well; 1 if not: a table or domain is late or was never loaded, its
    last load failed, a check failed, or the warehouse is gone or broken; 2 if it could not be found
    out. A check that only warns is shown and does not count.
    """
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/commands.md has its keys.")
def status(as_json: bool) -> None:
    """Print the status and exit with what it is."""
    try:
        with errors_in_one_sentence(StatusUnknown), _unexpected_errors_in_one_sentence():
            check_settings()
            code = _print_status(use_existing_home(), as_json)
    except StatusUnknown as unknown:
        if as_json:
            click.echo(json.dumps(_unknown_as_json(unknown.message), indent=2))
        raise
    sys.exit(code)


@contextmanager
def _unexpected_errors_in_one_sentence() -> Iterator[None]:
    """Raise StatusUnknown for any other error, without its text, which may quote a row."""
    try:
        yield
    except (HomeError, SettingsError, click.ClickException):
        raise
    except Exception as error:
        from link_assets.defs.failures import kind_and_place

        raise StatusUnknown(f"The status is not known: {kind_and_place(error)}.") from error


def _unknown_as_json(why: str) -> Mapping[str, Any]:
    """Return the keys that docs/commands.md lists; without an import that may have failed."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "healthy": False,
        "at": at,
        "problems": [why],
        "notes": [],
        "loads": [],
        "checks": [],
    }


def _print_status(home: Path, as_json: bool) -> int:
    from rich.console import Console

    from link_assets.cli import show_status
    from link_assets.defs.status import read_status

    with home_instance(home) as instance:
        found = read_status(instance)
    if as_json:
        click.echo(json.dumps(show_status.as_json(found), indent=2))
    else:
        show_status.print_status(Console(), found)
    return 0 if found.is_healthy else 1
