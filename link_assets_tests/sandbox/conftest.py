"""Sandboxes of Short.io's contract, served while a test runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from link_assets.sandbox import Sandbox, ShortIoSwitches, World, serve
from link_assets_tests.sandbox.caller import Caller

SMALL = World(clicks_per_domain=60)


@pytest.fixture
def serving() -> Iterator[Callable[[Sandbox], Caller]]:
    """Serves a sandbox until the test ends."""
    with ExitStack() as servers:
        yield lambda sandbox: Caller(servers.enter_context(serve(sandbox)))


@pytest.fixture
def short_io(serving: Callable[[Sandbox], Caller]) -> Callable[..., Caller]:
    """Serves Short.io's contract with some switches; `rows` are the sandbox's other fields."""

    def start(rows: dict[str, Any] | None = None, **switches: Any) -> Caller:
        fields: dict[str, Any] = {"world": SMALL, **(rows or {})}
        return serving(Sandbox(api="short_io", switches=ShortIoSwitches(**switches), **fields))

    return start
