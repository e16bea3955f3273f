"""Paging through an endpoint, and its end: no position comes twice, no listing goes on for ever.

dlt asks the paginator of a load for its requests. What has to be remembered from one load of a run
to the next is in `PagingMemory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from link_assets.source.dialects.base import Endpoint, LostPosition, Page, PagingError, Position
from link_assets.source.endless import NewRows
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ApiError, page_of


@dataclass
class PagingMemory:
    """What a run has seen of a listing: positions, and rows as far as `endless` needs them.

    `failure` is the error if paging was given up: pages brought no new row, or there was no telling
    where the next one begins. The rows before it are loaded first; then the caller raises it. With
    `watched=False` the paginator raises it at once.
    """

    watched: bool = True
    failure: ApiError | None = None
    positions: set[Position] = field(default_factory=set)
    new_rows: NewRows = field(default_factory=NewRows)

    def forget(self) -> None:
        """Begin anew, with the pages of another run."""
        self.positions.clear()
        self.new_rows = NewRows()


class EndpointPaginator(BasePaginator):
    """Goes from page to page as the endpoint says, from the parameters that `begin` returns.

    A position that comes again raises ApiError. `max_pages_without_new_rows` pages in a row that
    bring no new row end the listing with an ApiError in `memory.failure`; so does a PagingError of
    the endpoint. dlt copies the paginator of a listing by domain for each domain.
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
        if following in self._positions:
            raise self.error(
                response,
                f"its {self.endpoint.token_key or 'position'} came a second time, so paging would "
                "never end; report it to the API's provider",
            )
        self._memory.new_rows.look_at(page.rows, self.endpoint.identity)
        self._position = following
        if following is not None:
            self._positions.add(following)
            self._stop_without_new_rows(response)

    def stop(self) -> None:
        """Make the current page the last one of this load."""
        self._has_next_page = False

    def is_refusal(self, response: Response) -> bool:
        """Return whether the endpoint goes on after this answer, although it is no page."""
        return self.endpoint.is_refusal(response.status_code, self._position)

    def error(self, response: Response, reason: str, is_lost: bool = False) -> ApiError:
        """Make an ApiError that names the resource and the page, and says what to do.

        With `is_lost` it says that the position is of no use, as some statuses do.
        """
        endpoint, status = self.endpoint, response.status_code
        advice = endpoint.advice(status, self._position)
        return ApiError(
            f"{endpoint.what_of(response, self._hosts)}, page {self._stats.page}: {reason}"
            + (f"; {advice}." if advice else "."),
            response,
            is_lost or status in endpoint.statuses_refusing_position,
        )

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
            return self.endpoint.next_position(page)
        except PagingError as problem:
            if self._is_kept and isinstance(problem, LostPosition):
                raise self.error(response, str(problem), is_lost=True) from None
            self._give_up(response, str(problem))
            return None

    def _give_up(self, response: Response, reason: str) -> None:
        """End the listing with an error that is raised once the rows before it are loaded."""
        error = self.error(response, reason)
        if not self._memory.watched:
            raise error from None
        self._memory.failure = error
        self.stop()
