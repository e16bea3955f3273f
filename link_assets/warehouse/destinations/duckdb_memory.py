"""How much memory DuckDB may take: little to begin with, and more for a load that needs it.

By default DuckDB takes up to 80 % of the machine's memory before it writes to disk, which leaves
too little for what else runs there. `duckdb.py` keeps one DuckDbMemory for each file.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

from dlt.destinations.sql_client import SqlClientBase

from link_assets.warehouse.errors import OutOfMemory, find_cause

AT_FIRST = 128_000_000
"""Bytes that are enough for ordinary rows; what does not fit goes to temporary files."""
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class DuckDbMemory:
    """DuckDB's memory limit in this process, kept from one opening of a file to the next."""

    def __init__(self) -> None:
        self._limit = AT_FIRST
        self._most = AT_FIRST

    def limit(self, client: SqlClientBase[Any], setting: str | None) -> None:
        """Limit the memory of a file that was just opened.

        Args:
            client: The client that opened it.
            setting: A size that stays the limit, such as `2GB`; None lets the limit grow.
        """
        client.execute_sql("RESET memory_limit")  # the file may have been open in this process
        ((most,),) = client.execute_sql("SELECT current_setting('memory_limit')") or [("",)]
        self._most = 0 if setting else _bytes(most)
        client.execute_sql(f"SET memory_limit = '{setting or f'{self._limit}B'}'")

    def enough_for(self, purpose: str, client: SqlClientBase[Any], action: Callable[[], _T]) -> _T:
        """Return what `action` returns; repeat it with twice the memory while it lacks some.

        The limit grows up to DuckDB's default. What `action` raises is raised, OutOfMemory only if
        the limit can grow no more.
        """
        while True:
            try:
                return action()
            except Exception as error:
                if not find_cause(error, OutOfMemory) or self._limit >= self._most:
                    raise
            self._limit = min(2 * self._limit, self._most)
            client.execute_sql(f"SET memory_limit = '{self._limit}B'")
            megabytes = self._limit // 1_000_000
            logger.warning("%s needs more memory: DuckDB may take %d MB now.", purpose, megabytes)


def _bytes(size: str) -> int:
    """Return the bytes of a size as DuckDB writes it, such as `18.8 GiB`; 0 if it is none."""
    found = re.fullmatch(r"([0-9.]+) (\w+)", size)
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0
