"""Words for an answer that is no page: what the status means, and what the API itself says.

`pages` puts them into its errors. No part of a secret that an API repeats can be read in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from requests import Response

from link_assets.rows.raw_json import parse_json
from link_assets.settings import address_setting

LIKELY_CAUSES = {
    400: "the API refused the request as malformed",
    401: "the API key was not accepted; check SOURCES__LINK_ASSETS__API_KEY",
    402: "the account's plan does not include this",
    403: "the API key may not read this; check what the key has access to",
    404: "there is no such resource; check {setting} and the domain's id",
    410: "what was asked for is gone",
    422: "the API refused the request's parameters",
    429: "the API still limits the rate after all retries; set "
    "SOURCES__LINK_ASSETS__REQUESTS_PER_SECOND to what it allows",
}
_LONGEST = 200
"""Characters of the API's own words that are shown."""
_REVEALING = 4
"""Characters in a row of a secret that are not shown."""
_WHERE = ("message", "error_description", "error", "errors", "detail", "title")
"""Fields in which APIs say what is wrong."""
_READABLE = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


def refusal(response: Response, secrets: Collection[str]) -> str:
    """Return what a status that brings no page means, with the API's own words if it has any."""
    status = response.status_code
    cause = LIKELY_CAUSES.get(status)
    if cause is None:
        redirects = "it points elsewhere; set {setting} to where it points"
        failed = "the API failed; try again later"
        cause = redirects if response.is_redirect else failed if status >= 500 else "unexpected"
    cause = cause.format(setting=address_setting(response.url or ""))
    reason = shown(str(response.reason or ""), secrets)
    answer = f"the API answered {status} {reason}".rstrip()
    return f"{answer} ({cause}){own_words(response, secrets)}"


def no_json(response: Response, secrets: Collection[str]) -> str:
    """Return what there is to say of a body that cannot be read."""
    kind = shown(response.headers.get("Content-Type", "none"), secrets)
    size = len(response.content)
    reason = f"the answer is not JSON (content type {kind}, {size} bytes)"
    given = response.headers.get("Content-Encoding", "")
    if {coding.strip().lower() for coding in given.split(",")} <= _READABLE:
        return reason
    return (
        f"{reason}; it came with Content-Encoding {shown(given, secrets)}, which was not asked "
        "for and cannot be read here: have the API, or the proxy before it, send gzip or nothing"
    )


def own_words(response: Response, secrets: Collection[str]) -> str:
    """Return what the API itself says in a JSON body, to be put behind a sentence.

    Empty if it says nothing, or nothing but the status in words.
    """
    status = shown(str(response.reason or ""), secrets).lower()
    try:
        said = parse_json(response.content)
        texts = list(_texts(said)) if isinstance(said, dict) else []
    except (ValueError, RecursionError):
        return ""
    lines = (shown(text, secrets).rstrip(".") for text in texts)
    words = next((line for line in lines if line.lower() not in ("", status)), "")
    return f"; the API says: {words}" if words else ""


def shown(text: str, secrets: Collection[str]) -> str:
    """Return the text as one short printable line in which no part of a secret can be read."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = _without(line, secrets)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _texts(said: Any) -> Iterator[str]:
    """Yield the texts in the fields that say what is wrong, the clearest first."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        for name in _WHERE:
            yield from _texts(said.get(name))
    elif isinstance(said, list):
        for item in said:
            yield from _texts(item)


def _without(line: str, secrets: Collection[str]) -> str:
    """Blank what the line shares with a secret, in upper or lower case; APIs quote keys in part."""
    hidden: set[int] = set()
    folded = _folded(line)
    for secret in map(_folded, filter(None, secrets)):
        length = min(_REVEALING, len(secret))
        parts = {secret[i : i + length] for i in range(len(secret) - length + 1)}
        for i in range(len(line) - length + 1):
            if folded[i : i + length] in parts:
                hidden.update(range(i, i + length))
    blanked = "".join("\0" if i in hidden else c for i, c in enumerate(line))
    return re.sub("\0+", "***", blanked)


def _folded(text: str) -> str:
    """Return the text in lower case, character by character, so that indexes stay the same."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
