"""Pages whose text is JSON but for some of its strings.

A byte that is not UTF-8, a raw control character, or an escape that JSON does not know costs the
row it stands in, not the page. The page is read once with a neutral character for all damage, then
once per kind of damage with a mark in its place: rows that show the mark have that damage.
Called by `pages` for a body that its fast decoder refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from functools import partial
from typing import Any

from link_assets.rows.raw_json import DamagedRow, RawRow, parse_json

_REASONS = {
    "byte": "holds bytes that are not UTF-8",
    "control": "holds a raw control character",
    "escape": "holds an escape that JSON does not know",
}
# one that does not end is matched, too, or each quote in it would be tried as a beginning
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_UNKNOWN = re.compile(r"[\ud800-\udfff]")
_BEYOND_ASCII = re.compile(r"[\x80-\ud7ff\ue000-\U0010ffff]")
_SOUND_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
# a byte that could not be decoded is half a surrogate pair
_DAMAGE = re.compile(
    rf"{_SOUND_ESCAPE}|(?P<escape>\\)|(?P<byte>[\ud800-\udfff])|(?P<control>[\x00-\x1f])"
)
# no text holds them: Unicode keeps them free for marks within a program
_ANY, _WANTED = "\ufdd0", "\ufdd1"

ReadPage = Callable[[bytes], tuple[list[RawRow], str | None]]
"""Reads a page's rows and its token; raises ValueError if the body is no JSON."""

SplitAnswer = Callable[[Any], tuple[list[Any], Any]]
"""Splits a parsed answer into its rows and all else."""


def body_texts(body: bytes, content_type: str) -> list[str]:
    """Return the body as text in each encoding that it may have, the likely ones first.

    Bytes that are unknown to the encoding become halves of surrogate pairs. A body that is UTF-8
    is read as UTF-8 even if another is declared, as is one that is UTF-8 for the most part.
    """
    encoding = json.detect_encoding(body)
    with suppress(UnicodeDecodeError):
        return [body.decode(encoding)]
    texts: list[str] = []
    with suppress(LookupError, ValueError):
        texts.append(body.decode(_declared_charset(content_type), "surrogateescape"))
    with suppress(UnicodeDecodeError):
        is_utf8 = encoding.startswith("utf-8")
        text = body.decode(encoding, "surrogateescape" if is_utf8 else "surrogatepass")
        mostly = len(_BEYOND_ASCII.findall(text)) >= len(_UNKNOWN.findall(text))
        texts.insert(0 if mostly else len(texts), text)
    return texts


def _declared_charset(content_type: str) -> str:
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset("")


def read_salvaged(text: str, split: SplitAnswer, read: ReadPage) -> tuple[list[Any], str | None]:
    """Return a page's rows, of which some may be a DamagedRow, and its token.

    Raises ValueError if the text is no JSON even without the damage in its strings, or if there is
    damage outside the rows.
    """
    parts = _parts(text)
    kinds = [kind for kind in _REASONS if kind in dict(parts)]
    unmarked = _spelled(parts, lambda kind, damage: _ANY)
    rows, token = read(unmarked)
    if not kinds:
        return rows, token
    marked = [read(_spelled(parts, partial(_marked, kind)))[0] for kind in kinds]
    values, rest = split(parse_json(_spelled(parts, _escaped)))
    if rest != split(parse_json(unmarked))[1]:
        raise ValueError("the page is damaged outside its rows")
    found = zip(rows, values, zip(*marked, strict=True), strict=True)
    return [_row(kinds, *row) for row in found], token


def _row(
    kinds: list[str], row: RawRow, value: Any, marked: tuple[RawRow, ...]
) -> RawRow | DamagedRow:
    reasons = [_REASONS[k] for k, other in zip(kinds, marked, strict=True) if other != row]
    return DamagedRow(value, "; ".join(reasons)) if reasons else row


def _parts(text: str) -> list[tuple[str, str]]:
    """Split the text: damage in its strings with its kind, all else with an empty one."""
    parts: list[tuple[str, str]] = []
    end = 0
    for string in _STRING.finditer(text):
        for found in _DAMAGE.finditer(text, *string.span()):
            if kind := found.lastgroup:
                parts += [("", text[end : found.start()]), (kind, found[0])]
                end = found.end()
    return [*parts, ("", text[end:])]


def _spelled(parts: list[tuple[str, str]], spell: Callable[[str, str], str]) -> bytes:
    """Join the parts as UTF-8, with damage spelled according to its kind."""
    spelled = (spell(kind, part) if kind else part for kind, part in parts)
    return "".join(spelled).encode(errors="surrogatepass")


def _marked(wanted: str, kind: str, damage: str) -> str:
    return _WANTED if kind == wanted else _ANY


def _escaped(kind: str, damage: str) -> str:
    return f"\\u{ord(damage):04x}"
