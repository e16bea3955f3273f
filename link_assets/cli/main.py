"""The group of commands, which reads `.env` before any of them.

A new command is its own file and one line at the end of this one.
"""

from __future__ import annotations

import io
import sys

import click
from dotenv import load_dotenv

from link_assets.cli.backup import backup, restore
from link_assets.cli.before_start import ENV_FILE
from link_assets.cli.demo import demo
from link_assets.cli.dev import dev
from link_assets.cli.load import load
from link_assets.cli.prune import prune
from link_assets.cli.report import report
from link_assets.cli.sandbox import sandbox
from link_assets.cli.status import status


@click.group(help="Links and clicks of a link-analytics API, as Dagster assets.")
@click.version_option(package_name="link-assets", prog_name="link-assets")
def main() -> None:
    """Read `.env` of the working folder, which wins over the environment.

    It does so for Dagster's own commands, and a setting must not depend on which command reads it.
    """
    _replace_what_the_encoding_lacks()
    try:
        load_dotenv(ENV_FILE, override=True)
    except UnicodeDecodeError:
        raise click.ClickException(f"{ENV_FILE} is not UTF-8: save it as such.") from None


def _replace_what_the_encoding_lacks() -> None:
    """Show a character that the output's encoding lacks as `?`, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


for command in (backup, demo, dev, load, prune, report, restore, sandbox, status):
    main.add_command(command)
