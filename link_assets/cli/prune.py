"""The command `prune`: records of old runs, which Dagster has, and of old loads, which dlt has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from link_assets.cli.before_start import errors_in_one_sentence
from link_assets.cli.dagster_home import home_instance, use_existing_home


@click.command(
    help="""Delete what Dagster and dlt keep of runs and loads that ended more than DAYS ago.

    Clicks, links and days stay. So do runs that loaded a domain or a table, or judged a check,
    last.
    """
)
@click.option(
    "--days", type=click.IntRange(min=1), default=90, show_default=True, help="How long to keep."
)
def prune(days: int) -> None:
    """Delete old runs and records of loads, and say how many."""
    with errors_in_one_sentence():
        home = use_existing_home()
        from link_assets.defs.old_runs import delete_old_runs
        from link_assets.warehouse.old_loads import delete_old_loads

        before = datetime.now(UTC) - timedelta(days=days)
        with home_instance(home) as instance:
            pruned = delete_old_runs(instance, before)
        kept = f"; {pruned.kept} older ones stay, as the last of their kind" if pruned.kept else ""
        click.echo(f"Runs deleted: {pruned.deleted:,}{kept}.")
        click.echo(f"Records of loads deleted: {delete_old_loads(before):,}.")
