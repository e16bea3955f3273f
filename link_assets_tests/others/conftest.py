"""A sandbox of Short.io's contract, the warehouse loaded from it, and what other programs need.

The programs are the dependency group `others`: nothing but the tests of this folder needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from link_assets.sandbox import World
from link_assets.settings import ApiSettings
from link_assets.source.rest import links_source
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.others.short_io_client import Caller, served
from link_assets_tests.support import rows

COMMAND = "uv run --group others pytest link_assets_tests/others"


@pytest.fixture(scope="session")
def others() -> None:
    """Skips a test where the programs are not installed."""
    missing = [name for name in ("short_io_api_client", "pyshortio") if not find_spec(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed; run: {COMMAND}")


@dataclass(frozen=True)
class Loaded:
    """A sandbox, and what a load by `links_source` brought from it into the warehouse."""

    api: Caller

    def hosts(self) -> dict[int, str]:
        """Return the host of each domain."""
        return dict(rows("SELECT id, hostname FROM {dataset}.domains"))

    def links(self, domain: int | None = None) -> list[tuple[object, ...]]:
        """Return domain, id, path, target and short URL of all links, or of one domain's."""
        where = f"WHERE domain_id = {domain}" if domain else ""
        columns = "domain_id, id, path, original_url, short_url"
        return sorted(rows(f"SELECT {columns} FROM {{dataset}}.links {where}"))


@pytest.fixture
def loaded(others: None, workdir: Path) -> Iterator[Loaded]:
    """Five domains of sixty links: more than a page, however they are paged below."""
    world = World(domains=5, links_per_domain=60, clicks_per_domain=100)
    with served(world) as api:
        settings = ApiSettings(
            api="short_io",
            base_url=api.url,
            statistics_url=f"{api.url}/statistics",
            api_key=api.sandbox.api_key,
        )
        with open_pipeline("links") as pipeline:
            pipeline.run(links_source(settings))
        api.sandbox.reset_log()
        yield Loaded(api)
