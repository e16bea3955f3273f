"""Counts of one run's reading of a listing: pages, rows, rejected rows, first and last click.

`resume` and `transforms` write them as pages pass, `http` those of requests, `paging` numbers pages
by them in messages, and `defs/load_result.py` shows them. They decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class LoadStats:
    """Numbers of one run's reading of one listing, over all its loads. Times are UTC.

    `received` are the rows that came. Of these `rejected` could not be loaded, where a row that
    comes twice counts once; `rejected_again` are its other deliveries. `rejected_before` are the
    rows that an earlier run had rejected when this one took over from it. `too_old` are the clicks
    that came and were left out, because so old ones are not kept.

    `resumed_from` is the page at which this run took over, counted from the first of the listing;
    None if it began there. `is_audit` says that the read went to the last page where it could have
    ended at clicks that were known. `since` is from when on rows are asked for, None for all.

    `requests` are those that were sent, `retries` how many of them had no answer or one that says
    "again", and `seconds_fetching` is how long all of them took, with what the API had them wait.
    """

    pages: int = 0
    received: int = 0
    rejected: int = 0
    rejected_again: int = 0
    rejected_before: int = 0
    too_old: int = 0
    first_click: datetime | None = None
    last_click: datetime | None = None
    resumed_from: int | None = None
    is_audit: bool = False
    since: datetime | None = None
    requests: int = 0
    retries: int = 0
    seconds_fetching: float = 0

    @property
    def accepted(self) -> int:
        """Return how many rows went to the table; a row that comes twice counts twice."""
        return self.received - self.rejected - self.rejected_again - self.too_old

    @property
    def page(self) -> int:
        """Return the number of the page to come, counted from the first of the listing."""
        return (self.resumed_from or 1) + self.pages

    def add_rejected(self, rows: int, new: int) -> None:
        """Count so many rejected rows, of which some are `new` and the others have come before."""
        self.rejected += new
        self.rejected_again += rows - new

    def add_page(self, rows: int) -> None:
        """Count a page of so many rows."""
        self.pages += 1
        self.received += rows
