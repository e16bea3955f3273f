"""What a materialization shows of the latest clicks: a chart by day, and what leads among them.

They are read after a load, in a number of queries that does not grow with the domains. A failure to
read them is logged, and never fails the load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from link_assets.defs.chart import SHOWN_DAYS, clicks_chart
from link_assets.defs.failures import kind_and_place
from link_assets.settings import is_domain_id
from link_assets.warehouse.click_figures import ALL, Leader
from link_assets.warehouse.reader import reading
from link_assets.warehouse.recent_clicks import RecentClicks, recent_by_day, recent_leaders

WAIT_SECONDS = 60
"""How long the figures are worth waiting for the warehouse."""

Figures = Mapping[str, Mapping[str, Any]]
"""Metadata by partition key."""


def clicks_figures(
    context: dg.AssetExecutionContext, keys: Sequence[str], with_leading: bool = False
) -> Figures:
    """Return what the latest clicks of these partition keys come to; none if that fails.

    Args:
        context: That of the asset's step.
        keys: The partition keys.
        with_leading: Whether to show which links, countries and referrers lead, too.
    """
    domains = [int(key) for key in keys if is_domain_id(key)]
    if not domains:
        return {}
    try:
        with reading(WAIT_SECONDS) as reader:
            recent = recent_by_day(reader, domains, SHOWN_DAYS)
            together = recent_by_day(reader, ALL, SHOWN_DAYS)
            leaders = recent_leaders(reader, domains, SHOWN_DAYS) if with_leading else {}
        of_all = _chart("clicks_per_day_all_domains", together.get(ALL))
        return {
            str(domain): {
                **_chart("clicks_per_day", recent.get(domain)),
                **of_all,
                **_tables({what: found.get(domain, ()) for what, found in leaders.items()}),
            }
            for domain in domains
        }
    except Exception as error:  # noqa: BLE001 - the rows are there, shown or not
        context.log.warning(f"The latest clicks could not be shown: {kind_and_place(error)}.")
        return {}


def _chart(name: str, recent: RecentClicks | None) -> Mapping[str, Any]:
    return {name: clicks_chart(recent.people, recent.others, recent.last)} if recent else {}


def _tables(leaders: Mapping[str, Sequence[Leader]]) -> Mapping[str, Any]:
    """Return a table of each list that has any name in it."""
    columns = [dg.TableColumn("name", "string"), dg.TableColumn("clicks", "int")]
    records = {
        f"top_{what}": [
            dg.TableRecord({"name": leader.name, "clicks": leader.counted.clicks})
            for leader in found
            if leader.name is not None
        ]
        for what, found in leaders.items()
    }
    schema = dg.TableSchema(columns)
    return {name: dg.MetadataValue.table(of, schema) for name, of in records.items() if of}
