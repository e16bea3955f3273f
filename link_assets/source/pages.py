"""Page tokens, and what a valid page of the API is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from http.client import NO_CONTENT, OK
from typing import Any, cast

from dlt.common.json import custom_pua_decode
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from msgspec import DecodeError, defstruct
from msgspec.json import Decoder
from requests import HTTPError, Request, Response

from link_assets.rows.convert import ExactNumber, kind_of
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_json, raw_row
from link_assets.source.load_stats import LoadStats
from link_assets.source.refusals import no_json, own_words, refusal
from link_assets.source.salvage import body_texts, read_salvaged

TOKEN_KEY = "nextPageToken"
TOKEN_PARAM = "pageToken"

_Page = tuple[list[RawRow | DamagedRow], str | None]
"""A page's rows and its token."""


class ApiError(HTTPError):
    """The API's answer is not a page; the message says which request, what is wrong, what to do."""

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return cast(Response, self.response).status_code


class _InvalidPage(ValueError):
    """An answer is not a page; the message says why."""


class _NoList(_InvalidPage):
    """An answer has no rows, and may say why."""


class PageTokenPaginator(JSONResponseCursorPaginator):
    """Follows `nextPageToken` through `pageToken`, as the guide says, and never without end.

    A token that comes again raises ApiError. `max_pages_without_news` pages in a row that bring
    no new row end paging with an ApiError in `progress.failure`, for what came before to be
    loaded; if nobody watches the progress, it is raised. Rows are the same if they agree in
    the fields that they are `known_by`.

    `start` is called as the first request is made and returns the parameters to begin with:
    none for the first page, or a `pageToken` to resume from.
    """

    def __init__(
        self,
        what: str,
        progress: LoadStats,
        known_by: Sequence[str],
        max_pages_without_news: int,
        start: Callable[[], dict[str, str]] = dict,
    ) -> None:
        super().__init__(cursor_path=TOKEN_KEY, cursor_param=TOKEN_PARAM)
        self.what = what
        self.progress = progress
        self._known_by = known_by
        self._max_pages_without_news = max_pages_without_news
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
        """Takes the next token, and looks at whether paging comes to an end."""
        super().update_state(response, data)
        token = self._next_reference
        if token in self.progress.tokens:
            raise self.error(
                response,
                f"its {TOKEN_KEY} came a second time, so paging would never end; "
                "report it to the API's provider",
            )
        self.progress.news.look_at(data or [], self._known_by)
        if token is not None:
            self.progress.tokens.add(token)
            self._stop_without_news(response)

    def stop(self) -> None:
        """Makes the current page the last one."""
        self._has_next_page = False

    def _stop_without_news(self, response: Response) -> None:
        pages = self.progress.news.pages_without
        if pages < self._max_pages_without_news:
            return
        error = self.error(
            response,
            f"{pages} pages in a row brought no new row, and each led to another; report it to "
            "the API's provider, or raise SOURCES__LINK_ASSETS__MAX_PAGES_WITHOUT_NEWS if its "
            "pages are right",
        )
        if not self.progress.watched:
            raise error
        self.progress.failure = error
        self.stop()

    def error(self, response: Response, reason: str) -> ApiError:
        """An ApiError that names the resource and the page."""
        message = f"{self.what}, page {self.progress.page}: {reason}."
        return ApiError(message, response=response)


def page_check(
    paginator: PageTokenPaginator, selector: str, secrets: Collection[str]
) -> Callable[..., None]:
    """A response hook that lets only valid pages through.

    A page is valid if it is a JSON object with a list under `selector` and a token that is text,
    a number, null or absent; an answer without content is an empty page. Anything else raises
    ApiError, in whose text no part of a secret can be read. Later `response.json()` calls return
    that list, each row as a rows.Row or rows.DamagedRow, and the token as text, without reading
    the page again.
    """
    decoder = _page_decoder(selector)

    def check(response: Response, *args: Any, **kwargs: Any) -> None:
        try:
            rows, token = _read_answer(response, selector, decoder, secrets)
        except _InvalidPage as invalid:
            raise paginator.error(response, str(invalid)) from None
        vars(response)["json"] = lambda **_: {selector: rows, TOKEN_KEY: token}

    return check


def _read_answer(
    response: Response, selector: str, decoder: Decoder[Any], secrets: Collection[str]
) -> _Page:
    if response.status_code == NO_CONTENT:
        return [], None
    if response.status_code != OK:
        raise _InvalidPage(refusal(response, secrets))
    try:
        return _read_page(response, selector, decoder)
    except RecursionError:
        raise _InvalidPage("the answer is nested too deeply to be read") from None
    except _NoList as invalid:
        raise _InvalidPage(f"{invalid}{own_words(response, secrets)}") from None
    except _InvalidPage:
        raise
    except ValueError:
        raise _InvalidPage(no_json(response, secrets)) from None


def _page_decoder(selector: str) -> Decoder[Any]:
    """Reads a page as far as its rows, each of which it leaves as it is."""
    fields = [("rows", list[RawRow]), ("token", str | int | None, None)]
    names = {"rows": selector, "token": TOKEN_KEY}
    return Decoder(defstruct("Page", fields, rename=names))


def _read_page(response: Response, selector: str, decoder: Decoder[Any]) -> _Page:
    """The page's rows and token; raises ValueError if the body is no page."""
    body = response.content
    try:
        body.decode()  # the decoder does not look at the text within rows
        page = decoder.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _read_patiently(response, selector, decoder)
    return page.rows, _token(page.token)


def _read_patiently(response: Response, selector: str, decoder: Decoder[Any]) -> _Page:
    """A page that is encoded, nested or spelled in an unusual way; raises like `_read_page`."""

    def read(body: bytes) -> tuple[list[RawRow], str | None]:
        try:
            page = decoder.decode(body)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return _read_as_objects(body, selector)
        return page.rows, _token(page.token)

    for text in body_texts(response.content, response.headers.get("Content-Type", "")):
        try:
            return read_salvaged(text, selector, read)
        except _InvalidPage:
            raise
        except ValueError:
            continue
    raise ValueError("no JSON in any encoding")


def _read_as_objects(body: bytes, selector: str) -> tuple[list[RawRow], str | None]:
    page = parse_json(body)
    if not isinstance(page, dict):
        raise _InvalidPage("the answer is JSON but not an object")
    rows = page.get(selector)
    if not isinstance(rows, list):
        found = kind_of(rows) if selector in page else "no such key"
        raise _NoList(f"the answer has no list under '{selector}' (found: {found})")
    return [raw_row(row) for row in rows], _token(page.get(TOKEN_KEY))


def _token(token: Any) -> str | None:
    """The token as text that can be sent and kept; raises _InvalidPage if it is none."""
    if token is None or token == "":
        return None
    if isinstance(token, ExactNumber) and token.is_whole:
        return token.text
    if not isinstance(token, str | int) or isinstance(token, bool):
        raise _InvalidPage(f"its {TOKEN_KEY} is neither text nor null (found: {kind_of(token)})")
    if token == 0:
        return None  # as APIs that count rows say that there are no more
    text = str(token)
    if not text.isascii():
        _check_beyond_ascii(text)
    return text


def _check_beyond_ascii(token: str) -> None:
    try:
        token.encode()
    except UnicodeEncodeError:
        raise _InvalidPage(
            f"its {TOKEN_KEY} is text with half a surrogate pair, which cannot be sent back"
        ) from None
    if custom_pua_decode(token) is not token:
        raise _InvalidPage(f"its {TOKEN_KEY} is text that dlt reserves for typed values")
