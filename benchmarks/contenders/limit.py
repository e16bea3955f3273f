"""The limit: the fastest loop that could be written, without dlt, for this table and no other.

It keeps no state, retries nothing and checks nothing. One thread receives pages, Arrow reads them
in another, DuckDB inserts in a third. Tried, and slower: `http.client`, cutting pages into rows
with msgspec, reading and inserting in one thread, lots of 20,000 rows.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
from pyarrow import json as arrow_json
from pyarrow.compute import JoinOptions, call_function

from benchmarks.contenders import API_KEY, CLICKS_PATH, FILE
from link_assets.contract import CLICK_FACTS, CLICKS, DataType

LOT = 67
"""Pages that are read and inserted at once: 10,000 rows."""
TAIL = 300
"""Bytes at a page's end that hold its token."""
_TYPES: dict[DataType, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_CLICK = pa.struct(
    [*((f.name, _TYPES[f.data_type]) for f in CLICKS.fields), ("device_type", pa.string())]
)
_PAGE = pa.schema([("data", pa.list_(_CLICK)), ("nextPageToken", pa.string())])
_NULL = JoinOptions(null_handling="replace", null_replacement="null")
# the page's own token, since the last brace closes the page
_TOKEN = re.compile(rb'"nextPageToken":(?:"([^"\\]+)"|null)\}$')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def clicks(url: str) -> None:
    """The clicks of domain 1."""
    pages = _pages(url)
    with (
        duckdb.connect(FILE) as database,
        ThreadPoolExecutor(1) as inserting,
        ThreadPoolExecutor(1) as reading,
    ):
        database.execute("SET checkpoint_threshold = '256MB'")  # seldom, and at the end
        database.execute("CREATE SCHEMA link_assets")
        inserted = [
            inserting.submit(_insert, database, reading.submit(_table, lot))
            for lot in iter(lambda: list(islice(pages, LOT)), [])
        ]
        for lot in inserted:
            lot.result()


def _insert(database: duckdb.DuckDBPyConnection, read: Future[pa.Table]) -> None:
    database.register("lot", read.result())
    database.execute("CREATE TABLE IF NOT EXISTS link_assets.clicks AS FROM lot LIMIT 0")
    database.execute("INSERT INTO link_assets.clicks FROM lot")


def _pages(url: str) -> Iterator[bytes]:
    """Yields the text of each page, once the next one is asked for."""
    address = urlsplit(url)
    path = CLICKS_PATH.format(1).encode()
    received = memoryview(bytearray(1 << 22))
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask(query: bytes) -> None:
            head = b"Host: benchmark\r\nAuthorization: " + API_KEY.encode()
            connection.sendall(b"GET %b%b HTTP/1.1\r\n%b\r\n\r\n" % (path, query, head))

        ask(b"")
        token = b"none yet"
        while token:
            body = _body(connection, received)
            (token,) = _TOKEN.findall(body, max(0, len(body) - TAIL))
            if token:
                ask(b"?pageToken=" + token)
            yield body


def _body(connection: socket.socket, received: memoryview) -> bytes:
    """Receives one answer; returns its body."""
    size = connection.recv_into(received)
    head, _, _ = bytes(received[:size]).partition(b"\r\n\r\n")
    (length,) = _LENGTH.findall(head)
    start = len(head) + 4
    while size < start + int(length):
        size += connection.recv_into(received[size:])
    return bytes(received[start:size])


def _table(pages: Sequence[bytes]) -> pa.Table:
    """Pages as rows of the table: Arrow takes each page for one row, a list of clicks."""
    text = b"\n".join(pages)
    reading = arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    parsing = arrow_json.ParseOptions(_PAGE, newlines_in_values=True)
    read = arrow_json.read_json(pa.BufferReader(text), reading, parsing).column("data")
    rows = pa.Table.from_struct_array(call_function("list_flatten", [read]))
    added = {
        "domain_id": pa.repeat(pa.scalar(1), len(rows)),
        "click_id": _click_ids(rows),
        "_dlt_load_id": pa.repeat(pa.scalar("1"), len(rows)),
    }
    return pa.table({**added, **dict(zip(rows.column_names, rows.columns, strict=True))})


def _click_ids(rows: pa.Table) -> pa.Array:
    """The project's ids, of clicks that are all different and whose texts need no escapes."""
    facts = [_json(rows.column(name)) for name in CLICK_FACTS]
    lists = call_function("binary_join_element_wise", ["[1", *facts, "0]", ","], _NULL)
    digests = [
        blake2b(fact, digest_size=16).digest() for fact in lists.cast(pa.binary()).to_pylist()
    ]
    hexadecimal = pa.py_buffer(b"".join(digests).hex().encode())
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(rows), [None, hexadecimal])
    return ids.cast(pa.binary()).cast(pa.string())


def _json(fact: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(fact.type):
        fact = fact.cast(pa.int64())
    if not pa.types.is_string(fact.type):
        return fact.cast(pa.string())
    return call_function("binary_join_element_wise", ['"', fact, '"', ""])
