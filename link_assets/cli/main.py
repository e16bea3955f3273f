"""The commands: link-assets demo, dev and sandbox."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from dotenv import dotenv_values, load_dotenv

from link_assets.cli.dagster_home import HomeError, in_use, use_dagster_home
from link_assets.settings import (
    API_SECTION,
    SettingsError,
    base_url_is_set,
    environment_name,
    location_settings,
)

SECTION = environment_name(API_SECTION)
ENV_FILE = Path(".env")
PORT = click.IntRange(0, 65535)
COUNT = click.IntRange(0)
SECONDS = click.FloatRange(0)


@click.group(help="Links and clicks of a link-analytics API, as Dagster assets.")
def main() -> None:
    """Reads `.env` of the working folder, which wins over the environment.

    So do Dagster's own commands, and a setting must not depend on which command reads it.
    """
    _print_whatever_the_encoding()
    try:
        load_dotenv(ENV_FILE, override=True)
    except UnicodeDecodeError:
        raise click.ClickException(f"{ENV_FILE} is not UTF-8: save it as such.") from None


@main.command(help="Load everything from a sandbox API into the warehouse, and show it.")
def demo() -> None:
    """Exits 0 only if every load succeeds and no check fails."""
    if base_url_is_set():
        raise click.ClickException(
            f"{SECTION}__BASE_URL is set, and the demo would mix made-up clicks into that API's "
            "warehouse. Unset it, or run the demo in an empty folder."
        )
    with _one_sentence():
        _check_settings()
        use_dagster_home()
        with sandbox_api():
            from link_assets.cli.demo import run_demo

            sys.exit(0 if run_demo() else 1)


@main.command(
    help="Start Dagster's UI and daemon; on the sandbox API unless one is set. "
    "Further arguments go to `dagster dev`.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option(
    "-p",
    "--port",
    "--dagit-port",
    "port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    envvar=("DAGSTER_CLI_DEV_PORT", "DAGSTER_WEBSERVER_PORT"),
    help="Port of the UI.",
)
@click.option(
    "-h",
    "--host",
    "--dagit-host",
    "host",
    default="127.0.0.1",
    show_default=True,
    envvar=("DAGSTER_CLI_DEV_HOST", "DAGSTER_WEBSERVER_HOST"),
    help="Address of the UI.",
)
@click.pass_context
def dev(context: click.Context, port: int, host: str) -> None:
    """Runs until it is stopped; exits with what `dagster dev` exits with."""
    with _one_sentence():
        _check_settings()
    home = use_dagster_home()
    command = [sys.executable, "-m", "dagster", "dev", "-m", "link_assets.definitions"]
    command += ["--host", host, "--port", str(port), *context.args]
    with _one_sentence(), in_use(home, f"at http://{host}:{port}"):
        _require_free(host, port)
        with sandbox_api(only_if_unset=True) as url:
            if url:
                click.echo(f"No API is set: reading the sandbox at {url}.")
            click.echo(f"Dagster keeps its runs in {home}.")
            sys.exit(_run_until_stopped(command))


@main.command(help="Serve the sandbox API, until Ctrl-C.")
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
    _require_free("127.0.0.1", port)
    run(api, port, announce=lambda url: click.echo("\n".join(_settings(url, api.api_key))))


@contextmanager
def sandbox_api(only_if_unset: bool = False) -> Iterator[str | None]:
    """Serves the sandbox on a free port and sets it as the API for this process and its children.

    With `only_if_unset` an API that is already set stays, and None is yielded.
    """
    if only_if_unset:
        if base_url_is_set():
            yield None
            return
        _require_nothing_half_set()
    from link_assets.sandbox import Sandbox, World, serve

    api = Sandbox(world=World())
    with serve(api) as url:
        os.environ |= dict(line.split("=", 1) for line in _settings(url, api.api_key))
        yield url


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Ends the command with the message of what it cannot use, without a trace."""
    try:
        yield
    except (HomeError, SettingsError) as error:
        raise click.ClickException(str(error)) from None


def _check_settings() -> None:
    """Raises SettingsError, before anything is started, if a setting is unusable."""
    from link_assets.warehouse.destinations.configured import configured_warehouse

    location_settings()
    configured_warehouse()


def _require_nothing_half_set() -> None:
    """Refuses a `.env` that Dagster would read again, and so undo what the sandbox needs."""
    names = {f"{SECTION}__BASE_URL", f"{SECTION}__API_KEY"}
    if given := sorted(names & dotenv_values(ENV_FILE).keys()):
        raise click.ClickException(
            f".env has {' and '.join(given)}, but no address of an API: set {SECTION}__BASE_URL "
            "there, or remove these lines to read the sandbox."
        )


def _require_free(host: str, port: int) -> None:
    """Refuses a port that nothing can listen on, in one sentence."""
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


def _print_whatever_the_encoding() -> None:
    """Lets a character that the output's encoding lacks be shown as `?`, not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


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
