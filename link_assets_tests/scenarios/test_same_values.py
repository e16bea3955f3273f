"""Every warehouse holds the same values: whole tables, compared by a digest over all columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pytest

from link_assets.sandbox import Sandbox
from link_assets.warehouse.reader import reading
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import rows
from link_assets_tests.warehouse.destinations.postgres_server import (
    needs_postgres,
    new_database,
    postgres_server,
)
from link_assets_tests.warehouse.ducklake.lake import lake_settings, needs_ducklake

POSTGRES = {
    "DESTINATION_TYPE": "postgres",
    "DESTINATION__POSTGRES__CREDENTIALS": "postgresql://loader:unused@127.0.0.1:{port}/{database}",
}
LAKE = lake_settings("{port}", "{database}", "{folder}/lake files")
OTHERS = [
    pytest.param(POSTGRES, id="PostgreSQL", marks=needs_postgres),
    pytest.param(
        {**POSTGRES, "DISABLE_ADBC_DETECTION": "true"},
        id="PostgreSQL without ADBC",
        marks=[needs_postgres, pytest.mark.long],
    ),
    pytest.param(LAKE, id="DuckLake", marks=needs_ducklake),
]
"""The settings of each warehouse that is compared with DuckDB."""

CHILDREN = ("links__tags", "links__spellings")
TABLES = ("clicks", "links", *CHILDREN, "rejected_rows")
DLT_TABLES = ("_dlt_loads", "_dlt_version", "_dlt_pipeline_state")
OF_LINKS = (
    "SELECT l.id, t.* FROM {{dataset}}.{table} AS t"
    " LEFT JOIN {{dataset}}.links AS l ON l._dlt_id = t._dlt_parent_id"
)
QUERIES = {
    table: OF_LINKS if table in CHILDREN else "SELECT * FROM {{dataset}}.{table}"
    for table in TABLES
}
VARCHAR = "character varying"
CHOSEN_BY_DLT = ("_dlt_id", "_dlt_load_id", "_dlt_parent_id", "_dlt_root_id")
"""Columns whose values are random or count loads."""

TEXTS = [
    *("", " ", "  spaces around  ", "\t", "\n", "\r", "\r\n", "a\tb\nc\rd\r\ne", "ends in \n"),
    *("'", '"', "''", '""', 'it\'s "quoted"', "`", "\\", "\\\\", "\\n", "\\N", "\\.", "\\x41"),
    *("NULL", "null", "None", "nan", "true", "0", "-0", "1e400", "007", "1,5;2|3"),
    *(
        "café",
        "cafe\u0301",
        "ẛ̣",
        "日本語",
        "שלום",
        "👩‍👩‍👧",
        "🇩🇪",
        "\U0010ffff",
        "\ufeff",
        "\uffff",
    ),
    *("\u2028", "\u0085", "\u00a0", "\u200b", "\u202e", "\uf026", "\x7f"),
    *('{"a": [1, null]}', "[]", "{}", "%s", "%(a)s", "{0}", "$1", "$$", "E'x'", "--", "/* */", ";"),
    *map(chr, range(1, 32)),
    "".join(map(chr, range(1, 256))),
    "long " * 20_000,
    "länger 👍" * 3_000,
]
NUMBERS = [0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63), None]
TIMES = [
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
    *("2026-03-29T02:30:00+01:00", "2026-01-01T00:00:00-12:00", "2026-01-01T00:00:00.000001+05:45"),
    *("1582-10-10T00:00:00Z", "1900-02-28T23:59:59Z", "2026-06-30T23:59:59.5Z", "2000-02-29"),
]
FLAGS = [True, False, None]


def hard_click(i: int, revised: bool) -> dict[str, Any]:
    """A click with the i-th of every kind of hard value; the same click revised has others."""
    text, other = TEXTS[i % len(TEXTS)], TEXTS[(i + 1) % len(TEXTS)]
    return {
        "host": f"host {i}",
        "dt": TIMES[i % len(TIMES)],
        "st": NUMBERS[i % len(NUMBERS)],
        **dict.fromkeys(("path", "ua", "ref", "ip"), text),
        "social": other if revised else text,
        "city": None if revised else text,
        "human": FLAGS[(i + revised) % len(FLAGS)],
        "Extra Text": text,
        "extra": {"nested": [text, NUMBERS[i % len(NUMBERS)], None]},
        **({"late": text} if revised else {}),
    }


def hard_link(i: int, revised: bool) -> dict[str, Any]:
    text, other = TEXTS[i % len(TEXTS)], TEXTS[(i + 1) % len(TEXTS)]
    time, number = TIMES[i % len(TIMES)], NUMBERS[i % len(NUMBERS)]
    person = {"id": number, "name": text, "email": other, "photoURL": None, "extra": text}
    return {
        "id": f"link {i}",
        "idString": text,
        "title": other if revised else text,
        "originalURL": text,
        "path": other,
        "OwnerId": number,
        "cloaking": FLAGS[(i + revised) % len(FLAGS)],
        "createdAt": time,
        "updatedAt": None if revised else time,
        "DomainId": 1,
        "Owner": person,
        "User": None if revised else person,
        "tags": [other, text] if revised else [text, other, text],
        "Extra Text": text,
    }


def unreadable(row: dict[str, Any], field: str) -> dict[str, Any]:
    return row | {field: "no value of this kind"}


def hard_data(revised: bool = False) -> dict[str, Any]:
    """What a sandbox serves; some rows of it cannot be loaded."""
    clicks = [hard_click(i, revised) for i in range(len(TEXTS))]
    links = [hard_link(i, revised) for i in range(len(TEXTS))]
    return {
        "clicks": {1: [*clicks, *(unreadable(click, "dt") for click in clicks), "no object"]},
        "links": [*links, *(unreadable(link, "cloaking") for link in links)],
    }


@dataclass(frozen=True)
class Content:
    """A table: its columns with their types, the digest over its rows, and how many there are."""

    types: Mapping[str, str]
    digest: str
    rows: int


def contents() -> dict[str, Content]:
    """Every table of the warehouse."""
    return {table: content(table) for table in TABLES}


def content(table: str) -> Content:
    query = QUERIES[table].format(table=table)
    with reading() as reader, reader._client.execute_query(reader._qualified(query)) as cursor:
        columns = [column[0] for column in cursor.description]
        found = cursor.fetchall()
    kept = sorted((name, i) for i, name in enumerate(columns) if name not in CHOSEN_BY_DLT)
    lines = sorted(repr([(name, comparable(row[i])) for name, i in kept]) for row in found)
    return Content(column_types(table), blake2b("\n".join(lines).encode()).hexdigest(), len(lines))


def comparable(value: Any) -> Any:
    """The value with its time in UTC."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def column_types(table: str) -> dict[str, str]:
    """The type of each column, by what SQL calls it."""
    query = (
        "SELECT column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = 'link_assets' AND table_name = '{table}'"
    )
    return {name: kind.lower().replace("varchar", VARCHAR) for name, kind in rows(query)}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def places(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """What stands in settings: a new database of a server that is started if it is asked for."""
    settings = request.getfixturevalue("settings")
    if "{port}" not in "".join(settings.values()):
        return {}
    port, folder = request.getfixturevalue("port"), request.getfixturevalue("workdir")
    return {"port": port, "database": new_database(port), "folder": folder}


def load(sandbox: Sandbox, **served: Any) -> None:
    for name, what in served.items():
        setattr(sandbox, name, what)
    load_links()
    load_clicks(1)


@pytest.mark.long
@pytest.mark.parametrize("settings", OTHERS)
def test_a_warehouse_holds_what_duckdb_holds(
    settings: Mapping[str, str],
    places: Mapping[str, Any],
    sandbox: Sandbox,
    api: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[list[dict[str, Any]]] = []
    for given in ({}, settings):
        for name, value in given.items():
            monkeypatch.setenv(name, value.format(**places))
        load(sandbox, **hard_data())
        first = contents()
        assert all(table.rows >= len(TEXTS) for table in first.values())
        load(sandbox, **hard_data())
        assert contents() == first  # the same rows merged on top
        load(sandbox, **hard_data(revised=True))
        held.append([first, contents(), {name: column_types(name) for name in DLT_TABLES}])
    assert held[0] == held[1]
