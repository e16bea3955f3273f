"""Personal data: kept, hashed or dropped before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from link_assets.contract import PersonalGroup, Table, Treatment
from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow, is_doubtful


@dataclass(frozen=True)
class PersonalData:
    """What becomes of each group of personal fields.

    A hash is keyed with `salt` and stable, so that equal values stay equal; without the salt it
    cannot be guessed back. Null stays null.
    """

    treatments: Mapping[PersonalGroup, Treatment]
    salt: str = field(default="", repr=False)

    def treat(self, rows: Sequence[Any], table: Table) -> Sequence[Any]:
        """JSON rows of the table with their personal fields treated; the given ones stay as is."""
        for name, change in self.changes(table).items():
            rows = [_changed(row, name.split("."), change) for row in rows]
        return rows

    def changes(self, table: Table) -> dict[str, Callable[[Any], Any]]:
        """By field of the table that is not kept, what its values, but null, become."""
        return {
            field.name: self._change(treatment)
            for field in table.fields
            if field.personal and (treatment := self.treatments[field.personal]) != "keep"
        }

    def identity(self, group: PersonalGroup) -> str:
        """What values of the group look like, for telling that the treatment has changed."""
        treatment = self.treatments[group]
        return f"hash:{self.hash('')[:8]}" if treatment == "hash" else treatment

    def hash(self, value: Any) -> str:
        """128 bits of keyed BLAKE2b of a value's JSON text, as hexadecimal text."""
        key = blake2b(self.salt.encode()).digest()
        return blake2b(json_text(value).encode(), key=key, digest_size=16).hexdigest()

    def _change(self, treatment: Treatment) -> Callable[[Any], Any]:
        return self.hash if treatment == "hash" else lambda _: None


def _changed(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    if isinstance(value, DamagedRow):
        return replace(value, value=_changed_if_it_may_be(value.value, path, change))
    # a row or person that is no object is treated whole: what is in it cannot be told apart
    if not path or not isinstance(value, dict):
        return change(value)
    name, *inner = path
    return value | {name: _changed(value[name], inner, change)} if name in value else value


def _changed_if_it_may_be(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    """The same for a damaged row, where a field with a damaged name may be the personal one."""
    if value is None:
        return None
    if not path or not isinstance(value, dict):
        return change(value)
    first, *inner = path
    names = [name for name in value if name == first or is_doubtful(name)]
    return value | {name: _changed_if_it_may_be(value[name], inner, change) for name in names}
