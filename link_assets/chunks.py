"""Loading in chunks, of which one is written while the next is fetched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from link_assets.warehouse import Place, WarehousePipeline, open_pipeline

Chunk = Callable[[WarehousePipeline], Any]
"""Runs the pipeline that it is given, once."""


class Chunks:
    """The chunks that one pipeline name is loaded in, in order.

    A chunk is fetched from where the one before it ended, and written only if that one was. Used
    as a context, which is left when all of them are written; raises what the last failed with.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(2, name)
        self._last: Future[Any] | None = None
        self._place: Place | None = None

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *raised: object) -> None:
        with self._threads:
            if self._last:
                self._last.result()

    def load(self, chunk: Chunk) -> None:
        """Starts a chunk; returns when it is fetched and the one before it is written.

        Raises what fetching or writing failed with, once nothing is going on any more. The chunk
        after that begins with what the warehouse has.
        """
        before, fetched = self._last, Future[Any]()
        last = self._last = self._threads.submit(self._run, chunk, before, fetched)
        wait([last, fetched], return_when=FIRST_COMPLETED)
        if fetched.done():
            self._place = fetched.result()
            return
        self._last = self._place = None
        for running in filter(None, (before, last)):
            running.result()

    def _run(self, chunk: Chunk, before: Future[Any] | None, fetched: Future[Any]) -> None:
        def when_fetched(place: Place) -> None:
            if before:
                before.result()
            fetched.set_result(place)

        with open_pipeline(self._name) as pipeline:
            pipeline.goes_on_from, pipeline.when_fetched = self._place, when_fetched
            chunk(pipeline)
