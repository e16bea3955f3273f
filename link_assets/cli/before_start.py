"""What commands check before they start anything, so that a mistake costs one sentence.

Nothing is started, written or asked for over the network here.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from dotenv import dotenv_values

from link_assets.cli.dagster_home import HomeError
from link_assets.settings import API_SECTION, SettingsError, environment_name, location_settings

SECTION = environment_name(API_SECTION)
"""What the names of the API's settings begin with in the environment."""
ENV_FILE = Path(".env")


@contextmanager
def errors_in_one_sentence(
    refusal: type[click.ClickException] = click.ClickException,
) -> Iterator[None]:
    """End the command with the message of a HomeError or SettingsError, without a traceback."""
    try:
        yield
    except (HomeError, SettingsError) as error:
        raise refusal(str(error)) from None


def check_settings() -> None:
    """Raise SettingsError if a setting of the location or the warehouse is unusable."""
    from link_assets.warehouse.destinations.configured import configured_warehouse

    location_settings()
    configured_warehouse().require_settings()


def require_nothing_half_set() -> None:
    """Refuse a `.env` that would undo the sandbox's settings when Dagster reads it again."""
    names = {f"{SECTION}__BASE_URL", f"{SECTION}__API_KEY"}
    if given := sorted(names & dotenv_values(ENV_FILE).keys()):
        raise click.ClickException(
            f".env has {' and '.join(given)}, but no address of an API: set {SECTION}__BASE_URL "
            "there, or remove these lines to read the sandbox."
        )


def require_free(host: str, port: int) -> None:
    """Refuse a port that nothing can listen on."""
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            socket.create_server(address[:2], family=family).close()
    except (socket.gaierror, UnicodeError):
        raise click.ClickException(f"There is no host {host}: give another with --host.") from None
    except OSError as error:
        raise click.ClickException(
            f"Port {port} of {host} cannot be listened on: {os.strerror(error.errno or 0)}. "
            "Give another one with --port."
        ) from None
