"""Links, parsed to Python objects, as one Arrow table: many pages at once, column by column.

`source` calls it. Rows that are read together must mean the same by the names of their fields, and
every value must be readable; any other row is read by itself (`links`), with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
from dlt.common.json import PUA_START_UTF8_MAGIC
from dlt.common.schema.typing import C_DLT_ID
from pyarrow.compute import CastOptions, call_function

from link_assets.contract import LINK_SPELLINGS, LINK_TAGS, LINKS, DataType
from link_assets.rows.arrow_types import ARROW_TYPES
from link_assets.rows.columns import Column, holds, read_column, read_values
from link_assets.rows.convert import is_empty
from link_assets.rows.links import (
    KEY,
    OBJECTS,
    SPARE_KEY,
    columns_of,
    link_row,
    other_spellings,
    reader_of,
    tags_of,
)
from link_assets.rows.rejected import Rejection

_TEXTS = pa.list_(pa.string())
_TYPES: dict[str, DataType] = {f.column: f.data_type for f in LINKS.fields}
_SCHEMA = pa.schema(
    [
        *(pa.field(column, ARROW_TYPES[kind], column != KEY) for column, kind in _TYPES.items()),
        pa.field(LINK_TAGS, _TEXTS),
        pa.field(LINK_SPELLINGS, _TEXTS),
    ]
)
_FIELDS = {
    parent: {f.name.rpartition(".")[2] for f in LINKS.fields if f.name.rpartition(".")[0] == parent}
    for parent in ("", *OBJECTS)
}
"""The documented fields of a link, and of the objects in it."""
_CHILD_SCHEMA = pa.schema(
    [
        pa.field("value", pa.string()),
        *(
            pa.field(key, pa.string(), nullable=False)
            for key in (C_DLT_ID, "_dlt_root_id", "_dlt_parent_id")
        ),
        pa.field("_dlt_list_idx", pa.int64(), nullable=False),
    ]
)
_Object = dict[str, Any]


@dataclass(frozen=True)
class LinkBatch:
    """Links of one or more pages: each row is either in `table` or in `rejections`.

    Attributes:
        table: The accepted rows, in any order: the documented columns, then tags and spellings as
            lists, then one text column for each undocumented field that is filled.
        rejections: The other rows, by their number among all rows.
        accepted: For each row of `table`, its number.
    """

    table: pa.Table
    rejections: dict[int, Rejection]
    accepted: list[int]


def link_batch(rows: Sequence[Any]) -> LinkBatch:
    """Return parsed rows as a batch, each as `link_row` reads it."""
    objects = [row if isinstance(row, dict) else {} for row in rows]
    columns = [*_columns(objects), *_of_objects(objects), _tags(objects)]
    table = _with_key(pa.table({column.column: column.values for column in columns}))
    apart = {i: link_row(rows[i]) for i in sorted(_apart(rows, table, columns))}
    accepted = [i for i in range(len(rows)) if i not in apart]
    if apart:
        table = table.take(pa.array(accepted, pa.int64()))
    rejections = {i: link for i, link in apart.items() if isinstance(link, Rejection)}
    links = {i: link for i, link in apart.items() if not isinstance(link, Rejection)}
    tables = [_with_spellings(table), *([_table_of(list(links.values()))] if links else [])]
    return LinkBatch(_completed(tables), rejections, [*accepted, *links])


def _apart(rows: Sequence[Any], table: pa.Table, columns: Sequence[Column]) -> Iterator[int]:
    """Yield the numbers of the rows that have to be read by themselves; some twice."""
    for column in columns:
        yield from column.problems
    without_key = call_function("equal", [call_function("coalesce", [table[KEY], ""]), ""])
    yield from call_function("indices_nonzero", [without_key]).to_pylist()
    yield from (i for i, row in enumerate(rows) if not isinstance(row, dict))
    for name in OBJECTS:
        others = ((i, row.get(name)) for i, row in enumerate(rows) if isinstance(row, dict))
        yield from (i for i, o in others if not isinstance(o, dict) and not is_empty(o))


def _columns(objects: Sequence[_Object], parent: str = "") -> Iterator[Column]:
    """Yield the columns of all fields but objects and tags.

    A field whose column depends on what other fields its row has is a problem of its rows.
    """
    found = set[str]().union(*objects)
    names = _FIELDS[parent] | found - (set() if parent else {*OBJECTS, LINK_TAGS})
    for name, column in columns_of(frozenset(names), parent).items():
        if name not in found:
            yield Column(name, column, pa.nulls(len(objects), ARROW_TYPES[_TYPES[column]]))
            continue
        if columns_of(frozenset({name}), parent) != {name: column}:
            problems = {i: "" for i, row in enumerate(objects) if name in row}
            yield Column(name, column, pa.nulls(len(objects), pa.string()), problems)
            continue
        kind, read = _TYPES.get(column, "text"), reader_of(column)
        yield read_column(name, column, objects, kind, read, PUA_START_UTF8_MAGIC)


def _of_objects(objects: Sequence[_Object]) -> Iterator[Column]:
    for name in OBJECTS:
        inner = [row.get(name) for row in objects]
        yield from _columns([o if isinstance(o, dict) else {} for o in inner], name)


def _tags(objects: Sequence[_Object]) -> Column:
    values = [row.get(LINK_TAGS) for row in objects]
    tags = _lists_of_text(values)
    if tags is None:
        return read_values(LINK_TAGS, LINK_TAGS, values, _TEXTS, tags_of)
    return Column(LINK_TAGS, LINK_TAGS, tags)


def _lists_of_text(values: Sequence[Any]) -> pa.Array | None:
    """Return lists of text as a column; None if there is anything else, or a doubtful text."""
    if {*map(type, values)} - {list, type(None)}:
        return None
    try:
        lists = pa.array(values, _TEXTS)
    except (TypeError, ValueError):
        return None
    texts = lists.flatten()
    return None if texts.null_count or holds(texts, PUA_START_UTF8_MAGIC) else lists


def _with_key(table: pa.Table) -> pa.Table:
    """Return the table with the spare id as the id of links that have none."""
    has_key = call_function("coalesce", [call_function("not_equal", [table[KEY], ""]), False])
    key = call_function("if_else", [has_key, table[KEY], table[SPARE_KEY]])
    return table.set_column(table.schema.get_field_index(KEY), KEY, key)


def _with_spellings(table: pa.Table) -> pa.Table:
    spelled = [other_spellings(path) or None for path in table["path"].to_pylist()]
    return table.append_column(LINK_SPELLINGS, pa.array(spelled, _TEXTS))


def _table_of(links: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows that were read by themselves."""
    unknown = dict.fromkeys(name for link in links for name in link if name not in _SCHEMA.names)
    schema = pa.schema([*_SCHEMA, *(pa.field(name, pa.string()) for name in unknown)])
    return pa.Table.from_pylist(cast(list[dict[str, Any]], [*links]), schema)


def _completed(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the tables as one, its columns in order, without undocumented ones of nulls."""
    table = pa.concat_tables(tables, promote_options="default")
    unknown = sorted(set(table.column_names) - {*_SCHEMA.names})
    filled = [name for name in unknown if table[name].null_count < len(table)]
    schema = pa.schema([*_SCHEMA, *(pa.field(name, pa.string()) for name in filled)])
    return pa.table(table.select(schema.names).columns, schema=schema)


def child_rows(table: pa.Table, name: str) -> pa.Table:
    """Return the rows of a child table of links, with the columns that dlt would make.

    Args:
        table: Links with their `_dlt_id`.
        name: The column that has a list of texts for each link.
    """
    lists = table[name].combine_chunks()
    parent = call_function("list_parent_indices", [lists])
    ids = table[C_DLT_ID].combine_chunks()
    parent_ids = call_function("take", [ids, parent])
    first = call_function("take", [lists.offsets, parent])
    place = call_function("subtract", [pa.array(range(len(parent)), pa.int64()), first])
    spelled = call_function("cast", [place], CastOptions(pa.string()))
    own_ids = call_function("binary_join_element_wise", [parent_ids, spelled, "_"])
    columns = [lists.flatten(), own_ids, parent_ids, parent_ids, place]
    return pa.table(columns, schema=_CHILD_SCHEMA)
