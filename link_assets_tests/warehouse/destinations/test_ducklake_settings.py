"""What DuckLake lacks is named: settings that machines can share, and DuckDB's extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from link_assets.settings import SettingsError
from link_assets.warehouse.destinations import ducklake_client
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets_tests.support import Location, failure_text
from link_assets_tests.warehouse.ducklake.lake import SECTION, lake_settings

SECRET = "nobody-may-see-this"


@pytest.fixture(autouse=True)
def lake(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lake_settings(1, "x", str(workdir / "lake files")).items():
        monkeypatch.setenv(name, value.replace("unused", SECRET))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_catalog_in_postgresql_and_a_folder_are_accepted(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{scheme}://loader:{SECRET}@db.example.com/lake?sslmode=require"
    monkeypatch.setenv(f"{SECTION}__CATALOG", address)
    warehouse = configured_warehouse()
    warehouse.require_settings()
    assert warehouse.uri == "ducklake:postgresql://db.example.com:5432/lake"


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("CATALOG", None),
        ("CATALOG", "sqlite:///catalog.sqlite"),
        ("CATALOG", f"mysql://loader:{SECRET}@127.0.0.1/lake"),
        ("STORAGE__BUCKET_URL", None),
        ("STORAGE__BUCKET_URL", "az://container/lake"),
        ("STORAGE__BUCKET_URL", "gs://bucket/lake"),
        ("STORAGE__BUCKET_URL", "memory://lake"),
    ],
)
def test_what_machines_cannot_share_is_refused_by_the_name_of_the_setting(
    setting: str, given: str | None, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given:
        monkeypatch.setenv(f"{SECTION}__{setting}", given)
    else:
        monkeypatch.delenv(f"{SECTION}__{setting}")
    with pytest.raises(SettingsError, match=f"^{SECTION}__{setting} must be ") as refused:
        configured_warehouse().require_settings()
    assert SECRET not in str(refused.value)
    assert not [*workdir.iterdir()]


@pytest.mark.long
def test_a_missing_extension_is_explained(
    location: Location, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if nothing was installed or downloaded
    monkeypatch.setattr(ducklake_client, "_loadable", lambda name: name)
    monkeypatch.setenv("HOME", str(workdir))
    message = failure_text(location.links())
    assert "needs its extensions ducklake, postgres_scanner, made for this version" in message
