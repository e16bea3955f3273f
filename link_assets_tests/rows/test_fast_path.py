"""Clicks load through Arrow, row by row, as dlt alone loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from link_assets.contract import DataType
from link_assets.sandbox import Sandbox, World
from link_assets.settings import api_settings
from link_assets.source.rest import clicks_source
from link_assets.warehouse.pipeline import open_pipeline
from link_assets_tests.guide import CLICK_FIELDS
from link_assets_tests.scenarios.test_faults import MISSING, READ

NORMAL = "normal.duckdb"
FAST = "fast.duckdb"
OF_THE_LOADER = ("click_id", "domain_id", "_dlt_id", "_dlt_load_id")
OF_TYPE: dict[DataType, str] = {
    "text": "city",
    "bigint": "st",
    "bool": "human",
    "timestamp": "dt",
}
DT = "2026-02-01T12:00:00Z"

# of the contract's types as they are, so that dlt needs no help to read them
WELL_TYPED: list[dict[str, Any]] = [
    {},
    {"dt": "2026-02-01T12:00:00.123456Z"},
    {"dt": "2026-02-01T23:59:59.999+05:30"},
    {"dt": "1969-12-31T23:59:59-08:00"},
    {"ua": "", "ref": " ", "url": "\\ ' \" ; \t \n \r\n"},
    {"ua": "\U0001f600 \u05e9\u05dc\u05d5\u05dd \u202e e\u0301", "city": "\u00fc" * 10_000},
    {"ua": "NULL", "ref": "null", "city": "NaN", "country": "true", "os": "302"},
    {"ua": "2026-02-01T12:00:00Z", "os": "{}", "social": "[]", "ip": "E'\\x00'"},
    {"st": 2**63 - 1, "human": True},
    {"st": -(2**63), "human": False},
    {"st": 0, "human": None, "host": None},
    {"new": "a field that the guide does not list", "newField": "and another"},
]


def clicks_of(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clicks that differ in these values and are known by their path."""
    base = {"host": "go.example", "st": 302, "human": True, "ua": "x", "dt": DT}
    rows = [base | {"path": f"/{number}"} | change for number, change in enumerate(changes)]
    return [{name: v for name, v in row.items() if v is not MISSING} for row in rows]


def load_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", FAST)
    with open_pipeline("clicks_1") as pipeline:
        pipeline.run(clicks_source(api_settings(), 1))


def load_normally(rows: list[dict[str, Any]]) -> None:
    """Loads the rows as dicts, by dlt's defaults, with the guide's columns as hints."""
    columns: list[Any] = [{"name": name, "data_type": kind} for name, _, kind, _ in CLICK_FIELDS]
    clicks = dlt.resource(rows, name="clicks", columns=columns)
    destination = dlt.destinations.duckdb(NORMAL)
    dlt.pipeline(
        "normal", pipelines_dir=".", destination=destination, dataset_name="clicks_data"
    ).run(clicks)


def table(file: str, schema: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The types of a table's columns and its rows by path, without what the loader adds."""
    with duckdb.connect(str(Path(file)), read_only=True) as database:
        database.execute("SET TimeZone = 'UTC'")
        found = database.sql(f"FROM {schema}.clicks")
        kept = [name for name in found.columns if name not in OF_THE_LOADER]
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        # as text: Python has no time before the year 1 in another zone
        rows = found.project(", ".join(f"CAST({name} AS VARCHAR)" for name in kept)).fetchall()
    listed = [dict(zip(kept, row, strict=True)) for row in rows]
    return {name: types[name] for name in kept}, {str(row["path"]): row for row in listed}


def assert_same_table(rows: int) -> None:
    fast_types, fast = table(FAST, "link_assets")
    types, normal = table(NORMAL, "clicks_data")
    assert fast_types == types
    assert len(fast) == len(normal) == rows
    for path, row in normal.items():
        assert fast[path] == row


def test_clicks_of_the_sandbox_load_as_by_dlt_alone(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = World(clicks_per_domain=40).clicks(1, 0, 40)
    clicks = [click | {"path": f"/{number}"} for number, click in enumerate(made)]
    sandbox.clicks = {1: clicks}
    load_fast(monkeypatch)
    load_normally(clicks)
    assert_same_table(40)


def test_unusual_values_of_the_right_type_load_as_by_dlt_alone(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks = clicks_of(WELL_TYPED)
    sandbox.clicks = {1: clicks}
    load_fast(monkeypatch)
    load_normally(clicks)
    assert_same_table(len(WELL_TYPED))


def test_converted_values_load_as_if_they_had_come_converted(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clicks = {1: clicks_of([{OF_TYPE[kind]: value} for kind, value, _ in READ])}
    load_fast(monkeypatch)
    stored = [
        {OF_TYPE[kind]: f"{value}+00:00" if kind == "timestamp" else value}
        for kind, _, value in READ
    ]
    load_normally(clicks_of(stored))
    assert_same_table(len(READ))
