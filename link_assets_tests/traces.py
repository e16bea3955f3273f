"""What a run leaves and says, to be searched for what must not be in it."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
import duckdb
import pyarrow.parquet as pq
import pytest
from dlt.common.versioned_state import decompress_state

from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets_tests.support import Location


@dataclass
class Traces:
    """What a run leaves below `folder`, its pipelines' files between their steps included."""

    folder: Path
    log: pytest.LogCaptureFixture
    output: pytest.CaptureFixture[str]
    said: list[str] = field(default_factory=list)

    def with_(self, marker: str) -> set[str]:
        """Where the marker is found: the kinds of files, `tables`, `log`."""
        found = {kind for kind, text in self._files() if marker.encode() in text}
        self.said += [self.log.text, *self.output.readouterr()]
        if marker in "\n".join(self.said):
            found.add("log")
        if marker in "\n".join(table_texts()):
            found.add("tables")
        return found

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for file in self.folder.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                yield file.suffix.lstrip(".") or file.name, content
                if content[:2] == b"\x1f\x8b":
                    yield "gz", gzip.decompress(content)
                elif file.suffix == ".parquet":
                    yield "parquet", repr(pq.read_table(file).to_pylist()).encode()


def table_texts() -> Iterator[str]:
    """Every row of every table of every schema, with dlt's own state in clear text."""
    file = duckdb_path()
    if not file.is_file() or b"DUCK" not in file.read_bytes()[:16]:
        return
    with duckdb.connect(str(file), read_only=True) as connection:
        names = "SELECT table_schema, table_name FROM information_schema.tables"
        for schema, table in connection.execute(names).fetchall():
            relation = connection.execute(f'SELECT * FROM "{file.stem}"."{schema}"."{table}"')
            yield repr(relation.fetchall())
        if ("link_assets", "_dlt_pipeline_state") in connection.execute(names).fetchall():
            states = f'SELECT state FROM "{file.stem}".link_assets._dlt_pipeline_state'
            for (state,) in connection.execute(states).fetchall():
                yield json.dumps(decompress_state(state))


@contextmanager
def traces_kept(
    folder: Path,
    patch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    output: pytest.CaptureFixture[str],
) -> Iterator[Traces]:
    """Keeps what is on disk between a pipeline's steps, and everything that is logged."""
    copies = folder / "copies"

    def kept(step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def run(pipeline: dlt.Pipeline, *arguments: Any, **options: Any) -> Any:
            try:
                return step(pipeline, *arguments, **options)
            finally:
                count = len(list(copies.glob("*")))
                name = f"{pipeline.pipeline_name}-{step.__name__}-{count}"
                shutil.copytree(pipeline.pipelines_dir, copies / name)

        return run

    for step in ("extract", "normalize", "load"):
        patch.setattr(dlt.Pipeline, step, kept(getattr(dlt.Pipeline, step)))
    dlt_logger, level = logging.getLogger("dlt"), logging.getLogger("dlt").level
    dlt_logger.addHandler(log.handler)
    dlt_logger.setLevel(logging.DEBUG)
    with log.at_level(logging.DEBUG):
        yield Traces(folder, log, output)
    dlt_logger.removeHandler(log.handler)
    dlt_logger.setLevel(level)


def events(location: Location, result: dg.ExecuteInProcessResult) -> list[str]:
    """Every event and log line of a run, whole."""
    return [entry.to_json() for entry in location.instance.all_logs(result.run_id)]
