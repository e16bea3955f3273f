"""Loading in chunks, of which one is written while the next is fetched.

The assets and scripts load clicks through `Chunks`. What a chunk holds and when it ends is up to
the source; this module only puts chunks in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, cast

from link_assets.warehouse.pipeline import (
    SavedPosition,
    WarehousePipeline,
    WriteSeconds,
    open_pipeline,
)

Chunk = Callable[[WarehousePipeline], Any]
"""Runs the pipeline that it is given, once."""


class Chunks:
    """The chunks of one pipeline name, loaded in order.

    A chunk is fetched from where the one before it ended, and written only if that one was. Used as
    a context: it is left when all chunks are written, and raises what writing failed with. Left by
    an exception, it waits for the chunks under way as well.

    Args:
        name: The pipeline's name, as `open_pipeline` takes it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(2, name)
        self._running: list[Future[Any]] = []
        self._position: SavedPosition | None = None
        """Where the last chunk that was fetched ended; None to ask the warehouse."""
        self.seconds = WriteSeconds()
        """How long the chunks waited and wrote, complete when the context is left."""

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        with self._threads:
            if not kind:
                _finish(self._running)

    def load(self, chunk: Chunk) -> None:
        """Start a chunk; return when it is fetched and the one before it is written.

        What fetching or writing failed with is raised once nothing is under way any more. The chunk
        after that starts from what the warehouse has.
        """
        before, fetched = self._running[-1:], Future[SavedPosition]()
        running = self._threads.submit(self._run, chunk, before, fetched)
        self._running = [*before, running]
        wait([running, cast(Future[Any], fetched)], return_when=FIRST_COMPLETED)
        if fetched.done():
            self._position = fetched.result()
            return
        failed, self._running, self._position = self._running, [], None
        _finish(failed)

    def _run(self, chunk: Chunk, before: list[Future[Any]], fetched: Future[SavedPosition]) -> None:
        def on_fetched(position: SavedPosition) -> None:
            _finish(before)
            fetched.set_result(position)

        with open_pipeline(self._name) as pipeline:
            pipeline.continues_from, pipeline.on_fetched = self._position, on_fetched
            pipeline.seconds = self.seconds
            chunk(pipeline)


def _finish(running: Sequence[Future[Any]]) -> None:
    """Wait for each; raise what the first that failed did."""
    for chunk in running:
        chunk.result()
