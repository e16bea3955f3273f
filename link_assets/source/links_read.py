"""One run's reading of all domains, links and folders: numbers, and what is not in order.

`rest` hands it to the steps of the listings, and the asset of the links reads it afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from link_assets.contract import FOLDERS, LINKS
from link_assets.rows.link_versions import version_in
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ApiError
from link_assets.source.paging import PagingMemory
from link_assets.source.rejected_ids import RejectedIds

KnownLink = tuple[str | None, str, int | None]
"""A link of the warehouse: its `_dlt_id`, its id and its domain's id.

Without a `_dlt_id` it is loaded again, however it is listed.
"""


def known_links(links: Iterable[KnownLink]) -> dict[str, KnownLink]:
    """Return links by their version, without those that have none, or that are there twice.

    Loading a link anew makes one of the two.
    """
    found = [*links]
    times = Counter(id for _, id, _ in found)
    known = {version_in(link[0]): link for link in found if link[0] and times[link[1]] == 1}
    known.pop("", None)
    return known


@dataclass
class LinksRead:
    """One run's reading of all domains, links and folders.

    `stats` are the numbers of the links, `domains` those of the domains; whatever the request, it
    counts as one of the links. `unread` are the ids of links that were rejected, None where there
    is no id to read. `without_id` are listed domains without an id: there is no asking for their
    links. `hosts` are those of the others, by id as text, for messages. With `watched=False` a
    listing that is refused or cut off raises its error at once. `api_of_rows` is the API that the
    rows of the warehouse come from, if there are any.

    `known` are the links of the warehouse by their version (rows.link_versions): one that is listed
    in a version that is known is not loaded again. `listed` are the ids of all links that were
    listed and could be read, loaded or not.
    """

    stats: LoadStats = field(default_factory=LoadStats)
    domains: LoadStats = field(default_factory=LoadStats)
    rejected: RejectedIds = field(default_factory=RejectedIds)
    unread: list[str | None] = field(default_factory=list)
    without_id: list[Any] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)
    watched: bool = True
    api_of_rows: str | None = None
    known: Mapping[str, KnownLink] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    _paging: dict[str, PagingMemory] = field(default_factory=dict)

    def paging_of(self, name: str) -> PagingMemory:
        """Return what is seen of a listing, by the name of its resource."""
        return self._paging.setdefault(name, PagingMemory(self.watched))

    @property
    def paging(self) -> PagingMemory:
        """Return what is seen of the listing of links."""
        return self.paging_of(LINKS.name)

    @property
    def refused(self) -> Mapping[str, ApiError]:
        """Return why the links of domains, by id as text, were not listed or not to the end."""
        return self.paging.refused

    @property
    def refused_folders(self) -> Mapping[str, ApiError]:
        """Return the same of their folders."""
        return self.paging_of(FOLDERS.name).refused

    @property
    def failure(self) -> ApiError | None:
        """Return why a listing was cut off; None if all are whole."""
        failures = (memory.failure for memory in self._paging.values())
        return next((failure for failure in failures if failure), None)
