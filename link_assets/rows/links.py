"""A link, parsed to Python objects, as a row by column name: what becomes of each field.

`links_arrow` reads many at once with the same result, and calls this for rows that are unusual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NoReturn

from dlt.common.json import custom_pua_decode

from link_assets.contract import LINK_SPELLINGS, LINK_TAGS, LINKS, DataType
from link_assets.rows.column_names import column_names
from link_assets.rows.convert import UnreadableValue, as_text, convert_value, is_empty
from link_assets.rows.raw_json import DamagedRow, is_doubtful
from link_assets.rows.rejected import Rejection, reject, unusable
from link_assets.rows.spellings import spellings

_Cell = tuple[str, str, Callable[[Any], Any], Any]
"""A field's name, its column, the function that reads its value, and the value."""

KEY, SPARE_KEY = "id", "id_string"
OBJECTS = {
    f.name.partition(".")[0]: f.column.partition("__")[0] for f in LINKS.fields if "." in f.name
}


def link_row(row: Any) -> dict[str, Any] | Rejection:
    """Return the link by column name, or its rejection if a value cannot be read.

    Every documented column is there, and tags and spellings as lists of text. Undocumented fields
    are text (other values as their JSON text), because a column's type must not depend on which
    link came first. A link without id gets its `idString` as id.
    """
    if not isinstance(row, dict):
        return reject(row, [unusable(row)])
    link: dict[str, Any] = dict.fromkeys(_READERS)
    problems: list[str] = []
    for name, column, read, value in _cells(row):
        try:
            link[column] = read(value)
        except UnreadableValue as unreadable:
            problems.append(f"{name}: {unreadable}")
    link[KEY] = link[KEY] or link[SPARE_KEY]
    link[LINK_SPELLINGS] = other_spellings(link["path"])
    if not link[KEY] and not problems:
        problems.append("id: is missing, and so is idString")
    return reject(row, problems) if problems else link


def link_id(row: Any) -> str | None:
    """Return the id that the link has, or would have if its other fields could be read.

    None if it has none, or if the id of a damaged row may be part of the damage.
    """
    if isinstance(row, DamagedRow):
        return link_id(row.value) if _has_sound_id(row.value) else None
    names = [f.name for key in (KEY, SPARE_KEY) for f in LINKS.fields if f.column == key]
    for name in names if isinstance(row, dict) else ():
        with suppress(UnreadableValue):
            if text := convert_value(row.get(name), "text"):
                return str(text)
    return None


def _has_sound_id(row: Any) -> bool:
    """Return whether the damage of a row is neither in its ids nor in any name of a field."""
    keys = row if isinstance(row, dict) else {}
    ids = [keys.get(f.name) for f in LINKS.fields if f.column in (KEY, SPARE_KEY)]
    return not any(is_doubtful(text) for text in (*keys, *ids) if isinstance(text, str))


def _cells(row: dict[str, Any]) -> Iterator[_Cell]:
    yield from _fields({k: v for k, v in row.items() if k not in OBJECTS and k != LINK_TAGS})
    for name, column in OBJECTS.items():
        value = row.get(name)
        if isinstance(value, dict):
            yield from _fields(value, name)
        elif not is_empty(value):
            yield name, column, _not_an_object, value
    yield LINK_TAGS, LINK_TAGS, tags_of, row.get(LINK_TAGS)


def _fields(values: dict[str, Any], parent: str = "") -> Iterator[_Cell]:
    columns = columns_of(frozenset(values), parent)
    for name, value in values.items():
        column = columns[name]
        path = f"{parent}.{name}" if parent else name
        yield path, column, reader_of(column), value


@lru_cache(maxsize=1024)
def columns_of(names: frozenset[str], parent: str) -> dict[str, str]:
    """Return the column of each field of a link, or of the object `parent` in it, by its name."""
    return column_names(names, LINKS, (LINK_TAGS, LINK_SPELLINGS, *OBJECTS.values()), parent)


def tags_of(value: Any) -> list[str]:
    """Return the tags as text, without those that are empty."""
    if is_empty(value):
        return []
    if not isinstance(value, list):
        raise UnreadableValue.expected("a list", value)
    tags = (convert_value(tag, "text") for tag in value)
    return [loadable(tag) for tag in tags if tag is not None]


def other_spellings(path: str | None) -> list[str]:
    """Return the other spellings of a path, without what escapes hide and no warehouse takes."""
    return [spelling for spelling in spellings(path) if _is_loadable(spelling)]


def reader_of(column: str) -> Callable[[Any], Any]:
    """Return the function that reads a value of a column, and raises UnreadableValue."""
    return _READERS.get(column, _read_text)


def _is_loadable(text: str) -> bool:
    with suppress(UnreadableValue):
        return loadable(as_text(text)) == text
    return False


def _read(value: Any, data_type: DataType) -> Any:
    return loadable(convert_value(value, data_type))


def _read_text(value: Any) -> Any:
    return loadable(as_text(value))


_READERS = {f.column: partial(_read, data_type=f.data_type) for f in LINKS.fields}


def _not_an_object(value: Any) -> NoReturn:
    raise UnreadableValue.expected("an object", value)


def loadable(value: Any) -> Any:
    """Return the value; raise UnreadableValue for text that dlt would load as another type.

    dlt marks typed values in its own JSON with characters of Unicode's private use area.
    """
    if custom_pua_decode(value) is not value:
        raise UnreadableValue("is text that dlt reserves for typed values")
    return value
