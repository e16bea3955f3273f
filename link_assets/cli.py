"""The commands: link-assets demo, dev and sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from dotenv import load_dotenv

from link_assets.home import use_dagster_home
from link_assets.settings import API_SECTION, SettingsError, base_url_is_set, environment_name

SECTION = environment_name(API_SECTION)


@click.group(help="Links and clicks of a link-analytics API, as Dagster assets.")
def main() -> None:
    """Reads `.env` of the working folder, as Dagster's own commands do."""
    load_dotenv(Path(".env"))


@main.command(help="Load everything from a sandbox API into the warehouse, and show it.")
def demo() -> None:
    """Exits 0 only if every load succeeds and no check fails."""
    if base_url_is_set():
        raise click.ClickException(
            f"{SECTION}__BASE_URL is set, and the demo would mix made-up clicks into that API's "
            "warehouse. Unset it, or run the demo in an empty folder."
        )
    _check_warehouse()
    use_dagster_home()
    with sandbox_api():
        from link_assets.demo import run_demo

        sys.exit(0 if run_demo() else 1)


@main.command(
    help="Start Dagster's UI and daemon; on the sandbox API unless one is set. "
    "Further arguments go to `dagster dev`.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.pass_context
def dev(context: click.Context) -> None:
    """Runs until it is stopped; exits with what `dagster dev` exits with."""
    _check_warehouse()
    home = use_dagster_home()
    command = [sys.executable, "-m", "dagster", "dev", "-m", "link_assets.definitions"]
    with sandbox_api(only_if_unset=True) as url:
        if url:
            click.echo(f"No API is set: reading the sandbox at {url}.")
        click.echo(f"Dagster keeps its runs in {home}.")
        sys.exit(_run_until_stopped([*command, *context.args]))


@main.command(help="Serve the sandbox API, until Ctrl-C.")
@click.option("--port", default=8300, show_default=True, help="Port on 127.0.0.1.")
@click.option("--seed", default=7, show_default=True, help="Which made-up data.")
@click.option("--domains", default=3, show_default=True, help="How many domains.")
@click.option("--links", default=12, show_default=True, help="Links of each domain.")
@click.option("--clicks", default=400, show_default=True, help="Clicks of each domain.")
@click.option("--click-seconds", default=0.0, help="A new click of each domain this often.")
@click.option("--page-size", default=150, show_default=True, help="Rows of a page.")
@click.option("--latency", default=0.0, help="Seconds that each answer takes.")
def sandbox(
    port: int,
    seed: int,
    domains: int,
    links: int,
    clicks: int,
    click_seconds: float,
    page_size: int,
    latency: float,
) -> None:
    """Prints the settings that make the code location read it."""
    from link_assets.sandbox import Sandbox, World, run

    world = World(
        seed=seed,
        domains=domains,
        links_per_domain=links,
        clicks_per_domain=clicks,
        click_seconds=click_seconds,
    )
    api = Sandbox(world=world, page_size=page_size, latency=latency)
    run(api, port, announce=lambda url: click.echo("\n".join(_settings(url, api.api_key))))


@contextmanager
def sandbox_api(only_if_unset: bool = False) -> Iterator[str | None]:
    """Serves the sandbox on a free port and sets it as the API for this process and its children.

    With `only_if_unset` an API that is already set stays, and None is yielded.
    """
    if only_if_unset and base_url_is_set():
        yield None
        return
    from link_assets.sandbox import Sandbox, World, serve

    api = Sandbox(world=World())
    with serve(api) as url:
        os.environ |= dict(line.split("=", 1) for line in _settings(url, api.api_key))
        yield url


def _check_warehouse() -> None:
    """Ends the command, before anything is started, if the warehouse's setting is unusable."""
    from link_assets.warehouse import duckdb_file

    try:
        duckdb_file()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _settings(url: str, api_key: str) -> list[str]:
    return [f"{SECTION}__BASE_URL={url}", f"{SECTION}__API_KEY={api_key}"]


def _run_until_stopped(command: list[str]) -> int:
    # a shell's background job ignores Ctrl-C, and Dagster then ignores SIGTERM as well
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches dagster dev as well, which then ends in its own time


if __name__ == "__main__":
    main()
