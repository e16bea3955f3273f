"""What loading comes to, while it goes on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from link_assets.source.endless import News

REMEMBERED = 20_000
"""How many rejected rows, the latest, are known again when they are delivered again."""


@dataclass
class LoadStats:
    """What loading one resource has come to so far, over all its loads. Times are UTC.

    `rejected` counts a row that is delivered twice once; `rejected_again` counts its other
    deliveries. `rejected_before` are the rows that the run whose place was taken up had rejected.

    `resumed_from` is the page at which an earlier run's page token was taken up, counted from the
    first of its traversal, None if there was none; `token_on_trial` tells that the API
    was given a kept token and has not answered it yet; `tokens` are those it has given itself,
    `kept_token` the one that this run left in the state.
    `news` counts the pages without a new row, and `failure` is the error with which paging was
    ended for it; where nobody `watched`, that error is raised at once.
    `unread_links` are the ids of rejected links, None where there is none to read.
    """

    pages: int = 0
    received: int = 0
    rejected: int = 0
    rejected_again: int = 0
    rejected_before: int = 0
    unread_links: list[str | None] = field(default_factory=list)
    first_click: datetime | None = None
    last_click: datetime | None = None
    resumed_from: int | None = None
    token_on_trial: bool = False
    tokens: set[str] = field(default_factory=set)
    kept_token: str | None = None
    news: News = field(default_factory=News)
    failure: Exception | None = None
    finished: bool = False
    watched: bool = True
    _rejected_ids: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)

    @property
    def accepted(self) -> int:
        """Rows sent to the table; a row delivered twice counts twice."""
        return self.received - self.rejected - self.rejected_again

    @property
    def page(self) -> int:
        """The number of the page to come, counted from the first of its traversal."""
        return (self.resumed_from or 1) + self.pages

    def count(self, received: int) -> None:
        """Notes a page of so many rows."""
        self.pages += 1
        self.received += received

    def reject(self, row_ids: Sequence[str]) -> int:
        """Count rejected rows, and return how many of them have not been rejected before."""
        new = self.remember_rejected(row_ids)
        self.rejected += new
        self.rejected_again += len(row_ids) - new
        return new

    def remember_rejected(self, row_ids: Iterable[str]) -> int:
        """Note rows as rejected without counting them, and return how many of them are new."""
        known = self._rejected_ids
        before = len(known)
        known.update(dict.fromkeys(row_ids))
        new = len(known) - before
        while len(known) > REMEMBERED:
            known.popitem(last=False)
        return new

    def last_rejected(self, count: int) -> list[str]:
        """Return the ids of the rejected rows that came last."""
        return list(self._rejected_ids)[-count:]
