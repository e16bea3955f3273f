"""The command `sandbox`, and the sandbox API that `demo` and `dev` read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from link_assets.cli.before_start import SECTION, require_free, require_nothing_half_set
from link_assets.settings import base_url_is_set

if TYPE_CHECKING:
    from link_assets.sandbox import Sandbox

PORT = click.IntRange(0, 65535)
COUNT = click.IntRange(0)
SECONDS = click.FloatRange(0)

Api = Literal["guide", "short_io"]
api_option = click.option(
    "--api",
    type=click.Choice(["guide", "short_io"]),
    default="guide",
    show_default=True,
    help="The API that the sandbox speaks.",
)
"""Which contract the sandbox serves; a command that starts one has this option."""


@click.command(help="Serve the sandbox API, until Ctrl-C.")
@api_option
@click.option("--port", type=PORT, default=8300, show_default=True, help="Port on 127.0.0.1.")
@click.option("--seed", default=7, show_default=True, help="Which made-up data.")
@click.option("--domains", type=COUNT, default=3, show_default=True, help="How many domains.")
@click.option("--links", type=COUNT, default=12, show_default=True, help="Links of each domain.")
@click.option("--clicks", type=COUNT, default=400, show_default=True, help="Clicks of each domain.")
@click.option("--click-seconds", type=SECONDS, default=0.0, help="A new click this often.")
@click.option(
    "--page-size", type=click.IntRange(1), default=150, show_default=True, help="Rows of a page."
)
@click.option("--latency", type=SECONDS, default=0.0, help="Seconds that each answer takes.")
def sandbox(
    api: Api,
    port: int,
    seed: int,
    domains: int,
    links: int,
    clicks: int,
    click_seconds: float,
    page_size: int,
    latency: float,
) -> None:
    """Serve the sandbox API and print the settings that make the code location read it."""
    from link_assets.sandbox import Sandbox, World, run

    world = World(
        seed=seed,
        domains=domains,
        links_per_domain=links,
        clicks_per_domain=clicks,
        click_seconds=click_seconds,
    )
    server = Sandbox(world=world, page_size=page_size, latency=latency, api=api)
    require_free("127.0.0.1", port)
    run(server, port, announce=lambda url: click.echo("\n".join(_settings(url, server))))


@contextmanager
def sandbox_api(only_if_unset: bool = False, api: Api = "guide") -> Iterator[str | None]:
    """Serve the sandbox on a free port, set as the API for this process and its children.

    It speaks `api`, and the environment says so.

    With `only_if_unset` an API that is already set stays, and None is yielded.
    """
    if only_if_unset:
        if base_url_is_set():
            yield None
            return
        require_nothing_half_set()
    from link_assets.sandbox import Sandbox, World, serve

    server = Sandbox(world=World(), api=api)
    with serve(server) as url:
        os.environ |= dict(line.split("=", 1) for line in _settings(url, server))
        yield url


def _settings(url: str, server: Sandbox) -> list[str]:
    """Return the lines of `.env` that read this server; those of the guide's API name no API."""
    address = [f"{SECTION}__BASE_URL={url}"]
    if server.api == "short_io":
        address = [
            f"{SECTION}__API=short_io",
            *address,
            f"{SECTION}__STATISTICS_URL={url}/statistics",
        ]
    return [*address, f"{SECTION}__API_KEY={server.api_key}"]
