"""Personal data: kept, hashed or dropped before anything is written.

`source` has rows treated right after they are parsed, so that neither a table nor a rejected row,
nor any file on the way there, holds what is not to be kept.
"""

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
    """The treatment of each group of personal fields.

    Equal values have equal hashes. Hashes are keyed with `salt`, so that nobody without it can
    find the value by trying. Null stays null.
    """

    treatments: Mapping[PersonalGroup, Treatment]
    salt: str = field(default="", repr=False)

    def treat(self, rows: Sequence[Any], table: Table) -> Sequence[Any]:
        """Return parsed rows of the table with their personal fields treated.

        The given rows are not changed.
        """
        for name, change in self.changes(table).items():
            rows = [_treated(row, name.split("."), change) for row in rows]
        return rows

    def changes(self, table: Table) -> dict[str, Callable[[Any], Any]]:
        """Return, for each field of the table that is not kept, the function that treats a value.

        It is not called for null. Secret fields are dropped whatever the treatment.
        """
        personal = {
            field.name: self._change(treatment)
            for field in table.fields
            if field.personal and (treatment := self.treatments[field.personal]) != "keep"
        }
        return personal | dict.fromkeys(table.secret, self._change("drop"))

    def identity(self, group: PersonalGroup) -> str:
        """Return a text that changes with the group's treatment, and with the salt of its hashes.

        It is stored with the data. Of the salt it holds no more than 32 bits of a hash.
        """
        treatment = self.treatments[group]
        return f"hash:{self.hash('')[:8]}" if treatment == "hash" else treatment

    def hash(self, value: Any) -> str:
        """Return 128 bits of keyed BLAKE2b of a value's JSON text, as hexadecimal text."""
        key = blake2b(self.salt.encode()).digest()
        return blake2b(json_text(value).encode(), key=key, digest_size=16).hexdigest()

    def _change(self, treatment: Treatment) -> Callable[[Any], Any]:
        return self.hash if treatment == "hash" else lambda _: None


def _treated(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    """Return a row, or a part of it, with what is at the path in it changed."""
    if value is None:
        return None
    if isinstance(value, DamagedRow):
        return replace(value, value=_treated_damaged(value.value, path, change))
    # a row or person that is no object is treated whole: there are no fields to look for
    if not path or not isinstance(value, dict):
        return change(value)
    name, *inner = path
    return value | {name: _treated(value[name], inner, change)} if name in value else value


def _treated_damaged(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    """Return a damaged row's value treated; a doubtful name may be that of the personal field."""
    if value is None:
        return None
    if not path or not isinstance(value, dict):
        return change(value)
    first, *inner = path
    names = [name for name in value if name == first or is_doubtful(name)]
    return value | {name: _treated_damaged(value[name], inner, change) for name in names}
