"""What a valid page of an API is, and the error that an answer raises which is none.

`rest` hangs `page_check` on every response before dlt sees it. Bodies are read only as far as
their rows, which stay JSON text; what the rows say is the business of `link_assets.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from http.client import NO_CONTENT, OK
from typing import Any, cast

from dlt.common.json import custom_pua_decode
from msgspec import DecodeError, defstruct
from msgspec.json import Decoder
from requests import HTTPError, Response

from link_assets.rows.convert import ExactNumber, kind_of
from link_assets.rows.raw_json import RawRow, parse_json, raw_row
from link_assets.source.dialects.base import Endpoint, Page
from link_assets.source.refusals import no_json, own_words, refusal
from link_assets.source.salvage import body_texts, read_salvaged

ROWS = "rows"
"""The key under which a checked response has its rows; the API's own key may be another."""


class ApiError(HTTPError):
    """The API's answer is not a page; the message says which request, what is wrong, what to do.

    `refuses_position`: the status means that the API no longer knows the position it was given.
    """

    # Python copies an exception by calling its class with the message alone
    def __init__(
        self, message: str, response: Response | None = None, refuses_position: bool = False
    ) -> None:
        super().__init__(message, response=response)
        self.refuses_position = refuses_position

    @property
    def status(self) -> int:
        """Return the HTTP status of the answer."""
        return cast(Response, self.response).status_code


class _InvalidPage(ValueError):
    """An answer is not a page; the message says why."""


class _NoList(_InvalidPage):
    """An answer has no rows, and may say why."""


_REFUSAL = Page([], None, is_refusal=True)
_Parts = tuple[list[RawRow], str | None]
"""A page's rows and its token."""

MakeError = Callable[[Response, str], ApiError]
"""Makes the error for a response and a reason, with the resource and the page in its message."""


def page_check(
    endpoint: Endpoint,
    error: MakeError,
    secrets: Collection[str],
    is_refusal: Callable[[Response], bool] = lambda _: False,
) -> Callable[..., None]:
    """Make a response hook that lets only valid pages through.

    A page is valid if it is a JSON object with a list under the endpoint's `rows_key` and a token
    that is text, a number, null or absent; or, without a `rows_key`, a JSON list. An answer
    without content is an empty page, and so is one that the endpoint takes for a refusal of the
    request (`is_refusal`). For anything else the hook raises what `error` makes, in whose text no
    part of a secret can be read.

    A later `response.json()` returns the rows under `ROWS`, each a RawRow or DamagedRow, without
    reading the body again; `page_of(response)` returns the whole page.
    """
    body = _Body(endpoint)

    def check(response: Response, *args: Any, **kwargs: Any) -> None:
        if is_refusal(response):
            refused(response)
        else:
            _keep(read(response), response)

    def read(response: Response) -> Page:
        try:
            return _read_answer(response, body, secrets)
        except _InvalidPage as invalid:
            raise error(response, str(invalid)) from None

    return check


def refused(response: Response) -> Response:
    """Return the response as a page without rows, marked as a refusal."""
    response.status_code = OK  # dlt raises on any other, once the hooks have seen it
    return _keep(_REFUSAL, response)


def _keep(page: Page, response: Response) -> Response:
    vars(response).update(page=page, json=lambda **_: {ROWS: page.rows})
    return response


def page_of(response: Response) -> Page:
    """Return the page of a response that has passed the check."""
    return vars(response)["page"]


def _read_answer(response: Response, body: _Body, secrets: Collection[str]) -> Page:
    if response.status_code == NO_CONTENT:
        return Page([], None)
    if response.status_code != OK:
        raise _InvalidPage(refusal(response, secrets))
    try:
        return body.page(response)
    except RecursionError:
        raise _InvalidPage("the answer is nested too deeply to be read") from None
    except _NoList as invalid:
        raise _InvalidPage(f"{invalid}{own_words(response, secrets)}") from None
    except _InvalidPage:
        raise
    except ValueError:
        raise _InvalidPage(no_json(response, secrets)) from None


class _Body:
    """Reads the bodies of an endpoint's answers as pages whose rows stay JSON text."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._rows_key, self._token_key = endpoint.rows_key, endpoint.token_key
        self._decoder: Decoder[Any] = Decoder(self._shape() if self._rows_key else list[RawRow])

    def _shape(self) -> type:
        """Make the type of an answer that is an object, with its rows and its token, if any."""
        rows, token = ("rows", list[RawRow]), ("token", str | int | None, None)
        names = {"rows": self._rows_key or "", "token": self._token_key or ""}
        return defstruct("Page", [rows, token] if self._token_key else [rows], rename=names)

    def page(self, response: Response) -> Page:
        """Return the page; raise ValueError if the body is none."""
        body = response.content
        try:
            body.decode()  # the decoder does not look at the text within rows
            return Page(*self._decoded(body))
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return self._salvaged(response)

    def _salvaged(self, response: Response) -> Page:
        """Return a page that is encoded, nested or spelled in an unusual way."""
        for text in body_texts(response.content, response.headers.get("Content-Type", "")):
            try:
                return Page(*read_salvaged(text, self._split, self._read))
            except _InvalidPage:
                raise
            except ValueError:
                continue
        raise ValueError("no JSON in any encoding")

    def _decoded(self, body: bytes) -> _Parts:
        page = self._decoder.decode(body)
        if self._rows_key is None:
            return page, None
        return page.rows, _token(getattr(page, "token", None), self._token_key)

    def _read(self, body: bytes) -> _Parts:
        try:
            return self._decoded(body)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            rows, rest = self._split(parse_json(body))
        token = rest.get(self._token_key or "")
        return [raw_row(row) for row in rows], _token(token, self._token_key)

    def _split(self, answer: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return the rows of a parsed answer, and the rest of it."""
        key = self._rows_key
        if key is None:
            if not isinstance(answer, list):
                raise _NoList(f"the answer is no list (found: {kind_of(answer)})")
            return answer, {}
        if not isinstance(answer, dict):
            raise _InvalidPage("the answer is JSON but not an object")
        rows = answer.get(key)
        if not isinstance(rows, list):
            found = kind_of(rows) if key in answer else "no such key"
            raise _NoList(f"the answer has no list under '{key}' (found: {found})")
        return rows, {name: value for name, value in answer.items() if name != key}


def _token(token: Any, key: str | None) -> str | None:
    """Return the token as text that can be sent and kept; raise _InvalidPage if it cannot be."""
    if token is None or token == "":
        return None
    if isinstance(token, ExactNumber) and token.is_whole:
        return token.text
    if not isinstance(token, str | int) or isinstance(token, bool):
        raise _InvalidPage(f"its {key} is neither text nor null (found: {kind_of(token)})")
    if token == 0:
        return None  # as APIs that count rows say that there are no more
    text = str(token)
    if not text.isascii():
        _check_beyond_ascii(text, key)
    return text


def _check_beyond_ascii(token: str, key: str | None) -> None:
    try:
        token.encode()
    except UnicodeEncodeError:
        raise _InvalidPage(
            f"its {key} is text with half a surrogate pair, which cannot be sent back"
        ) from None
    if custom_pua_decode(token) is not token:
        raise _InvalidPage(f"its {key} is text that dlt reserves for typed values")
