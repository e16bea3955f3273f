"""Loading in chunks, of which one is written while the next is fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, cast

from link_assets.warehouse.pipeline import SavedPosition, WarehousePipeline, open_pipeline

Chunk = Callable[[WarehousePipeline], Any]
"""Runs the pipeline that it is given, once."""


class Chunks:
    """The chunks that one pipeline name is loaded in, in order.

    A chunk is fetched from where the one before it ended, and written only if that one was. Used
    as a context, which is left when all of them are written; raises what writing failed with. Left
    by an exception, it waits for what is under way, too.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(2, name)
        self._running: list[Future[Any]] = []
        self._place: SavedPosition | None = None

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        with self._threads:
            if not kind:
                _finish(self._running)

    def load(self, chunk: Chunk) -> None:
        """Starts a chunk; returns when it is fetched and the one before it is written.

        Raises what fetching or writing failed with, once nothing is going on any more. The chunk
        after that begins with what the warehouse has.
        """
        before, fetched = self._running[-1:], Future[SavedPosition]()
        running = self._threads.submit(self._run, chunk, before, fetched)
        self._running = [*before, running]
        wait([running, cast(Future[Any], fetched)], return_when=FIRST_COMPLETED)
        if fetched.done():
            self._place = fetched.result()
            return
        failed, self._running, self._place = self._running, [], None
        _finish(failed)

    def _run(self, chunk: Chunk, before: list[Future[Any]], fetched: Future[SavedPosition]) -> None:
        def on_fetched(place: SavedPosition) -> None:
            _finish(before)
            fetched.set_result(place)

        with open_pipeline(self._name) as pipeline:
            pipeline.continues_from, pipeline.on_fetched = self._place, on_fetched
            chunk(pipeline)


def _finish(running: Sequence[Future[Any]]) -> None:
    """Waits for each; raises what the first that failed did."""
    for chunk in running:
        chunk.result()
