"""What `link-assets demo` runs and shows: what `load` runs, and the clicks that came.

Apart from the command itself, because importing this takes as long as importing Dagster and dlt.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from link_assets.cli.dagster_home import home_instance
from link_assets.cli.lasting_output import lasting_console
from link_assets.cli.progress import Progress
from link_assets.cli.run_load import LoadOptions, is_well, load, say_ended
from link_assets.cli.show_load import print_checks, print_failures
from link_assets.cli.stop_signals import stop_signals
from link_assets.contract import CLICKS
from link_assets.defs.domain_names import names_in
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import reading


def run_demo(home: Path) -> bool:
    """Load the links and every domain's clicks, run the checks, and print what came of it.

    Returns:
        Whether every run succeeded and no check failed; a warning is shown and does not count.
    """
    console, output = lasting_console()
    with (
        stop_signals(lambda: say_ended(console)) as signals,
        home_instance(home) as instance,
    ):
        progress = Progress(console, is_stopping=lambda: bool(signals.first))
        runs = load(instance, LoadOptions(), progress, signals)
        print_failures(console, runs)
        if signals.first or not all(run.succeeded for run in runs):
            return False
    console.print(_domains_table())
    print_checks(console, runs)
    _print_next_steps(console)
    return is_well(runs) and not output.error


def _domains_table() -> Table:
    columns = ("domain", "host", "clicks", "first click (UTC)", "last click (UTC)")
    table = Table(*columns, title="\nClicks by domain")
    with reading() as reader:
        names = names_in(reader)
        rows = reader.rows(
            "SELECT domain_id, count(*), min(dt), max(dt)"
            f" FROM {{dataset}}.{CLICKS.name} GROUP BY domain_id ORDER BY domain_id"
        )
    for domain, clicks, first, last in rows:
        host = escape(names.host(domain) or "")
        table.add_row(str(domain), host, str(clicks), _minute(first), _minute(last))
    return table


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _print_next_steps(console: Console) -> None:
    address = configured_warehouse().address
    console.print(f"\nThe warehouse is {address}." if address else "", soft_wrap=True)
    console.print("See it in Dagster's UI, with these runs: uv run link-assets dev", soft_wrap=True)
