"""Marking links that a complete listing no longer has; none is removed.

The links asset makes a LinkListing before it loads and asks it to mark afterwards. Whether a
listing was complete, and of which domains it was not, the asset knows.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from link_assets.contract import LINKS
from link_assets.warehouse.access import exclusive_access
from link_assets.warehouse.pipeline import WarehousePipeline
from link_assets.warehouse.reader import columns_of

MARKED_AT_ONCE = 1_000
"""How many links a statement marks."""

PresentLink = tuple[str | None, str, int | None]
"""The `_dlt_id` (or None, see LinkListing), the id and the domain's id of a link."""
_Client = SqlClientBase[Any]


@dataclass(frozen=True)
class LinkCounts:
    """Rows of the table `links`: the listed ones, the new ones, all, and the deleted ones."""

    listed: int = 0
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
            "rows_already_there": max(0, self.listed - self.new),
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
    """The links before a listing, to compare with those that it has.

    A link is missing if it was not listed and its row is still the one of a load before the
    listing. One that another run loads at the same time is not.

    Args:
        pipeline: The pipeline that will load the listing.
        loaded_within: A link that was loaded longer ago is in `present` without its `_dlt_id`; None
            for none.
    """

    def __init__(self, pipeline: WarehousePipeline, loaded_within: timedelta | None = None) -> None:
        self._pipeline = pipeline
        self._total = 0
        self._loads: set[str] = set()
        self.present: Sequence[PresentLink] = ()
        """The links that are not marked as deleted."""
        purpose = "reading links"
        with exclusive_access(purpose) as opened, pipeline.sql_client() as client:
            opened.run(purpose, partial(self._read, client, loaded_within))

    def _read(self, client: _Client, loaded_within: timedelta | None) -> None:
        try:
            columns = columns_of(client, client.make_qualified_table_name(LINKS.name))
        except DatabaseUndefinedRelation:
            return
        loads = _rows(client, "SELECT _dlt_load_id, count(*) FROM {table} GROUP BY 1")
        self._loads, self._total = {load for load, _ in loads}, sum(n for _, n in loads)
        # a load's id is the time at which it began, as text
        since = int(time.time() - loaded_within.total_seconds()) if loaded_within else 0
        query = (
            f"SELECT CASE WHEN _dlt_load_id >= '{since}' THEN _dlt_id END, id, domain_id"
            " FROM {table}"
        )
        # the table may be of an earlier version, without that column
        there = " WHERE deleted_at IS NULL" if "deleted_at" in columns else ""
        self.present = _rows(client, query + there)

    def mark_deleted(
        self,
        listed: Collection[str],
        unread: Sequence[str | None],
        share: float,
        unlisted: Collection[int] = (),
    ) -> Disappearance:
        """Set `deleted_at` of the links that are missing from the complete listing just loaded.

        A link that is listed again has lost its mark by being loaded.

        Args:
            listed: The ids of the links that the listing had, loaded or not.
            unread: The ids of listed links that were rejected. They exist and stay unmarked; if one
                has no id, nothing is marked.
            share: Nothing is marked if more than this share of the links present before is missing.
            unlisted: The domains whose links were not listed, or not to the end; they are left out.
        """
        eligible = [link for _, link, domain in self.present if domain not in unlisted]
        missing = {*eligible}.difference(listed, unread)
        unnamed = sum(link is None for link in unread)
        purpose = "marking deleted links"
        with exclusive_access(purpose) as opened, self._pipeline.sql_client() as client:
            if missing:
                missing &= opened.run(purpose, lambda: self._not_loaded(client))
            marked = not unnamed and bool(missing) and len(missing) / len(eligible) <= share
            if marked:
                opened.run(purpose, lambda: _mark(client, sorted(missing)))
            counts = self._counts_after(client, len(listed))
        return Disappearance(len(eligible), len(missing), marked, unnamed, counts)

    def _not_loaded(self, client: _Client) -> set[str]:
        """Return the links that no load since the listing began has written."""
        query = "SELECT id, _dlt_load_id FROM {table} WHERE deleted_at IS NULL"
        return {link for link, load in _rows(client, query) if load in self._loads}

    def _counts_after(self, client: _Client, listed: int) -> LinkCounts:
        ((total, deleted),) = _rows(client, "SELECT count(*), count(deleted_at) FROM {table}")
        return LinkCounts(listed, total - self._total, total, deleted)


def _rows(client: _Client, query: str) -> Sequence[Any]:
    return client.execute_sql(_with_table(client, query)) or []


def _with_table(client: _Client, query: str) -> str:
    return query.replace("{table}", client.make_qualified_table_name(LINKS.name))


def _mark(client: _Client, links: Sequence[str]) -> None:
    """Mark links as deleted now, all or none of them."""
    now = datetime.now(UTC)
    with client.begin_transaction():
        for first in range(0, len(links), MARKED_AT_ONCE):
            some = links[first : first + MARKED_AT_ONCE]
            places = ", ".join(["%s"] * len(some))
            update = f"UPDATE {{table}} SET deleted_at = %s WHERE id IN ({places})"
            client.execute_sql(_with_table(client, update), now, *some)
