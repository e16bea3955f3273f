"""What `link-assets report` counts, and what it says when there is nothing to count.

Apart from the command itself, because importing this takes as long as importing dlt and Altair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

import click
from dlt.common.destination.exceptions import DestinationException

from link_assets.cli.chosen_domains import chosen_domains
from link_assets.cli.report_page import report_page
from link_assets.defs.domain_names import DomainNames, names_in
from link_assets.warehouse.click_figures import ALL
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.domains import domains_in
from link_assets.warehouse.errors import WarehouseBusy, WarehouseUnusable
from link_assets.warehouse.reader import Reader, reading
from link_assets.warehouse.report_figures import ReportFigures, report_figures


@dataclass(frozen=True)
class Report:
    """A report as HTML, and what is in it in a sentence."""

    html: str
    summary: str


def make_report(domains: Sequence[str], days: int | None) -> Report:
    """Count clicks and make the report of them.

    Args:
        domains: Ids or hosts of those to count the clicks of; all if there are none.
        days: How many days up to the newest click; None for all.

    Raises:
        click.ClickException: There is nothing to count, no such domain, or the warehouse cannot be
            read.
        SettingsError: The settings cannot be those of a warehouse.
    """
    warehouse = configured_warehouse()
    if not warehouse.exists():
        raise click.ClickException(
            f"{warehouse.name} is not there yet. Load it first, or make one with `link-assets "
            "demo`; DESTINATION__DUCKDB__CREDENTIALS says where it is."
        )
    made = datetime.now(UTC)
    with _errors_of_the_warehouse(), reading() as reader:
        names = names_in(reader)
        chosen = _chosen(reader, domains, names) if domains else None
        figures = report_figures(reader, made.date(), chosen, days)
    if figures is None:
        raise click.ClickException(_nothing(warehouse.name, chosen, names))
    # not the folder: reports are sent to others
    place = PurePath(warehouse.address).name or f"a warehouse of the type {warehouse.type}"
    return Report(report_page(figures, names, place, made), _summary(figures))


def _chosen(reader: Reader, wanted: Sequence[str], names: DomainNames) -> Sequence[int]:
    known = [str(domain) for domain in domains_in(reader)]
    return [int(domain) for domain in chosen_domains(wanted, known, names)]


@contextmanager
def _errors_of_the_warehouse() -> Iterator[None]:
    """Say in a sentence why the warehouse cannot be read."""
    try:
        yield
    except (WarehouseBusy, WarehouseUnusable) as error:
        raise click.ClickException(str(error)) from None
    except DestinationException as error:
        warehouse = configured_warehouse()
        advice = warehouse.advice(error) or "See the README's 'When something is wrong'."
        raise click.ClickException(
            f"{warehouse.name} cannot be read: {warehouse.reason(error)}. {advice}"
        ) from None


def _nothing(warehouse: str, chosen: Collection[int] | None, names: DomainNames) -> str:
    which = "" if chosen is None else f" of domain {', '.join(map(names.of, chosen))}"
    return f"{warehouse} has no clicks{which} up to today. Materialize link_assets/clicks first."


def _summary(figures: ReportFigures) -> str:
    clicks, domains = figures.totals[ALL].clicks, len(figures.totals) - 1
    period = figures.period
    return (
        f"{clicks:,} click{'s' * (clicks != 1)} of {domains} domain{'s' * (domains != 1)} from "
        f"{period.first} to {period.last} (UTC)."
    )
