"""A lake with files in S3: where they are, whose keys it takes, and what is said if it fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest

from link_assets.settings import SettingsError
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets_tests.children import load_clicks
from link_assets_tests.support import Location, failure_text, rows
from link_assets_tests.warehouse.ducklake.lake import needs_ducklake
from link_assets_tests.warehouse.ducklake.object_store import (
    CREDENTIALS,
    KEYS,
    SECRET,
    STORAGE,
    keys_of_a_role,
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


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings without keys."""
    for name in KEYS:
        monkeypatch.delenv(f"{CREDENTIALS}__{name}")


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("owner", ["the environment", "a role"])
def test_keys_may_be_those_that_the_machine_has(
    owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keys_of_a_role() as url:
        of_role = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
        for name, value in (of_role if owner == "a role" else KEYS).items():
            monkeypatch.setenv(name, value)
        load_clicks(1)
        assert rows("SELECT count(*) FROM {dataset}.clicks") == [(40,)]


@pytest.mark.usefixtures("no_keys")
def test_missing_keys_are_named() -> None:
    names = [f"{CREDENTIALS}__{name}" for name in KEYS]
    with pytest.raises(SettingsError, match=rf"set {' and '.join(names)}\.$"):
        configured_warehouse().require_settings()


@pytest.mark.usefixtures("no_keys")
def test_the_extra_that_finds_a_machines_keys_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(SettingsError, match=r"install link-assets\[s3\]\.$"):
        configured_warehouse().require_settings()


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize(
    ("setting", "given", "refusal"),
    [
        ("AWS_ACCESS_KEY_ID", "someone", "AWS_SECRET_ACCESS_KEY must both be given, or neither"),
        ("PROFILE_NAME", "default", "PROFILE_NAME must not be given: set AWS_PROFILE"),
    ],
)
def test_a_setting_that_the_machines_keys_would_undo_is_refused(
    setting: str, given: str, refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", _profile())
    monkeypatch.setenv(f"{CREDENTIALS}__{setting}", given)
    with pytest.raises(SettingsError, match=refusal):
        configured_warehouse().require_settings()


def _profile() -> str:
    Path("credentials").write_text("[default]\naws_access_key_id=x\naws_secret_access_key=y\n")
    return "credentials"


def test_a_region_is_asked_for_and_has_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{CREDENTIALS}__ENDPOINT_URL")
    config = configured_warehouse().dataset().destination_client.config
    endpoint = cast(Any, config.credentials).storage.credentials.endpoint_url
    assert endpoint == "https://s3.us-east-1.amazonaws.com"
    monkeypatch.delenv(f"{CREDENTIALS}__REGION_NAME")
    with pytest.raises(SettingsError, match=f"{CREDENTIALS}__REGION_NAME must be the bucket's"):
        configured_warehouse().require_settings()


@pytest.mark.parametrize(
    ("setting", "given", "said"),
    [
        ("BUCKET_URL", "s3://nonesuch/lake", "URL s3://nonesuch/lake"),
        ("CREDENTIALS__ENDPOINT_URL", "http://127.0.0.1:1", "Could not connect to server"),
        ("CREDENTIALS__AWS_SECRET_ACCESS_KEY", f"{SECRET}'x", "syntax error"),
    ],
)
def test_what_is_wrong_with_a_store_is_explained_without_the_key(
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
