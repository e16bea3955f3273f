"""Where a domain's load begins, pauses and goes on: over any number of loads and runs.

The clicks of a domain are read from the first page to the last in chunks. Each is committed at
once, and where to go on is kept in a state that is loaded with the rows. So a run that is killed
loses only what it had not loaded yet. What a position is, only the dialect knows. `rest` makes a
Chunk for each and `transforms` calls it; no row is looked into here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from http.client import OK
from typing import Any, cast

import dlt
from requests.exceptions import RequestException

from link_assets.clamped_times import earlier
from link_assets.contract import CLICKS
from link_assets.kept_days import first_day_loaded
from link_assets.settings import API_SECTION, ApiSettings, SettingsError, environment_name
from link_assets.source.dialects.base import Endpoint, Position
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ApiError
from link_assets.source.paging import PagingMemory
from link_assets.source.rejected_ids import RejectedIds
from link_assets.source.run_resources import FetchedTogether, RunResources
from link_assets.source.times import earliest, from_text, latest, utc_text

POSITION = "page_token"
"""The state's key of the position. Its name is older than other APIs, and in users' warehouses."""

OF_ONE_READ = (
    POSITION,
    "since",
    "oldest",
    "newest",
    "pages",
    "rejected",
    "last_rejected",
    "began",
    "old",
)
"""The state's keys that are removed when a read ends."""

KEPT_REJECTED = 100
"""How many rejected rows the state remembers, so that a run which resumes does not count them twice
if pages have shifted."""


@dataclass(frozen=True)
class Restart:
    """An order to read from the first page.

    All keys of the state are dropped but those in `keeps`. With an `id` it is carried out once: a
    retry with the same id resumes instead.
    """

    keeps: frozenset[str] = frozenset()
    id: str | None = None


OF_ROWS = frozenset({"ip", "api"})
"""The state's keys that say how the rows that are there were read."""

FROM_FIRST_PAGE = Restart(keeps=OF_ROWS | {"watermark", "restart", "full_read"})
"""For a position that the API refuses."""


def full_refresh(id: str, is_empty: bool) -> Restart:
    """Return the restart that reads every page again.

    Unless the domain is empty it keeps how addresses are treated, because the rows that are there
    must keep their `click_id`s, and which API they come from.
    """
    return Restart(keeps=frozenset() if is_empty else OF_ROWS, id=id)


@dataclass(frozen=True)
class OldClicks:
    """How many clicks of a domain are older than a time (UTC)."""

    before: datetime
    clicks: int


@dataclass
class ClicksRead:
    """One run's reading of all clicks of a domain, over any number of loads.

    Give the same object to `rest.clicks_source` for each load until it is `finished`, and a new one
    to read again after a load that failed.
    """

    restart: Restart | None = None
    """Applied by the first load."""
    api_of_rows: str | None = None
    """The API that the rows of the warehouse come from, if there are any."""
    old: OldClicks | None = None
    """Those that a read of new clicks leaves out, when the read of all pages began; an earlier run
    may have begun it."""
    stats: LoadStats = field(default_factory=LoadStats)
    paging: PagingMemory = field(default_factory=PagingMemory)
    rejected: RejectedIds = field(default_factory=RejectedIds)
    finished: bool = False
    kept_position: Position | None = None
    """The position that this run saved last."""
    is_position_on_trial: bool = False
    """Whether the last request used a saved position and no page has come for it yet."""
    resources: RunResources | None = None
    """The connections and threads of its loads."""
    state: dict[str, Any] | None = None
    """Where to go on, which the loads change; None to keep it in dlt's resource state."""

    def reason_to_restart(self, error: RequestException) -> str | None:
        """Return why the kept position is of no use; None if that is not what failed.

        A position that an earlier run left may be answered with anything once it is out of date.
        One that this run was given itself is good for as long as the API does not refuse it.
        """
        if not self.is_position_on_trial:
            return None
        if isinstance(error, ApiError) and error.refuses_position:
            status = "" if error.status == OK else f" ({error.status})"
            return f"the API no longer knows the position to resume from{status}"
        if self.stats.pages:
            return None
        short = str(error).rstrip(".") if isinstance(error, ApiError) else type(error).__name__
        return f"no page came for the position that an earlier run left ({short})"


@dataclass(frozen=True)
class Mark:
    """A point of the read.

    `pages` since its first page, rows `received` in this run, and the `position` of the next page,
    None after the last.
    """

    pages: int = 0
    received: int = 0
    position: Position | None = None


@dataclass(frozen=True)
class Converted:
    """What became of pages.

    Times of the first and last click that came, ids of rejected rows, and how many clicks were too
    old to be loaded.
    """

    first: datetime | None = None
    last: datetime | None = None
    rejected: Sequence[str] = ()
    too_old: int = 0


class Chunk:
    """What is committed of a read at once: up to the limits of rows, JSON text and seconds.

    Rows and text of all domains of a run count together, seconds for each of them.

    The calls come in this order: `begin`, then `add` for each page, `keep` for what was converted
    of them or `turn_back` to leave it to the next chunk, and `end` when the last page is kept.

    The state has `page_token`, where to go on, absent between reads and before the first rows;
    `watermark`, the newest click of the last finished read; `since`, `oldest`, `newest`, `pages`,
    `rejected`, `last_rejected` and `began` of the read under way; `full_read`, when the last read
    of all pages began; `ip`, how addresses were treated; `api`, which API was read; `restart`, the
    last restart's id. Unless the read has one, it is dlt's, and only there while dlt calls.
    """

    def __init__(
        self, settings: ApiSettings, read: ClicksRead, identity: str, together: FetchedTogether
    ) -> None:
        """Prepare a load.

        Args:
            settings: The limits, and the API.
            read: The read that the chunk is a part of.
            identity: How the addresses in click ids are treated.
            together: What the domains of the run have fetched.
        """
        self.read = read
        self.since: datetime | None = None
        """From when on clicks are wanted; None for all."""
        self.oldest: datetime | None = None
        """Clicks before this are not loaded; None to load them all."""
        self.bytes = 0
        """How much JSON text this load has brought."""
        self.mark = Mark()
        """How far pages have come."""
        self._kept = Mark()
        self._endpoint: Endpoint | None = None
        self._settings = settings
        self._identity = identity
        self._positions: list[Position | None] = []
        """Those that came with this chunk's pages."""
        self._together = together
        self._loads_before = together.loads
        self._started = 0.0

    @property
    def may_end_early(self) -> bool:
        """Return whether the read may end with a page before the last."""
        return bool(self._endpoint and self._endpoint.newest_first and self.since)

    def is_past(self, first: datetime, last: datetime) -> bool:
        """Return whether only old clicks follow a page with clicks from `first` to `last`."""
        return bool(
            self._endpoint and self.since and self._endpoint.is_past(first, last, self.since)
        )

    def begin(self, endpoint: Endpoint) -> tuple[Position | None, Mapping[str, Any]]:
        """Return the position to go on from and the parameters of all requests.

        Raises:
            ApiError: Paging was given up in the load before, whose rows are loaded by now.
            SettingsError: Click ids would differ from those of the rows loaded so far, or these
                come from another API.
        """
        if self.read.paging.failure:
            raise self.read.paging.failure
        self._started = time.monotonic()  # only now: there may have been a wait for the warehouse
        self._endpoint, state = endpoint, self._state
        of_rows = self.read.api_of_rows
        require_same_api(state, self._settings.api, of_rows, is_new=not state)
        if self.read.restart:
            _forget(state, self.read.restart)
            self.read.restart = None
            require_same_api(state, self._settings.api, of_rows, is_new=True)
        self._check_identity(state)
        if state.get(POSITION) != self.read.kept_position:
            self.read.paging.forget()  # another run was here, whose pages are not this one's
        self._resume(state)
        self.oldest = from_text(state.get("oldest"))
        self.read.stats.since = from_text(state["since"])
        self.since = latest(self.read.stats.since, self.oldest)
        self.mark = self._kept = Mark(state.get("pages", 0), self.read.stats.received)
        parameters = endpoint.parameters_since(self.since) if self.since else {}
        return state.get(POSITION), parameters

    def add(self, rows: int, size: int, position: Position | None, is_old: bool) -> bool:
        """Count a page of `rows` and `size` bytes; return whether it ends the chunk.

        A chunk ends with the last page (the one without a next `position`), with the first page
        that is all old, or when it is full.
        """
        read = self.read
        read.stats.add_page(rows)
        read.is_position_on_trial = False
        self.bytes += size
        self._together.add(rows, size, self._settings)
        self.mark = Mark(self.mark.pages + 1, read.stats.received, position)
        self._positions.append(position)
        is_last = position is None or is_old
        read.finished = is_last and not read.paging.failure
        return is_last or self._is_full()

    def keep(self, to: Mark, converted: Iterable[Converted]) -> None:
        """Save in the state that dlt has all pages up to `to`, and count what became of them.

        If paging was given up no position is saved, so the next run starts at the first page.
        """
        state = self._state
        for pages in converted:
            self._count(pages, state)
        state["pages"] = to.pages
        if to.position is not None:
            state[POSITION] = self.read.kept_position = to.position
        elif self.read.paging.failure:
            state.pop(POSITION, None)
        self._kept = to

    def turn_back(self) -> None:
        """End the chunk before the pages that were not kept, as if they had not come.

        The next chunk asks for them again, so their positions may come a second time.
        """
        read = self.read
        read.stats.pages -= self.mark.pages - self._kept.pages
        read.stats.received = self._kept.received
        read.paging.positions.difference_update(self._positions)
        read.finished, read.paging.failure = False, None
        self.mark = self._kept

    def end(self) -> None:
        """End the read, once all of its clicks are kept."""
        state = self._state
        newest = latest(from_text(state.get("watermark")), from_text(state["newest"]))
        # a click from the future must not hide the ones that come before it
        state["watermark"] = utc_text(min(newest, datetime.now(UTC))) if newest else None
        if state.get("since") is None:
            state["full_read"] = state.get("began")
        for passing in OF_ONE_READ:
            state.pop(passing, None)
        self.read.kept_position = None

    @property
    def _state(self) -> dict[str, Any]:
        if self.read.state is not None:
            return self.read.state
        return cast(dict[str, Any], dlt.current.resource_state(CLICKS.name))

    def _resume(self, state: dict[str, Any]) -> None:
        """Take up the read that the state is in, or begin a new one."""
        read = self.read
        read.is_position_on_trial = POSITION in state
        if not read.is_position_on_trial:
            state.update(
                since=self._since(state),
                oldest=self._oldest(),
                newest=None,
                pages=0,
                rejected=0,
                began=utc_text(datetime.now(UTC)),
            )
        elif not read.stats.pages:
            read.stats.resumed_from = state.get("pages", 0) + 1
            read.stats.rejected_before = state.get("rejected", 0)
            read.rejected.add(state.get("last_rejected", ()))
        known = bool(state.get("watermark") and self._endpoint and self._endpoint.newest_first)
        read.stats.is_audit = known and state["since"] is None
        self._keep_old(state)

    def _keep_old(self, state: dict[str, Any]) -> None:
        """Keep how many old clicks there were when a read of all pages began, or take it up."""
        if kept := state.get("old"):
            self.read.old = OldClicks(cast(datetime, from_text(kept["before"])), kept["clicks"])
        elif self.read.stats.is_audit and self.read.old and POSITION not in state:
            state["old"] = {
                "before": utc_text(self.read.old.before),
                "clicks": self.read.old.clicks,
            }

    def _count(self, pages: Converted, state: dict[str, Any]) -> None:
        stats, rejected = self.read.stats, self.read.rejected
        new = rejected.add(pages.rejected)
        stats.add_rejected(len(pages.rejected), new)
        stats.too_old += pages.too_old
        state["rejected"] = state.get("rejected", 0) + new
        if pages.rejected:
            state["last_rejected"] = rejected.latest(KEPT_REJECTED)
        stats.first_click = earliest(stats.first_click, pages.first)
        stats.last_click = latest(stats.last_click, pages.last)
        newest = latest(from_text(state["newest"]), pages.last)
        state["newest"] = utc_text(newest) if newest else None

    def _check_identity(self, state: dict[str, Any]) -> None:
        if state.setdefault("ip", self._identity) != self._identity:
            raise SettingsError(
                f"{environment_name(API_SECTION)}__PERSONAL_IP or its HASH_SALT has changed, and "
                "the clicks loaded before would be loaded again beside themselves. Delete this "
                "domain's rows from link_assets.clicks and run it with full_refresh, or set it "
                "back."
            )

    def _is_full(self) -> bool:
        seconds = time.monotonic() - self._started
        is_enough = self._together.loads != self._loads_before
        return is_enough or seconds >= self._settings.chunk_seconds

    def _oldest(self) -> str | None:
        """Return from when on clicks are loaded; the same for the whole read, as its requests are.

        None for all.
        """
        day = first_day_loaded(self._settings.keep_clicks_days, datetime.now(UTC).date())
        return utc_text(datetime.combine(day, time_of_day.min, UTC)) if day else None

    def _since(self, state: dict[str, Any]) -> str | None:
        """Return from when on clicks are wanted; None for all: at first, and when that is due."""
        watermark = from_text(state.get("watermark"))
        if watermark is None or self._full_read_is_due(from_text(state.get("full_read"))):
            return None
        return utc_text(earlier(watermark, timedelta(days=self._settings.clicks_lookback_days)))

    def _full_read_is_due(self, last: datetime | None) -> bool:
        """Return whether all pages are to be read again, where a read may end before the last."""
        days = self._settings.full_read_days
        if not days or not (self._endpoint and self._endpoint.newest_first):
            return False
        return last is None or datetime.now(UTC) - last >= timedelta(days=days)


def require_same_api(
    state: dict[str, Any], api: str, of_rows: str | None = None, *, is_new: bool
) -> None:
    """Record in the state which API is read.

    Args:
        state: That of what is loaded.
        api: The API that is read.
        of_rows: That of the rows in the warehouse, if it is known.
        is_new: Whether nothing was loaded with this state.

    Raises:
        SettingsError: The rows that are there come from another API. Those of a state that is not
            new and does not say are the guide's, the only API that there was.
    """
    before = state.setdefault("api", of_rows or (api if is_new else "guide"))
    if before != api:
        raise SettingsError(
            f"The warehouse holds rows of the API {before!r}, and "
            f"{environment_name(API_SECTION)}__API is {api!r}: links and clicks of two APIs do not "
            "belong into the same tables. Set it back, or load into another warehouse, such as "
            "another file in DESTINATION__DUCKDB__CREDENTIALS."
        )


def _forget(state: dict[str, Any], restart: Restart) -> None:
    if restart.id and state.get("restart") == restart.id:
        return
    for key in state.keys() - restart.keeps:
        state.pop(key)
    if restart.id:
        state["restart"] = restart.id
