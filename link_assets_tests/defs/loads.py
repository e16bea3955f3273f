"""What tests of the assets do before a load and look at after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from link_assets.sandbox import Sandbox, World
from link_assets.warehouse.reader import Reader, reading
from link_assets_tests.support import Location


def world_of(sandbox: Sandbox) -> World:
    assert sandbox.world
    return sandbox.world


def register(location: Location, *domains: int) -> None:
    """Registers domains as `links` would, without loading any."""
    location.instance.add_dynamic_partitions("domain", [str(domain) for domain in domains])


def pages_asked(sandbox: Sandbox) -> list[int | None]:
    """Which pages of clicks were asked for, in order, since the log was last emptied."""
    return [record.page for record in sandbox.requests if record.path != "/v1/links"]


def said(location: Location, result: dg.ExecuteInProcessResult) -> str:
    """Every event and log line of a run, whole."""
    return "\n".join(entry.to_json() for entry in location.instance.all_logs(result.run_id))


def moments(clicks: list[dict[str, Any]]) -> list[datetime]:
    """Return the times of clicks as the API sends them."""
    return [datetime.fromisoformat(click["dt"]) for click in clicks]


def recorded_queries(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[str]:
    """The queries that a module reads the warehouse with from now on, as they come."""
    queries: list[str] = []

    class Recording(Reader):
        def rows(self, query: str) -> Any:
            queries.append(query)
            return super().rows(query)

    @contextmanager
    def recording(at_most: float | None = None) -> Iterator[Reader]:
        with reading(at_most) as reader:
            yield Recording(reader._client)

    monkeypatch.setattr(module, "reading", recording)
    return queries
