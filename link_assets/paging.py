"""Page tokens, and what a valid page of the API is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from msgspec import DecodeError, defstruct
from msgspec.json import Decoder
from requests import HTTPError, Request, Response

from link_assets.progress import Progress
from link_assets.rows import Row, read_json, row_of
from link_assets.values import kind_of

TOKEN_KEY = "nextPageToken"
TOKEN_PARAM = "pageToken"
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


class _InvalidPage(ValueError):
    """An answer is not a page; the message says why."""


class PageTokenPaginator(JSONResponseCursorPaginator):
    """Follows `nextPageToken` through `pageToken`, as the guide says, and never round in a circle.

    `start` is called as the first request is made and returns the parameters to begin with:
    none for the first page, or a `pageToken` to resume from.
    """

    def __init__(
        self, what: str, progress: Progress, start: Callable[[], dict[str, str]] = dict
    ) -> None:
        super().__init__(cursor_path=TOKEN_KEY, cursor_param=TOKEN_PARAM)
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
        if token := parameters.get(TOKEN_PARAM):
            self.progress.tokens.add(token)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Takes the next token; raises ApiError if this traversal has had it before."""
        super().update_state(response, data)
        token = self._next_reference
        if token in self.progress.tokens:
            raise self.error(
                response,
                f"its {TOKEN_KEY} came a second time, so paging would never end; "
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
    a number, null or absent. Anything else raises ApiError. Later `response.json()` calls return
    that list, each row as a rows.Row, and the token, without reading the page again.
    """
    decoder = _page_decoder(selector)

    def check(response: Response, *args: Any, **kwargs: Any) -> None:
        try:
            _check_status(response)
            page = _read_page(response, selector, decoder)
        except _InvalidPage as invalid:
            raise paginator.error(response, str(invalid)) from None
        vars(response)["json"] = lambda **_: page

    return check


def _check_status(response: Response) -> None:
    status = response.status_code
    if status == 200:
        return
    cause = LIKELY_CAUSES.get(status)
    if cause is None:
        redirects = "it points elsewhere; set SOURCES__LINK_ASSETS__BASE_URL to where it points"
        failed = "the API failed; try again later"
        cause = redirects if response.is_redirect else failed if status >= 500 else "unexpected"
    answer = f"the API answered {status} {response.reason or ''}".rstrip()
    raise _InvalidPage(f"{answer} ({cause})")


def _page_decoder(selector: str) -> Decoder[Any]:
    """Reads a page as far as its rows, each of which it leaves as it is."""
    fields = [("rows", list[Row]), ("token", str | int | None, None)]
    names = {"rows": selector, "token": TOKEN_KEY}
    return Decoder(defstruct("Page", fields, rename=names))


def _read_page(response: Response, selector: str, decoder: Decoder[Any]) -> dict[str, Any]:
    """The page, its rows as `rows.Row`; raises _InvalidPage if it is none."""
    body = response.content
    try:
        body.decode()  # the decoder does not look at the text within rows
        page = decoder.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _read_patiently(response, selector)
    return {selector: page.rows, TOKEN_KEY: page.token}


def _read_patiently(response: Response, selector: str) -> dict[str, Any]:
    """A page that is encoded or nested in an unusual way; raises _InvalidPage if it is none."""
    body = response.content
    try:
        page = read_json(body)
    except RecursionError:
        raise _InvalidPage("the answer is nested too deeply to be read") from None
    except ValueError:
        kind = response.headers.get("Content-Type", "none")
        raise _InvalidPage(
            f"the answer is not JSON (content type {kind}, {len(body)} bytes)"
        ) from None
    if not isinstance(page, dict):
        raise _InvalidPage("the answer is JSON but not an object")
    rows, token = page.get(selector), page.get(TOKEN_KEY)
    if not isinstance(rows, list):
        found = kind_of(rows) if selector in page else "no such key"
        raise _InvalidPage(f"the answer has no list under '{selector}' (found: {found})")
    if token is not None and (not isinstance(token, str | int) or isinstance(token, bool)):
        raise _InvalidPage(f"its {TOKEN_KEY} is neither text nor null (found: {kind_of(token)})")
    return {selector: [row_of(row) for row in rows], TOKEN_KEY: token}
