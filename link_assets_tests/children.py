"""Processes of their own that load, cheap to start and sure to end."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from link_assets.domain_loads import open_loads
from link_assets.settings import api_settings
from link_assets.source.rest import links_source
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import Location, dagster_instance

WAIT = 120


def load_clicks(domain: int) -> None:
    """Loads a domain's clicks to the last page, as a plain script does."""
    with open_loads(api_settings(), [domain]) as loads:
        loads.load(domain)


def load_links() -> None:
    """Loads the links, as a plain script does."""
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(api_settings()))


def materialize_clicks(folder: str, domain: int) -> None:
    """Materializes a domain's clicks on the Dagster instance that is kept in a folder."""
    with dagster_instance(folder) as instance:
        assert Location(instance).clicks(str(domain)).success


@contextmanager
def child(function: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """A process that calls the function in this folder with these settings.

    It is ended on the way out. What it prints goes to a file of its name.
    """
    here = (Path.cwd(), dict(os.environ))
    process = _context().Process(target=_call, args=(*here, function, arguments), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(WAIT)


def finish(process: BaseProcess) -> None:
    """Waits for a process to succeed."""
    process.join(WAIT)
    assert process.exitcode == 0, Path(f"{process.name}.txt").read_text()


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # the server imports this module once, so that its children need not
    path, root = os.environ.get("PYTHONPATH"), str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, path]))
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if path is not None:
            os.environ["PYTHONPATH"] = path
    return context


def _call(
    folder: Path, environment: dict[str, str], function: Callable[..., None], arguments: Any
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = str(folder)  # what a killed process leaves goes with the test's folder
    with Path(f"{multiprocessing.current_process().name}.txt").open("w") as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
    function(*arguments)
