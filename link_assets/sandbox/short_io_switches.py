"""What is not known of Short.io's API, as switches: each default is the likeliest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ShortIoSwitches:
    """How the sandbox's Short.io behaves where no public record says it for certain.

    Bounds and pages of clicks:
    - `before_inclusive`, `after_inclusive`, `end_inclusive`: beforeDate, afterDate and endDate let
      their own time in.
    - `max_limit`, `over_limit`: the most rows of a page of clicks, and whether a request for more
      gets that many ("clamp") or a 400 ("refuse").
    - `short_pages`: pages of clicks and links have half of the rows asked for, and more follow.
    - `clicks_order`: which clicks of a period come first, and are those of its page.
    - `shuffle_ties`: clicks of one millisecond come in another order on every request.
    - `total_is_empty`: the period "total" has no clicks.
    - `dt_zone`: rows say their time in this zone, whatever `tz` is asked for.
    - `cache_seconds`: a request for clicks that is identical to one of the last twenty, and came
      within so many seconds, gets the same answer again.

    Clicks that are not there yet, also for the counts:
    - `withheld`: numbers of clicks, by domain, counted from its oldest as 0. Change the sets to
      release them.
    - `indexing_seconds`: clicks younger than this by `clock` are missing.

    Rows of clicks:
    - `hosts`: how an international host name is written.
    - `encoded_paths`: paths are percent-encoded.
    - `goal_completed`: true and false, always null, or not in the row.

    Links and domains:
    - `last_token`: the nextPageToken of the last page.
    - `archived_listed`: the listing has archived links.
    - `links_order`, `domains_order`: the order where none is asked for.
    - `link_fields_missing`: fields that no link has.
    - `numeric_dates`: which links say createdAt and expiresAt in milliseconds since 1970.
    - `old_rows`: links have the fields of earlier years: lcpath, updatedAt, Owner, icon.

    Limits of the key, and counts:
    - `rate_limit`, `rate_window`: so many requests to the statistics are let in within so many
      seconds; None lets every one in.
    - `rate_reset`: x-ratelimit-reset in whole seconds, in seconds with a fraction, or as the time
      since 1970.
    - `rate_headers`: answers that are let in say how many are left, too.
    - `gated`, `gate_status`: domains whose clicks the plan does not include, and the status that
      says so.
    - `statistics_key`: where the counts by day are; the documentation has "clickStatistics".
    - `empty_days`: whether counts have the days without clicks.

    `clock` says what time it is for periods such as "last30".
    """

    before_inclusive: bool = False
    after_inclusive: bool = False
    end_inclusive: bool = True
    max_limit: int = 1000
    over_limit: Literal["clamp", "refuse"] = "clamp"
    short_pages: bool = False
    clicks_order: Literal["newest", "oldest"] = "newest"
    shuffle_ties: bool = False
    total_is_empty: bool = False
    dt_zone: str | None = None
    cache_seconds: float = 60
    withheld: Mapping[int, Collection[int]] = field(default_factory=dict)
    indexing_seconds: float = 0
    hosts: Literal["punycode", "unicode"] = "punycode"
    encoded_paths: bool = False
    goal_completed: Literal["bool", "null", "absent"] = "bool"
    last_token: Literal["null", "absent"] = "null"
    archived_listed: bool = True
    links_order: Literal["newest", "oldest"] = "newest"
    domains_order: Literal["id", "newest", "hostname"] = "id"
    link_fields_missing: frozenset[str] = frozenset()
    numeric_dates: Literal["none", "some", "all"] = "some"
    old_rows: bool = False
    rate_limit: int | None = None
    rate_window: float = 60
    rate_reset: Literal["seconds", "fraction", "epoch"] = "seconds"
    rate_headers: bool = False
    gated: frozenset[int] | Literal["all"] = frozenset()
    gate_status: Literal[402, 403] = 402
    statistics_key: Literal["clicksStatistics", "clickStatistics"] = "clicksStatistics"
    empty_days: Literal["absent", "zero"] = "absent"
    clock: Callable[[], datetime] = _now
