"""A load: which tables it compares, when it is refused, and what it leaves behind."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from link_assets.sandbox import Sandbox
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source
from link_assets.warehouse import lock as lock_module
from link_assets.warehouse.access import exclusive_access, warehouse_lock
from link_assets.warehouse.destinations.base import OpenWarehouse
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.destinations.duckdb_client import CatalogDuckDbClient
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.support import rows
from link_assets_tests.warehouse.helpers import load_clicks, wait_until


def load_all_in_one_opening(*domains: int) -> None:
    """Loads the domains with the file kept open, as threads do that wait for each other."""
    lock = warehouse_lock(configured_warehouse())
    with ThreadPoolExecutor(len(domains)) as threads:
        ready = [threading.Event() for _ in domains]
        go = threading.Event()

        def load(domain: int, fetched: threading.Event) -> None:
            with open_pipeline(f"clicks_{domain}") as pipeline:
                pipeline.restore()
                write = pipeline.writing_alone

                def wait(parts: Sequence[str]) -> AbstractContextManager[OpenWarehouse]:
                    fetched.set()
                    go.wait(30)
                    return write(parts)

                pipeline.writing_alone = wait  # type: ignore[method-assign]
                pipeline.load(clicks_source(api_settings(), domain))

        loads = [threads.submit(load, *of) for of in zip(domains, ready, strict=True)]
        assert all(event.wait(30) for event in ready)
        with exclusive_access("holding"):
            go.set()
            wait_until(lambda: lock.waiting == len(domains))
        for task in loads:
            task.result(timeout=30)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The schemas, by their hashes, that the file's tables were compared with."""
    monkeypatch.setattr(lock_module, "SHARED_SECONDS", 60)
    hashes: list[str] = []
    update = CatalogDuckDbClient.update_stored_schema

    def compare(client: CatalogDuckDbClient, **options: Any) -> Any:
        if options.get("force") and not client.sql_client.is_staging_dataset_active:
            hashes.append(client.schema.version_hash)
        return update(client, **options)

    monkeypatch.setattr(CatalogDuckDbClient, "update_stored_schema", compare)
    return hashes


def test_tables_are_compared_with_the_schema_once_while_the_file_is_open(
    api: str, compared: list[str]
) -> None:
    load_all_in_one_opening(1, 2, 3)
    assert len(compared) == 1
    load_clicks(1)
    load_clicks(2)
    assert compared == compared[:1] * 3
    assert rows("SELECT count(DISTINCT domain_id) FROM {dataset}.clicks") == [(3,)]


def test_a_domain_with_a_new_field_gets_its_column_while_the_file_is_open(
    api: str, sandbox: Sandbox, compared: list[str]
) -> None:
    sandbox.clicks = {domain: [{"dt": f"2026-02-0{domain}T00:00:00Z"}] for domain in (1, 2, 3)}
    sandbox.clicks[2][0]["Late"] = "x"
    load_all_in_one_opening(1, 2, 3)
    assert len(compared) == len({*compared}) == 2
    found = rows("SELECT domain_id, late FROM {dataset}.clicks ORDER BY 1")
    assert found == [(1, None), (2, "x"), (3, None)]


def test_a_load_adds_nothing_to_dlts_configuration(api: str) -> None:
    load_clicks()
    providers = {p.name: p for p in Container()[PluggableRunContext].providers.providers}
    assert providers["config.toml"].is_empty
    assert rows("SELECT count(_dlt_load_id) FROM {dataset}.clicks") == [(40,)]


def test_pipelines_leave_no_folder_behind(
    api: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with open_pipeline("clicks_1") as pipeline:
        assert [Path(pipeline.dlt.pipelines_dir)] == list(folder.iterdir())
        pipeline.run(clicks_source(api_settings(), 1))
    with pytest.raises(ZeroDivisionError), open_pipeline("clicks_2"):
        raise ZeroDivisionError
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]
    assert list(folder.iterdir()) == []
