"""One run's reading of all domains and links: numbers, and what is not in order.

`rest` hands it to the steps of both listings, and the asset of the links reads it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ApiError
from link_assets.source.paging import PagingMemory
from link_assets.source.rejected_ids import RejectedIds


@dataclass
class LinksRead:
    """One run's reading of all domains and links.

    `unread` are the ids of links that were rejected, None where there is no id to read.
    `without_id` are listed domains without an id: there is no asking for their links.
    """

    stats: LoadStats = field(default_factory=LoadStats)
    paging: PagingMemory = field(default_factory=PagingMemory)
    rejected: RejectedIds = field(default_factory=RejectedIds)
    unread: list[str | None] = field(default_factory=list)
    domains: LoadStats = field(default_factory=LoadStats)
    paging_of_domains: PagingMemory = field(default_factory=PagingMemory)
    without_id: list[Any] = field(default_factory=list)

    @property
    def failure(self) -> ApiError | None:
        """Return why a listing was cut off; None if both are whole."""
        return self.paging_of_domains.failure or self.paging.failure

    @staticmethod
    def unwatched() -> LinksRead:
        """Return a reading of which a cut-off listing raises its error at once."""
        return LinksRead(
            paging=PagingMemory(watched=False), paging_of_domains=PagingMemory(watched=False)
        )
