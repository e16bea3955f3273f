"""The command `load`: everything into the warehouse, once, in this process."""

from __future__ import annotations

import sys

import click

from link_assets.cli.before_start import check_settings, errors_in_one_sentence
from link_assets.cli.dagster_home import use_dagster_home
from link_assets.contract import DAILY_CLICKS
from link_assets.settings import api_settings


@click.command(
    help="""Load domains, links and all clicks, compute daily clicks, and run the checks.

    All of it once, in this process: neither Dagster's UI nor its daemon has to run, so put it into
    cron. Its runs are in the UI afterwards, and a run that was stopped or killed is resumed by the
    next load. Several loads at once, here or in the UI, wait for each other where they write.

    The exit code is 0 only if every run succeeded and no check failed; a check that only warns
    is shown and does not count. It is 1 otherwise, 2 for options that cannot be, and 128 and the
    signal's number after SIGINT (130) or SIGTERM (143).
    """
)
@click.option(
    "--only", metavar="TABLE", help="Load one table: links, clicks or another that has an asset."
)
@click.option(
    "--domain",
    "domains",
    metavar="ID|HOST",
    multiple=True,
    help="Load the clicks of this domain alone, and compute its days; may be repeated. Links are "
    "listed first, unless --only clicks is given.",
)
@click.option(
    "--full-refresh",
    is_flag=True,
    help="Read every page of clicks again, from the first. No row is deleted for it.",
)
@click.option(
    "--skip-checks",
    is_flag=True,
    help="Run no check. Without it, all tables are judged at the end; with --only or --domain just "
    "what was loaded.",
)
def load(only: str | None, domains: tuple[str, ...], full_refresh: bool, skip_checks: bool) -> None:
    """Load and exit, with 0 only if all is well."""
    with errors_in_one_sentence():
        check_settings()
        if only != DAILY_CLICKS.name:  # they are computed in the warehouse
            api_settings()
        home = use_dagster_home()
        from link_assets.cli.run_load import LoadOptions, run_load

        sys.exit(run_load(home, LoadOptions(only, domains, full_refresh, skip_checks)))
