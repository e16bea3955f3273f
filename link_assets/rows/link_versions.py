"""Versions of links: a hash of what the API says of a link, kept in the link's `_dlt_id`.

By it `source` knows the links that the warehouse has already as they are listed.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from link_assets.contract import LINKS
from link_assets.rows.convert import json_text
from link_assets.rows.raw_json import DamagedRow, RawRow

CONVERSION = 1
"""What becomes of the JSON text of a link. A higher number has every link loaded anew: add one when
the same text becomes another row, unless that is because of the contract's fields alone."""


class LinkVersions:
    """Tells the versions of links.

    A version is of the link as the API sends it, with personal data that may not be kept. Without
    the secret nobody can find that by trying; who has the secret can ask the API for it.

    Args:
        secret: The key to the API.
        circumstances: Whatever else decides what becomes of a link, such as settings; anything that
            JSON can say.
    """

    def __init__(self, secret: str, *circumstances: Any) -> None:
        fields = [[f.name, f.column, f.data_type] for f in LINKS.fields]
        identity = json_text([secret, CONVERSION, fields, *circumstances])
        self._key = blake2b(identity.encode()).digest()

    def of(self, row: RawRow | DamagedRow) -> str:
        """Return the version of a link, 32 hexadecimal digits; empty for a damaged row."""
        if isinstance(row, DamagedRow):
            return ""
        return blake2b(row, digest_size=16, key=self._key).hexdigest()


def dlt_id(listing: str, number: int, version: str) -> str:
    """Return the `_dlt_id` of a link; within a listing the ids ascend with the numbers.

    Args:
        listing: A text without `_` that no other listing has.
        number: The row's number in the listing.
        version: The link's version.
    """
    return f"{listing}{number:010}_{version}"


def version_in(dlt_id: str) -> str:
    """Return the version in a `_dlt_id`; empty for one that had none yet."""
    return dlt_id.partition("_")[2]
