"""Click ids: what tells one click from another, so that loading it again replaces it.

`clicks` asks for them when the rest of a table is converted. An id is kept in warehouses for
good: the bytes that are hashed never change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec
import pyarrow as pa
from pyarrow.compute import JoinOptions, MatchSubstringOptions, call_function

from link_assets.contract import CLICK_FACTS, CLICKS

_FACT_COLUMNS = [f.column for name in CLICK_FACTS for f in CLICKS.fields if f.name == name]
_ESCAPED = MatchSubstringOptions(r'["\\\x00-\x1f]')
"""The characters that JSON cannot spell as themselves."""
_NULL = JoinOptions(null_handling="replace", null_replacement="null")


def click_ids(
    table: pa.Table, domain_id: int, page_of_row: Sequence[int], *, plain: bool = False
) -> pa.Array:
    """Return the id of each click: a 128-bit hash as hexadecimal text.

    Args:
        table: Converted clicks, with all columns of the contract's `CLICK_FACTS`.
        domain_id: The domain that was clicked on.
        page_of_row: The number of the page that each row came on. Identical clicks of a page are
            numbered, so that they stay apart; on another page they count as the same again.
        plain: Whether it is known that JSON escapes no character of the texts, which saves
            looking for one.
    """
    identities = _identities(table, domain_id, plain)
    if len(set(identities)) < len(identities):
        numbers = _occurrences(zip(page_of_row, identities, strict=True))
        identities = [_numbered(i, n) for i, n in zip(identities, numbers, strict=True)]
    hashes = [blake2b(identity, digest_size=16).hexdigest() for identity in identities]
    return pa.array(hashes, pa.string())


def _identities(table: pa.Table, domain_id: int, plain: bool) -> list[bytes]:
    """Return each click's domain and facts as a JSON list that ends with its number, 0.

    Arrow joins the columns' JSON texts. `msgspec.json.encode` of each row would make the same
    bytes in two lines. Measured with 100,000 clicks, it takes 2.3 times the CPU and keeps other
    threads from running 3.3 times as long, 9 % more CPU for all of the reading.
    """
    facts = [_json_texts(table.column(name), plain) for name in _FACT_COLUMNS]
    lists = call_function("binary_join_element_wise", [f"[{domain_id}", *facts, "0]", ","], _NULL)
    return lists.cast(pa.binary()).to_pylist()


def _json_texts(fact: pa.ChunkedArray, plain: bool) -> pa.ChunkedArray | pa.Array:
    """Return a column's values as JSON texts, times as microseconds since 1970."""
    if pa.types.is_timestamp(fact.type):
        fact = fact.cast(pa.int64())
    if not pa.types.is_string(fact.type):
        return fact.cast(pa.string())
    if plain or not _any_escaped(fact):
        return call_function("binary_join_element_wise", ['"', fact, '"', ""])
    return pa.array([msgspec.json.encode(text).decode() for text in fact.to_pylist()], pa.string())


def _any_escaped(texts: pa.ChunkedArray) -> bool:
    found = call_function("match_substring_regex", [texts], _ESCAPED)
    return bool(call_function("any", [found]).as_py())


def _occurrences(keys: Iterable[tuple[int, bytes]]) -> Iterator[int]:
    """Yield how often each key has come before."""
    seen: defaultdict[tuple[int, bytes], int] = defaultdict(int)
    for key in keys:
        yield seen[key]
        seen[key] += 1


def _numbered(identity: bytes, number: int) -> bytes:
    return b"%b%d]" % (identity.removesuffix(b"0]"), number)
