"""Page tokens, and what a valid page of the API is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import orjson
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from requests import HTTPError, Request, Response

from link_assets.progress import Progress
from link_assets.values import kind_of

LIKELY_CAUSES = {
    400: "the API refused the request as malformed",
    401: "the API key was not accepted; check SOURCES__LINK_ASSETS__API_KEY",
    403: "the API key may not read this; check what the key has access to",
    404: "there is no such resource; check SOURCES__LINK_ASSETS__BASE_URL and the domain's id",
    410: "what was asked for is gone",
    422: "the API refused the request's parameters",
    429: "the API still limits the rate after all retries; set "
    "SOURCES__LINK_ASSETS__REQUESTS_PER_SECOND to what it allows",
}
TOKEN_REFUSED = frozenset({400, 404, 410, 422})
"""Statuses by which an API refuses a page token that it no longer knows."""


class ApiError(HTTPError):
    """The API's answer is not a page; the message says which request, what is wrong, what to do."""

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return cast(Response, self.response).status_code


class PageTokenPaginator(JSONResponseCursorPaginator):
    """Follows `nextPageToken` through `pageToken`, as the guide says, and never round in a circle.

    `start` is called as the first request is made and returns the parameters to begin with:
    none for the first page, or a `pageToken` to resume from.
    """

    def __init__(
        self, what: str, progress: Progress, start: Callable[[], dict[str, str]] = dict
    ) -> None:
        super().__init__(cursor_path="nextPageToken", cursor_param="pageToken")
        self.what = what
        self.progress = progress
        self._start = start

    @property
    def next_token(self) -> str | None:
        """The token of the page that follows; None after the last."""
        return self._next_reference if self.has_next_page else None

    def init_request(self, request: Request) -> None:
        parameters = self._start()
        request.params = {**cast(dict[str, Any], request.params or {}), **parameters}
        if token := parameters.get("pageToken"):
            self.progress.tokens.add(token)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Takes the next token; raises ApiError if this traversal has had it before."""
        super().update_state(response, data)
        token = self._next_reference
        if token in self.progress.tokens:
            raise self.error(
                response,
                "its nextPageToken came a second time, so paging would never end; "
                "report it to the API's provider",
            )
        if token is not None:
            self.progress.tokens.add(token)

    def stop(self) -> None:
        """Makes the current page the last one."""
        self._has_next_page = False

    def error(self, response: Response, reason: str) -> ApiError:
        """An ApiError that names the resource and the page."""
        message = f"{self.what}, page {self.progress.page}: {reason}."
        return ApiError(message, response=response)


def page_check(paginator: PageTokenPaginator, selector: str) -> Callable[..., None]:
    """A response hook that lets only valid pages through.

    A page is valid if it is a JSON object with a list under `selector` and a token that is text,
    a number, null or absent. Anything else raises ApiError. The page is parsed once: later
    `response.json()` calls return the same object.
    """

    def check(response: Response, *args: Any, **kwargs: Any) -> None:
        problem = _status_problem(response) or _page_problem(response, response.content, selector)
        if problem:
            raise paginator.error(response, problem)

    return check


def _status_problem(response: Response) -> str | None:
    status = response.status_code
    if status == 200:
        return None
    cause = LIKELY_CAUSES.get(status)
    if cause is None:
        redirects = "it points elsewhere; set SOURCES__LINK_ASSETS__BASE_URL to where it points"
        failed = "the API failed; try again later"
        cause = redirects if response.is_redirect else failed if status >= 500 else "unexpected"
    return f"the API answered {status} {response.reason or ''}".rstrip() + f" ({cause})"


def _page_problem(response: Response, body: bytes, selector: str) -> str | None:
    try:
        page = read_json(body)
    except ValueError:
        kind = response.headers.get("Content-Type", "none")
        return f"the answer is not JSON (content type {kind}, {len(body)} bytes)"
    if not isinstance(page, dict):
        return "the answer is JSON but not an object"
    if not isinstance(page.get(selector), list):
        found = kind_of(page[selector]) if selector in page else "no such key"
        return f"the answer has no list under '{selector}' (found: {found})"
    token = page.get("nextPageToken")
    if token is not None and (not isinstance(token, str | int) or isinstance(token, bool)):
        return f"its nextPageToken is neither text nor null (found: {kind_of(token)})"
    vars(response)["json"] = lambda **_: page
    return None


_ZERO_FOR_DIGITS = bytes(48 if chr(byte).isdecimal() and byte < 128 else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 19


def read_json(body: bytes) -> Any:
    """Parses JSON text; raises ValueError if it is none.

    orjson reads whole numbers beyond 64 bits as floats and refuses lone surrogates; the slower
    standard parser keeps both as they are.
    """
    if _LONG_NUMBER in body.translate(_ZERO_FOR_DIGITS):
        return json.loads(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)
