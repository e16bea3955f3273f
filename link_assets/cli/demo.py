"""The command `demo`: load everything from a sandbox API, and show what came of it."""

from __future__ import annotations

import sys

import click

from link_assets.cli.before_start import SECTION, check_settings, errors_in_one_sentence
from link_assets.cli.dagster_home import use_dagster_home
from link_assets.cli.sandbox import Api, api_option, sandbox_api
from link_assets.settings import BASE_URLS, base_url_is_set, configured_api


@click.command(help="Load everything from a sandbox API into the warehouse, and show it.")
@api_option
def demo(api: Api) -> None:
    """Run the demo and exit; with 0 only if every load succeeds and no check fails."""
    if base_url_is_set():
        setting = "API" if configured_api() in BASE_URLS else "BASE_URL"
        raise click.ClickException(
            f"{SECTION}__{setting} is set, and the demo would mix made-up clicks into that API's "
            "warehouse. Unset it, or run the demo in an empty folder."
        )
    with errors_in_one_sentence():
        check_settings()
        home = use_dagster_home()
        with sandbox_api(api=api):
            from link_assets.cli.run_demo import run_demo

            sys.exit(0 if run_demo(home) else 1)
