"""The command `dev`: Dagster's UI and daemon, with the sandbox API where none is set."""

from __future__ import annotations

import signal
import subprocess
import sys

import click

from link_assets.cli.before_start import check_settings, errors_in_one_sentence, require_free
from link_assets.cli.dagster_home import in_use, use_dagster_home
from link_assets.cli.sandbox import Api, api_option, sandbox_api


@click.command(
    help="Start Dagster's UI and daemon; on the sandbox API unless one is set. "
    "Further arguments go to `dagster dev`.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@api_option
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
def dev(context: click.Context, api: Api, port: int, host: str) -> None:
    """Run `dagster dev` until it is stopped, and exit with what it exits with."""
    with errors_in_one_sentence():
        check_settings()
        home = use_dagster_home()
    command = [sys.executable, "-m", "dagster", "dev", "-m", "link_assets.definitions"]
    command += ["--host", host, "--port", str(port), *context.args]
    with errors_in_one_sentence(), in_use(home, f"at http://{host}:{port}"):
        require_free(host, port)
        with sandbox_api(only_if_unset=True, api=api) as url:
            if url:
                click.echo(f"No API is set: reading the sandbox at {url}.")
            click.echo(f"Dagster keeps its runs in {home}.")
            sys.exit(_run_until_stopped(command))


def _run_until_stopped(command: list[str]) -> int:
    """Run the command, hand SIGTERM on to it, and return what it exits with."""
    # a shell's background job ignores Ctrl-C, and Dagster then ignores SIGTERM as well
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches dagster dev as well, which then ends in its own time
