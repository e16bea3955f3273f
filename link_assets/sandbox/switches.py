"""What nobody outside knows of Short.io's API, each a switch of the sandbox.

The defaults are what is likely. A client that is right under every position is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Switches:
    """How the sandbox serves Short.io's contract.

    Attributes:
        before_inclusive: Whether `beforeDate` and `endDate` count clicks of that very time in.
        after_inclusive: Whether `afterDate` and `startDate` do.
        max_limit: The most clicks of a page.
        over_limit: What becomes of a higher limit: it is cut, or refused with 400.
        short_pages: Pages have half the clicks that were asked for, although more follow.
        shuffled: Clicks of the same time come in another order each time.
        last_token: What the last page of links has for `nextPageToken`.
        oldest_links_first: The order of links.
        archived_listed: Whether archived links are listed.
        shuffled_domains: Domains come in descending order of their ids.
        old_link_fields: Links have `lcpath`, `updatedAt` and `icon`, as they had up to 2023.
        numeric_dates: `createdAt` and `expiresAt` of links are milliseconds since 1970.
        unicode_hosts: Clicks name international hosts as people read them, not as punycode.
        encoded_paths: Clicks have their paths percent-encoded.
        goals: What `goal_completed` of clicks is.
        total_is_empty: The period `total` brings nothing.
        cache_seconds: How long an equal request is answered as before.
        rate_limit: How many requests for statistics are answered in how many seconds.
        reset_is_time: `x-ratelimit-reset` is a time, in seconds since 1970, not seconds to wait.
        rate_headers: Whether answers that are not refused say what is left of the limit.
        gated: Domains whose clicks are not in the account's plan.
        gate_status: The status of the refusal.
        statistics_key: The key of the charts.
        empty_days: Whether charts have days without clicks.
    """

    before_inclusive: bool = False
    after_inclusive: bool = True
    max_limit: int = 1000
    over_limit: Literal["cut", "refused"] = "cut"
    short_pages: bool = False
    shuffled: bool = False
    last_token: Literal["null", "absent"] = "null"
    oldest_links_first: bool = False
    archived_listed: bool = True
    shuffled_domains: bool = False
    old_link_fields: bool = False
    numeric_dates: bool = False
    unicode_hosts: bool = False
    encoded_paths: bool = True
    goals: Literal["bool", "null", "absent"] = "bool"
    total_is_empty: bool = False
    cache_seconds: float = 60
    rate_limit: tuple[int, float] | None = None
    reset_is_time: bool = False
    rate_headers: bool = False
    gated: frozenset[int] = frozenset()
    gate_status: Literal[402, 403] = 402
    statistics_key: Literal["clicksStatistics", "clickStatistics"] = "clicksStatistics"
    empty_days: bool = False
