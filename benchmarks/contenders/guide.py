"""The API guide's configuration for dlt's REST source, as it stands."""

from __future__ import annotations

import dlt
import sqlalchemy  # noqa: F401 - imports are not measured, and this one comes late
from dlt.sources.rest_api import rest_api_source

from benchmarks.contenders import API_KEY, CLICKS_PATH, FILE, LINKS_PATH


def clicks(url: str, file_format: str | None = None) -> None:
    """Clicks, on dlt's defaults unless a file format is given."""
    _load(url, "clicks", CLICKS_PATH.format(1), "data", "dt", file_format)


def clicks_parquet(url: str) -> None:
    """Clicks, with Parquet files instead of INSERT statements."""
    clicks(url, "parquet")


def links(url: str) -> None:
    """Links, on dlt's defaults."""
    _load(url, "links", LINKS_PATH, "links", "id", None)


def _load(
    url: str, table: str, path: str, selector: str, key: str, file_format: str | None
) -> None:
    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {
                    "type": "api_key",
                    "name": "Authorization",
                    "api_key": API_KEY,
                    "location": "header",
                },
            },
            "resource_defaults": {"primary_key": key, "write_disposition": "merge"},
            "resources": [
                {
                    "name": table,
                    "endpoint": {
                        "path": path,
                        "data_selector": selector,
                        "paginator": {
                            "type": "cursor",
                            "cursor_param": "pageToken",
                            "cursor_path": "nextPageToken",
                        },
                    },
                }
            ],
        }
    )
    destination = dlt.destinations.duckdb(FILE)
    pipeline = dlt.pipeline(
        "guide", pipelines_dir=".", destination=destination, dataset_name="link_assets"
    )
    pipeline.run(source, loader_file_format=file_format)  # type: ignore[arg-type]
