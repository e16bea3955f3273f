"""Runs one contender: `python -m benchmarks.contenders limit.clicks URL FOLDER clicks`."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import duckdb

from benchmarks.contenders import FILE


def main(name: str, url: str, folder: str, table: str, *options: str) -> None:
    """Runs a function of a module here in `folder`; prints what came of it as JSON.

    That is seconds, processor seconds since the process started, when it ended (Unix time), rows,
    the peak of memory in MB, and a digest of the rows unless others may be writing.
    """
    os.chdir(folder)
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = FILE
    module, _, function = name.partition(".")
    contender = getattr(import_module(f"benchmarks.contenders.{module}"), function)
    started = time.perf_counter()
    contender(url, *options)
    ended, seconds, processor = time.time(), time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"seconds": seconds, "processor": processor, "ended": ended, "peak_mb": peak}
    digest = _digest(table) if name in ("limit.clicks", "project.clicks") else ""
    print(json.dumps({**told, "rows": _count(table), "digest": digest}))


def _count(table: str) -> int:
    from link_assets.warehouse.destinations.configured import configured_warehouse
    from link_assets.warehouse.reader import reading

    if not configured_warehouse().exists():
        return 0
    # in turn: another contender may be writing
    with reading() as reader:
        ((rows,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{table}")
    return rows


def _digest(table: str) -> str:
    """A digest of a table's columns, their types and rows in any order, but for dlt's columns."""
    if not Path(FILE).exists():
        return ""
    with duckdb.connect(FILE, read_only=True) as database:
        columns = database.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'link_assets' AND table_name = ? "
            "AND NOT starts_with(column_name, '_dlt') ORDER BY 1",
            [table],
        ).fetchall()
        names = ", ".join(f'"{name}"' for name, _ in columns)
        query = f"SELECT count(*), sum(hash({names})) FROM link_assets.{table}"
        found = database.execute(query).fetchall()
    return sha256(repr((columns, found)).encode()).hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
