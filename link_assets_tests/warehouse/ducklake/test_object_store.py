"""A lake with files in S3: where they are, whose keys it takes, and what is said if it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from link_assets.settings import SettingsError
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets_tests.children import load_clicks
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.warehouse.ducklake.lake import needs_ducklake
from link_assets_tests.warehouse.ducklake.object_store import (
    KEYS,
    SECRET,
    STORAGE,
    keys_refused,
    names_in_store,
    needs_object_store,
)

pytestmark = [
    *needs_ducklake,
    needs_object_store,
    pytest.mark.parametrize("storage", ["S3"], indirect=True),
]


def test_rows_are_in_parquet_files_of_the_bucket(store: str, database: str) -> None:
    load_clicks(1)
    names = names_in_store(store, f"{database}/link_assets/clicks/")
    assert names
    assert all(name.endswith(".parquet") for name in names)


def test_keys_may_be_those_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.delenv(f"{STORAGE}__CREDENTIALS__{name}")
        monkeypatch.setenv(name, value)
    load_clicks(1)
    assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


def test_missing_keys_are_named(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(workdir / "none"))
    names = [f"{STORAGE}__CREDENTIALS__{name}" for name in KEYS]
    for name in names:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=rf"set {' and '.join(names)}\.$"):
        configured_warehouse().require_settings()


@pytest.mark.parametrize(
    ("setting", "given", "said"),
    [
        ("BUCKET_URL", "s3://nonesuch/lake", "URL s3://nonesuch/lake"),
        ("CREDENTIALS__ENDPOINT_URL", "http://127.0.0.1:1", "Could not connect to server"),
    ],
)
def test_a_store_that_is_not_there_is_explained_without_the_key(
    location: Location,
    setting: str,
    given: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
) -> None:
    monkeypatch.setenv(f"{STORAGE}__{setting}", given)
    message = failure_text(location.links())
    assert said in message
    assert SECRET not in message + caplog.text


def test_a_refused_key_is_explained_without_it(location: Location, store: str, caplog: Any) -> None:
    with keys_refused(store):
        message = failure_text(location.links())
    assert "403" in message
    assert SECRET not in message + caplog.text
