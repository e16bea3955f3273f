"""Reading a domain's clicks from the first page to the last, over any number of loads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import dlt

from link_assets.contract import CLICKS
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import parse_rows
from link_assets.settings import API_SECTION, ApiSettings, SettingsError, environment_name
from link_assets.source.endless import News
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import TOKEN_PARAM, PageTokenPaginator

if TYPE_CHECKING:
    from dlt.sources.helpers.rest_client.client import PageData

MEGABYTE = 1_000_000

OF_ONE_TRAVERSAL = ("page_token", "since", "newest", "pages", "rejected", "last_rejected")
"""What the state has no longer when the last page is loaded."""

KEPT_REJECTED = 100
"""Rejected rows that a run which resumes the traversal knows again: pages may shift meanwhile."""


@dataclass(frozen=True)
class Position:
    """How far the pages have come: `pages` of the traversal, and `received` rows in this run.

    `next_token` is where the others begin; None after the last.
    """

    pages: int = 0
    received: int = 0
    next_token: str | None = None


@dataclass(frozen=True)
class Restart:
    """To begin at the first page, whatever the state says, which loses all but what it `keeps`.

    One with an `id` is made once for that id: a retry goes on where the attempt before it stopped.
    """

    keeps: frozenset[str] = frozenset()
    id: str | None = None


FROM_FIRST_PAGE = Restart(keeps=frozenset({"ip", "watermark", "restart"}))
"""For a page token that the API refuses."""


def full_refresh(id: str, is_empty: bool) -> Restart:
    """Reads every page again. Only an empty domain may be given other `click_id`s than before."""
    return Restart(keeps=frozenset() if is_empty else frozenset({"ip"}), id=id)


class ResumableRead:
    """One reading of all of a domain's clicks, of which a load takes up to a chunk.

    Its state lives in the resource's dlt state, which is loaded together with the rows:
    `page_token` is where to go on, absent between traversals and before the first rows;
    `watermark` is the newest click of the last finished traversal; `since`, `newest`, `pages`,
    `rejected` and `last_rejected` belong to the one under way; `ip` is how addresses were treated;
    `restart` is the last restart's id.
    """

    def __init__(self, settings: ApiSettings, progress: LoadStats, restart: Restart | None) -> None:
        self.settings = settings
        self.progress = progress
        self.restart = restart
        self.personal = PersonalData(settings.personal, settings.hash_salt)
        self.since: datetime | None = None
        self.position = Position()
        """How far pages have come."""
        self.kept = Position()
        """How far they were handed on."""
        self._tokens: list[str | None] = []
        """Those that came with this chunk's pages."""
        self.received_before = progress.received
        self.bytes = 0
        """How much JSON text this load has brought."""
        self.started = 0.0

    def begin(self) -> dict[str, str]:
        """The first request's parameters; called by the paginator while dlt's state is open.

        Raises what the load before was given up for, now that its rows are on their way.
        """
        if self.progress.failure:
            raise self.progress.failure
        self.started = time.monotonic()  # only now: there may have been a wait for the warehouse
        state = _clicks_state()
        if self.restart:
            _forget(state, self.restart)
        self._check_identity(state)
        if state.get("page_token") != self.progress.kept_token:
            # another run was here, whose pages are not this one's
            self.progress.tokens.clear()
            self.progress.news = News()
        resuming = "page_token" in state
        self.progress.token_on_trial = resuming
        if not resuming:
            since = self._lookback(state.get("watermark"))
            state.update(since=since, newest=None, pages=0, rejected=0)
        elif not self.progress.pages:
            self.progress.resumed_from = state.get("pages", 0) + 1
            self.progress.rejected_before = state.get("rejected", 0)
            self.progress.remember_rejected(state.get("last_rejected", ()))
        self.since = _time(state["since"])
        self.position = self.kept = Position(state.get("pages", 0), self.progress.received)
        parameters = {TOKEN_PARAM: state["page_token"]} if resuming else {}
        if self.settings.clicks_since_param and self.since:
            parameters[self.settings.clicks_since_param] = _text(self.since)
        return parameters

    def _check_identity(self, state: dict[str, Any]) -> None:
        """Refuses to go on if `click_id` would come out otherwise than in the rows so far."""
        identity = self.personal.identity("ip")
        if state.setdefault("ip", identity) != identity:
            raise SettingsError(
                f"{environment_name(API_SECTION)}__PERSONAL_IP or its HASH_SALT has changed, and "
                "the clicks loaded before would be loaded again beside themselves. Delete this "
                "domain's rows from link_assets.clicks and run it with full_refresh, or set it "
                "back."
            )

    def passed(self, page: PageData[Any]) -> bool:
        """Notes that a page has come; stops the paginator and returns True if it ends the chunk.

        A chunk ends with the last page, the first page that is all old, when it is full, or when
        paging is given up.
        """
        paginator = cast(PageTokenPaginator, page.paginator)
        self.progress.count(len(page))
        self.bytes += sum(map(len, page))
        self.progress.token_on_trial = False
        next_token = paginator.next_token
        self.position = Position(self.position.pages + 1, self.progress.received, next_token)
        self._tokens.append(next_token)
        is_last = next_token is None or self._is_old(page)
        self.progress.finished = is_last and not self.progress.failure
        if self.progress.finished or self._is_full():
            paginator.stop()
        return not paginator.has_next_page

    def handed_on(self, to: Position) -> None:
        """Note that dlt has all pages up to there.

        If paging was given up there is no place to go on from: the next run begins anew.
        """
        state = _clicks_state()
        state["pages"] = to.pages
        if to.next_token is not None:
            state["page_token"] = self.progress.kept_token = to.next_token
        elif self.progress.failure:
            state.pop("page_token", None)
        self.kept = to

    def turn_back(self, page: PageData[Any]) -> None:
        """End the chunk before the pages that were not handed on, as if they had not come.

        The next chunk asks for them again, so their tokens may come a second time.
        """
        progress = self.progress
        progress.pages -= self.position.pages - self.kept.pages
        progress.received = self.kept.received
        progress.tokens.difference_update(self._tokens)
        progress.finished, progress.failure = False, None
        self.position = self.kept
        cast(PageTokenPaginator, page.paginator).stop()

    def saw(self, first: datetime | None, last: datetime | None, rejected: Sequence[str]) -> None:
        """Note the times of the first and the last of some clicks, and the ids of rejected rows."""
        progress, state = self.progress, _clicks_state()
        state["rejected"] = state.get("rejected", 0) + progress.reject(rejected)
        if rejected:
            state["last_rejected"] = progress.last_rejected(KEPT_REJECTED)
        progress.first_click = _least(progress.first_click, first)
        progress.last_click = _greatest(progress.last_click, last)
        state["newest"] = _text(_greatest(_time(state["newest"]), last))

    def finish(self) -> None:
        """Ends the traversal, once all of its clicks were seen."""
        state = _clicks_state()
        newest = _greatest(_time(state.get("watermark")), _time(state["newest"]))
        # a click from the future must not hide the ones that come before it
        state["watermark"] = _text(min(newest, datetime.now(UTC))) if newest else None
        for passing in OF_ONE_TRAVERSAL:
            state.pop(passing, None)
        self.progress.kept_token = None

    def _is_old(self, page: PageData[Any]) -> bool:
        """Whether nothing new can follow a page: all of it was there in the last traversal."""
        if self.settings.clicks_order != "newest_first" or self.since is None:
            return False
        from link_assets.rows.clicks import click_batch, click_span

        _, last = click_span(click_batch(parse_rows(page), domain_id=0).table)
        return last is not None and last < self.since

    def _is_full(self) -> bool:
        rows = self.progress.received - self.received_before
        seconds = time.monotonic() - self.started
        return (
            rows >= self.settings.chunk_rows
            or self.bytes >= self.settings.chunk_megabytes * MEGABYTE
            or seconds >= self.settings.chunk_seconds
        )

    def _lookback(self, watermark: str | None) -> str | None:
        newest = _time(watermark)
        return (
            _text(newest - timedelta(days=self.settings.clicks_lookback_days)) if newest else None
        )


def _forget(state: dict[str, Any], restart: Restart) -> None:
    if restart.id and state.get("restart") == restart.id:
        return
    for key in state.keys() - restart.keeps:
        state.pop(key)
    if restart.id:
        state["restart"] = restart.id


def _clicks_state() -> dict[str, Any]:
    return cast(dict[str, Any], dlt.current.resource_state(CLICKS.name))


def _least(*times: datetime | None) -> datetime | None:
    return min((t for t in times if t), default=None)


def _greatest(*times: datetime | None) -> datetime | None:
    return max((t for t in times if t), default=None)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(time: datetime | None) -> Any:
    return time.astimezone(UTC).isoformat(timespec="microseconds") if time else None
