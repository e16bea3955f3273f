"""Paging through an endpoint, and its end: no position comes twice, no listing goes on for ever.

dlt asks the paginator of a load for its requests. What has to be remembered from one load of a run
to the next is in `PagingMemory`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from http.client import UNAUTHORIZED
from types import MappingProxyType
from typing import Any, cast

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import PreparedRequest, Request, Response, Session

from link_assets.source.dialects.base import Endpoint, LostPosition, Page, PagingError, Position
from link_assets.source.endless import NewRows
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ApiError, page_of, refused


@dataclass
class PagingMemory:
    """What a run has seen of a listing: positions, and rows as far as `endless` needs them.

    `failure` is the error if paging was given up: pages brought no new row, or there was no telling
    where the next one begins. The rows before it are loaded first; then the caller raises it.
    `refused` are the errors of domains, by id as text, whose listings ended with one while those of
    the others went on, and `pages` are how many pages of a domain's listing were read. With
    `watched=False` every error is raised at once.
    """

    watched: bool = True
    failure: ApiError | None = None
    refused: dict[str, ApiError] = field(default_factory=dict)
    pages: Counter[str] = field(default_factory=Counter)
    positions: set[Position] = field(default_factory=set)
    new_rows: NewRows = field(default_factory=NewRows)

    def forget(self) -> None:
        """Begin anew, with the pages of another run."""
        self.positions.clear()
        self.new_rows = NewRows()


class DomainError(ApiError):
    """The listing of one domain ends with this error, and those of the other domains go on."""

    domain: str
    memory: PagingMemory

    def keep(self) -> None:
        """Put the error where the caller of the run finds it."""
        self.memory.refused[self.domain] = self


def skipping_domains(session: Session) -> Session:
    """Return the session; where it would raise DomainError, the domain's listing ends there.

    It ends with a page without rows, marked as a refusal, and dlt goes on with the next domain. The
    checks of answers do not see to that: they run before a request is tried again.
    """
    send = session.send

    @wraps(send)
    def send_or_skip(request: PreparedRequest, **options: Any) -> Response:
        try:
            return send(request, **options)
        except DomainError as error:
            error.keep()
            return refused(cast(Response, error.response))

    session.send = send_or_skip
    return session


class EndpointPaginator(BasePaginator):
    """Goes from page to page as the endpoint says, from the parameters that `begin` returns.

    A position that comes again raises ApiError. `max_pages_without_new_rows` pages in a row that
    bring no new row end the listing with an ApiError in `memory.failure`; so does a PagingError of
    the endpoint. dlt copies the paginator of a listing by domain for each domain, and there all of
    these end the listing of the domain alone, with an ApiError in `memory.refused`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        memory: PagingMemory,
        stats: LoadStats,
        max_pages_without_new_rows: int,
        begin: Callable[[], tuple[Position | None, Mapping[str, Any]]] = lambda: (None, {}),
        hosts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Page through `endpoint`.

        `begin` is called as the first request is made, and returns the position to go on from, None
        for the first page, and parameters for all requests of the load. Errors name a domain with
        its host where `hosts`, by id, have it by then.
        """
        super().__init__()
        self.endpoint = endpoint
        self._memory = memory
        self._stats = stats
        self._limit = max_pages_without_new_rows
        self._begin = begin
        self._hosts = hosts
        self._position: Position | None = None
        self._positions = memory.positions
        self._is_kept = False

    def __deepcopy__(self, memo: Any) -> EndpointPaginator:
        """Return a paginator for another domain's listing, whose positions may be the same."""
        other = EndpointPaginator(
            self.endpoint, self._memory, self._stats, self._limit, self._begin, self._hosts
        )
        other._positions = set()
        return other

    @property
    def next_position(self) -> Position | None:
        """Return where the next page begins; None after the last page."""
        return self._position if self.has_next_page else None

    def init_request(self, request: Request) -> None:
        """Ask for the page to begin with."""
        self._position, parameters = self._begin()
        self._is_kept = self._position is not None
        self._add(request, parameters)
        if self._position is not None:
            self._positions.add(self._position)
        self.update_request(request)

    def update_request(self, request: Request) -> None:
        """Ask for the page at the current position."""
        self._add(request, self.endpoint.fresh_parameters())
        if self._position is not None:
            self._add(request, self.endpoint.parameters_at(self._position))

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Take the next position from a page, and see whether paging comes to an end."""
        page = replace(page_of(response), position=self._position)
        following = self._position_after(page, response)
        self._is_kept = False
        self._has_next_page = following is not None
        self._memory.new_rows.look_at(page.rows, self.endpoint.identity)
        self._position = following
        if following is not None:
            self._positions.add(following)
            self._stop_without_new_rows(response)
        if domain := self._domain(response):
            self._memory.pages[domain] += 1

    def stop(self) -> None:
        """Make the current page the last one of this load."""
        self._has_next_page = False

    def is_refusal(self, response: Response) -> bool:
        """Return whether the endpoint goes on after this answer, although it is no page."""
        return self.endpoint.is_refusal(response.status_code, self._position)

    def error(self, response: Response, reason: str, is_lost: bool = False) -> ApiError:
        """Make an ApiError that names the resource, and the page of its or the domain's listing.

        It is a DomainError if it says nothing of the listings of other domains. With `is_lost` it
        says that the position is of no use, as some statuses do.
        """
        endpoint, status = self.endpoint, response.status_code
        advice = endpoint.advice(status, self._position)
        domain = self._domain(response)
        # dlt has answers checked by the paginator that it copies, not by the copy
        page = self._stats.page if domain is None else self._memory.pages[domain] + 1
        message = f"{endpoint.what_of(response, self._hosts)}, page {page}: {reason}"
        message += f"; {advice}." if advice else "."
        refuses_position = is_lost or status in endpoint.statuses_refusing_position
        if domain is None or status == UNAUTHORIZED or not self._memory.watched:
            return ApiError(message, response, refuses_position)
        error = DomainError(message, response, refuses_position)
        error.domain, error.memory = domain, self._memory
        return error

    def _domain(self, response: Response) -> str | None:
        """Return the domain of an answer in a listing by domain; None in any other."""
        return self.endpoint.domain_of(str(response.request.url))

    def _add(self, request: Request, parameters: Mapping[str, Any]) -> None:
        if self.endpoint.method == "GET":
            request.params = {**cast(dict[str, Any], request.params or {}), **parameters}
        else:
            request.json = {**cast(dict[str, Any], request.json or {}), **parameters}

    def _stop_without_new_rows(self, response: Response) -> None:
        pages = self._memory.new_rows.pages_without
        if pages < self._limit:
            return
        self._give_up(
            response,
            f"{pages} pages in a row brought no new row, and each led to another; report it to "
            "the API's provider, or raise SOURCES__LINK_ASSETS__MAX_PAGES_WITHOUT_NEWS if its "
            "pages are right",
        )

    def _position_after(self, page: Page, response: Response) -> Position | None:
        try:
            following = self.endpoint.next_position(page)
        except PagingError as problem:
            if self._is_kept and isinstance(problem, LostPosition):
                raise self.error(response, str(problem), is_lost=True) from None
            self._give_up(response, str(problem))
            return None
        if following not in self._positions:
            return following
        error = self.error(
            response,
            f"its {self.endpoint.token_key or 'position'} came a second time, so paging would "
            "never end; report it to the API's provider",
        )
        if not isinstance(error, DomainError):
            raise error
        error.keep()
        return None

    def _give_up(self, response: Response, reason: str) -> None:
        """End the listing with an error that is raised once the rows before it are loaded."""
        error = self.error(response, reason)
        if not self._memory.watched:
            raise error from None
        if isinstance(error, DomainError):
            error.keep()
        else:
            self._memory.failure = error
        self.stop()
