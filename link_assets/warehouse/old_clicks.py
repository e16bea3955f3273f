"""Clicks that are old enough to be deleted; the rows of their days in `daily_clicks` stay.

The days of a domain up to one of them are marked in the transaction that deletes their clicks, in
which they were computed, too, with all loads kept out: so no click goes that is not counted. They
are never computed again: not because their clicks are gone, and not if some of them come back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DAILY_CLICKS
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.reader import Reader, reading
from link_assets.warehouse.utc_days import midnight

DAYS = f"{{dataset}}.{DAILY_CLICKS.name}"


@dataclass(frozen=True)
class OldClicks:
    """The clicks of these domains, of days (UTC) before `first_kept`."""

    domains: Collection[int]
    first_kept: date

    @property
    def are_old(self) -> str:
        """Return the SQL that a click is one of them."""
        return f"{of_domains(self.domains)} AND dt < {midnight(self.first_kept)}"

    def count(self, reader: Reader) -> Mapping[int, int]:
        """Return by domain how many there are."""
        rows = reader.rows(
            f"SELECT domain_id, count(*) FROM {{dataset}}.{CLICKS.name}"
            f" WHERE {self.are_old} GROUP BY domain_id"
        )
        return dict(map(tuple, rows))

    def delete(self, reader: Reader) -> None:
        """Delete them and mark their days; in a transaction that keeps loads out."""
        reader.run(
            f"UPDATE {DAYS} SET clicks_deleted = TRUE WHERE {of_domains(self.domains)}"
            f" AND day < '{self.first_kept.isoformat()}' AND clicks_deleted IS NOT TRUE"
        )
        reader.run(f"DELETE FROM {{dataset}}.{CLICKS.name} WHERE {self.are_old}")


def of_open_days(rows: str) -> str:
    """Return the SQL of the rows with a `domain_id` and a `day` whose clicks are still kept.

    Args:
        rows: A table, or a subquery in parentheses.
    """
    closed = "SELECT domain_id AS domain, max(day) AS last_day"
    return (
        f"SELECT r.* FROM {rows} AS r"
        f" LEFT JOIN ({closed} FROM {DAYS} WHERE clicks_deleted GROUP BY domain_id) AS closed"
        " ON closed.domain = r.domain_id"
        " WHERE closed.last_day IS NULL OR closed.last_day < r.day"
    )


def any_old(old: OldClicks) -> bool:
    """Return whether there are such clicks."""
    with reading() as reader, suppress(DatabaseUndefinedRelation):
        return bool(old.count(reader))
    return False


def knows_deleted(reader: Reader) -> bool:
    """Return whether the table of days has the mark, which earlier versions did not make."""
    return "clicks_deleted" in reader.columns(DAILY_CLICKS.name)
