"""Which paths of clicks belong to which links, however they are spelled.

The check `known_links` uses it. Pure functions: nothing here reads the warehouse.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from unicodedata import normalize
from urllib.parse import unquote

SHOWN = 60
"""How many letters of a path a message quotes."""
DomainPath = tuple[int, str]
"""A domain's id and a path in it."""


def address(path: str, exact: bool = False) -> str:
    """Return what all spellings of the same path have in common.

    Percent-escapes are decoded as UTF-8; invalid ones stay as they are, and so does `+`, which
    means a space only in queries. Unicode's composed and decomposed letters are the same, and so
    are one slash and several; slashes at the ends are left out. Case is told apart if `exact`.
    """
    # bytes that are no UTF-8 are kept apart from each other
    decoded = unquote(path, errors="surrogateescape") if "%" in path else path
    letters = normalize("NFC", decoded)
    if not exact:
        letters = normalize("NFC", letters.lower())
    return "/".join(filter(None, letters.split("/")))


def shown_path(path: str) -> str:
    """Return a path as a message quotes it: its beginning, on one line, without query."""
    (beginning, *_) = re.split("[?#]", path, maxsplit=1)
    shown = "".join(letter if letter.isprintable() else "?" for letter in beginning[:SHOWN])
    return shown + ("..." if len(beginning) > SHOWN else "")


def unknown_paths(
    clicks: Mapping[DomainPath, int],
    links: Iterable[DomainPath],
    exact_domains: Collection[int] = (),
) -> dict[DomainPath, int]:
    """Return the paths of clicks that are no link's, with how many clicks each has.

    A `?` or `#` begins a query or a fragment, or belongs to the path if a link has it. The
    `exact_domains` tell case apart.
    """
    unknown = dict(clicks)
    spellings: defaultdict[DomainPath, list[DomainPath]] = defaultdict(list)
    for domain, path in clicks:
        for spelling in {path, re.split("[?#]", path, maxsplit=1)[0]}:
            spellings[domain, address(spelling, domain in exact_domains)].append((domain, path))
    for domain, path in links:
        for known in spellings.pop((domain, address(path, domain in exact_domains)), ()):
            unknown.pop(known, None)
    return unknown
