"""Marking links that a complete listing no longer has; none is removed.

The links asset makes a LinkListing before it loads and asks it to mark afterwards. Whether a
listing was complete, and of which domains it was not, the asset knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from link_assets.contract import LINKS
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.pipeline import WarehousePipeline
from link_assets.warehouse.reader import columns_of


@dataclass(frozen=True)
class LinkCounts:
    """Rows of the table `links`: those a listing wrote, the new ones, all, and the deleted ones."""

    written: int = 0
    new: int = 0
    total: int = 0
    deleted: int = 0

    @property
    def metadata(self) -> dict[str, int]:
        """Return the numbers as the materialization shows them.

        `rows_new` were not there before; `rows_already_there` were, and came again, revised or not.
        """
        return {
            "rows_new": self.new,
            "rows_already_there": max(0, self.written - self.new),
            "rows_total": self.total,
            "rows_deleted": self.deleted,
            "dagster/row_count": self.total,
        }


@dataclass(frozen=True)
class Disappearance:
    """What became of the links that a listing did not have.

    `missing` of the links were not in it, of `present` before it, and were `marked` as deleted or
    not. `unnamed` of the listed links were rejected and have no id, so each may be any of the
    missing ones. `counts` are of the table afterwards. Links of domains that were not listed are
    in none of the numbers but these.
    """

    present: int
    missing: int
    marked: bool
    unnamed: int = 0
    counts: LinkCounts = field(default=LinkCounts(), compare=False)

    @property
    def metadata(self) -> dict[str, int]:
        """Return the numbers as the materialization shows them."""
        return {
            **self.counts.metadata,
            "links_before": self.present,
            "links_missing": self.missing,
            "marked_deleted": self.missing if self.marked else 0,
            "links_without_id": self.unnamed,
        }


class LinkListing:
    """The links before a listing, to compare with those after it.

    A link is missing if its row is still the one of a load before the listing. One that another run
    lists at the same time is not.

    Args:
        pipeline: The pipeline that will load the listing.
    """

    def __init__(self, pipeline: WarehousePipeline) -> None:
        self._pipeline = pipeline
        before = self._links_before()
        self._present: Counter[int | None] = Counter()
        for _, domain, present, _ in before:
            self._present[domain] += present
        self._total = sum(total for *_, total in before)
        self._every_load = sorted({load for load, *_ in before})
        self._loads = sorted({load for load, _, present, _ in before if present})

    def mark_deleted(
        self, unread: Sequence[str | None], share: float, unlisted: Collection[int] = ()
    ) -> Disappearance:
        """Set `deleted_at` of the links that are missing from the complete listing just loaded.

        A link that is listed again has lost its mark by being loaded.

        Args:
            unread: The ids of listed links that were rejected. They exist and stay unmarked; if one
                has no id, nothing is marked.
            share: Nothing is marked if more than this share of the links present before is missing.
            unlisted: The domains whose links were not listed, or not to the end; they are left out.
        """
        rejected, skipped = [link for link in unread if link is not None], list(unlisted)
        present = sum(n for domain, n in self._present.items() if domain not in unlisted)
        gone = f"deleted_at IS NULL AND {_one_of('_dlt_load_id', self._loads)}"
        gone += f" AND NOT {_one_of('id', rejected)} AND NOT {_one_of('domain_id', skipped)}"
        values = (*self._loads, *rejected, *skipped)
        purpose = "marking deleted links"
        with exclusive_access(purpose) as opened, self._pipeline.sql_client() as client:
            table = client.make_qualified_table_name(LINKS.name)
            count = f"SELECT count(*) FROM {table} WHERE {gone}"
            ((missing,),) = client.execute_sql(count, *values) or [(0,)]
            unnamed = len(unread) - len(rejected)
            marked = not unnamed and missing > 0 and missing / present <= share
            if marked:
                update = f"UPDATE {table} SET deleted_at = %s WHERE {gone}"
                marked_at = datetime.now(UTC)
                opened.run(purpose, lambda: client.execute_sql(update, marked_at, *values))
            counts = self._counts_after(client, table)
        return Disappearance(present, missing, marked, unnamed, counts)

    def _counts_after(self, client: SqlClientBase[Any], table: str) -> LinkCounts:
        new_load = f"CASE WHEN {_one_of('_dlt_load_id', self._every_load)} THEN 0 ELSE 1 END"
        count = f"SELECT coalesce(sum({new_load}), 0), count(*), count(deleted_at) FROM {table}"
        ((written, total, deleted),) = client.execute_sql(count, *self._every_load) or [(0, 0, 0)]
        return LinkCounts(int(written), total - self._total, total, deleted)

    def _links_before(self) -> list[tuple[str, int | None, int, int]]:
        """Return each load id and domain with its links: those not marked as deleted, and all."""
        purpose = "counting links"
        with exclusive_access(purpose) as opened, self._pipeline.sql_client() as client:
            table = client.make_qualified_table_name(LINKS.name)
            try:
                columns = opened.run(purpose, partial(columns_of, client, table))
            except DatabaseUndefinedRelation:
                return []
            # the table may be of an earlier version, without that column
            gone = "count(deleted_at)" if "deleted_at" in columns else "0"
            counts = (
                f"SELECT _dlt_load_id, domain_id, count(*) - {gone}, count(*) FROM {table}"
                " GROUP BY 1, 2"
            )
            return [(str(load), *others) for load, *others in client.execute_sql(counts) or ()]


def _one_of(column: str, values: Sequence[str | int]) -> str:
    places = ", ".join(["%s"] * len(values)) or "NULL"
    return f"coalesce({column} IN ({places}), FALSE)"
