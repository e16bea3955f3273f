"""Links that a complete listing no longer has are marked, not removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import LINKS
from link_assets.warehouse import WarehousePipeline, columns_of, turn, with_memory


@dataclass(frozen=True)
class Disappearance:
    """What became of the links that a listing did not have: `missing` of `present` before it.

    `unnamed` of the listed links were rejected and have no id, so that each may be any of them.
    """

    present: int
    missing: int
    marked: bool
    unnamed: int = 0

    @property
    def metadata(self) -> dict[str, int]:
        """As shown on the materialization."""
        return {
            "links_before": self.present,
            "links_missing": self.missing,
            "marked_deleted": self.missing if self.marked else 0,
            "links_without_id": self.unnamed,
        }


class LinkListing:
    """Compares the links before a listing with those after it. Both read the warehouse in turn.

    Missing is what stays as a load before the listing left it: a link that another run lists at
    the same time is there.
    """

    def __init__(self, pipeline: WarehousePipeline) -> None:
        self._pipeline = pipeline
        before = self._before()
        self._present = sum(before.values())
        self._loads = list(before)

    def mark_deleted(self, unread: Sequence[str | None], share: float) -> Disappearance:
        """Sets `deleted_at` of the links that the listing just loaded, a complete one, had not.

        `unread` are the ids of listed links that were rejected: they are there and stay unmarked;
        if one has no id, nothing is marked. Nothing is marked either if the missing are more than
        `share` of the links present before. A link that is listed again lost its mark as it was
        loaded.
        """
        spared = [link for link in unread if link is not None]
        gone = f"deleted_at IS NULL AND {_one_of('_dlt_load_id', self._loads)}"
        gone += f" AND NOT {_one_of('id', spared)}"
        purpose = "marking deleted links"
        with turn(purpose) as opened, self._pipeline.sql_client() as client:
            table = client.make_qualified_table_name(LINKS.name)
            count = f"SELECT count(*) FROM {table} WHERE {gone}"
            ((missing,),) = client.execute_sql(count, *self._loads, *spared) or [(0,)]
            unnamed = len(unread) - len(spared)
            marked = not unnamed and missing > 0 and missing / self._present <= share
            if marked:
                update = f"UPDATE {table} SET deleted_at = %s WHERE {gone}"
                marked_at = datetime.now(UTC)
                with_memory(
                    opened,
                    purpose,
                    lambda: client.execute_sql(update, marked_at, *self._loads, *spared),
                )
        return Disappearance(self._present, missing, marked, unnamed)

    def _before(self) -> dict[str, int]:
        """How many of the links that are there each load brought."""
        purpose = "counting links"
        with turn(purpose) as opened, self._pipeline.sql_client() as client:
            table = client.make_qualified_table_name(LINKS.name)
            try:
                columns = with_memory(opened, purpose, partial(columns_of, client, table))
            except DatabaseUndefinedRelation:
                return {}
            # a table of a version that marked nothing has no such column yet
            there = "WHERE deleted_at IS NULL " if "deleted_at" in columns else ""
            by_load = f"SELECT _dlt_load_id, count(*) FROM {table} {there}GROUP BY 1"
            return {str(load): links for load, links in client.execute_sql(by_load) or ()}


def _one_of(column: str, values: list[str]) -> str:
    places = ", ".join(["%s"] * len(values)) or "NULL"
    return f"coalesce({column} IN ({places}), FALSE)"
