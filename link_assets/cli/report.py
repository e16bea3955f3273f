"""The command `report`: one HTML file of what the clicks in the warehouse come to."""

from __future__ import annotations

import time
from pathlib import Path

import click

from link_assets.cli.before_start import check_settings, errors_in_one_sentence


@click.command(help="Make an HTML file of the clicks in the warehouse, to look at or send.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file.",
)
@click.option(
    "--days", type=click.IntRange(1, 100_000), help="Only the last days up to the newest click."
)
@click.option(
    "--domain", "domains", multiple=True, help="Only this domain: its id or host; repeatable."
)
@click.option("--open", "opened", is_flag=True, help="Show the file in the browser.")
def report(output: Path, days: int | None, domains: tuple[str, ...], opened: bool) -> None:
    """Count the clicks in the warehouse and write the file; nothing else is changed."""
    started = time.monotonic()
    with errors_in_one_sentence():
        check_settings()
        from link_assets.cli.run_report import make_report

        made = make_report(domains, days)
    _write(output, made.html)
    size = len(made.html.encode()) / 1e6
    click.echo(
        f"{output}: {made.summary} {size:.1f} MB, made in {time.monotonic() - started:.1f} seconds."
    )
    if opened and click.launch(str(output.absolute())):
        click.echo(f"No browser could be started: open {output.absolute()} in one.", err=True)


def _write(output: Path, html: str) -> None:
    try:
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written ({error.strerror}). Give another file with --output."
        ) from None
