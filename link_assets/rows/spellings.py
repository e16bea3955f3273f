"""The other spellings of a link's path that clicks may use.

A click may say `/caf%C3%A9` where the link says `café`, or the other way round, and SQL decodes
neither. So `links` puts the spellings into a child table, by which warehouse.link_join finds the
link of a click.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

_UNREMARKABLE = re.compile(r"[A-Za-z0-9!$&'()*+,./:;=@_~\[\]|\\-]*")
"""Paths that nothing encodes, and in which there is nothing to decode."""
_AS_THEY_ARE = "!$&'()*+,/:;=@[]|\\"
"""What browsers leave as it is in a path, besides letters, digits and `-._~`."""


def spellings(path: str | None) -> list[str]:
    """Return the spellings of a path but for its own: decoded, and encoded as browsers do.

    Both cases of the digits in escapes are among them, because paths may be told apart by case.
    There are none of a path whose escapes are not UTF-8.
    """
    if path is None or _UNREMARKABLE.fullmatch(path):
        return []
    found = dict.fromkeys(_spellings(path))
    found.pop(path, None)
    return [*found]


def _spellings(path: str) -> Iterator[str]:
    try:
        decoded = unquote(path, errors="strict")
        encoded = quote(decoded, safe=_AS_THEY_ARE)
    except UnicodeError:
        return
    yield encoded
    yield re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), encoded)
    # a click's path ends where its query or fragment begins
    if not re.search("[?#]", decoded):
        yield decoded
