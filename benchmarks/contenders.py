"""The ways to load a domain's clicks that are compared. Each runs in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import dlt
import duckdb
import orjson
import pyarrow as pa
from dlt.sources.rest_api import rest_api_source

from link_assets.click_batches import arrow_schema
from link_assets.contract import CLICKS
from link_assets.progress import Progress
from link_assets.settings import ApiSettings
from link_assets.source import clicks_source
from link_assets.warehouse import open_pipeline

API_KEY = "benchmark"
FILE = "benchmark.duckdb"


def guide(url: str, file_format: str | None = None) -> None:
    """The API guide's configuration for clicks, as it stands, on dlt's defaults."""
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
            "resource_defaults": {"primary_key": "dt", "write_disposition": "merge"},
            "resources": [
                {
                    "name": "clicks",
                    "endpoint": {
                        "path": "/v1/domain/1/link_clicks",
                        "data_selector": "data",
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


def guide_parquet(url: str) -> None:
    """The same with Parquet files instead of INSERT statements."""
    guide(url, "parquet")


def project(url: str) -> None:
    """This project's source, without Dagster."""
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = FILE
    settings, progress = ApiSettings(base_url=url, api_key=API_KEY), Progress()
    while not progress.finished:
        with open_pipeline("clicks_1") as pipeline:
            pipeline.run(clicks_source(settings, 1, progress))


def floor(url: str) -> None:
    """By hand: receive, parse, and write into the same columns, with no care taken."""
    schema = arrow_schema(CLICKS)
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    with duckdb.connect(FILE) as database:
        database.execute("CREATE SCHEMA link_assets")
        pages, token = [], None
        while True:
            path = "/v1/domain/1/link_clicks" + (f"?pageToken={token}" if token else "")
            connection.request("GET", path, headers={"Authorization": API_KEY})
            page = orjson.loads(connection.getresponse().read())
            pages.append(_floor_table(page["data"], schema))
            if not (token := page["nextPageToken"]):
                break
        clicks = pa.concat_tables(pages)
        database.register("pages", clicks)
        database.execute("CREATE TABLE link_assets.clicks AS SELECT * FROM pages")


def _floor_table(rows: list[dict[str, object]], schema: pa.Schema) -> pa.Table:
    columns = {}
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name == "domain_id":
            columns[field.name] = pa.repeat(pa.scalar(1), len(rows))
        elif field.name == "click_id":
            columns[field.name] = pa.array(map(str, range(len(rows))))
        elif pa.types.is_timestamp(field.type):
            columns[field.name] = pa.array(values, pa.string()).cast(field.type)
        else:
            columns[field.name] = pa.array(values, field.type)
    return pa.table(columns, schema=schema)


CONTENDERS: dict[str, Callable[[str], None]] = {
    "guide": guide,
    "guide_parquet": guide_parquet,
    "project": project,
    "floor": floor,
}


def main(name: str, url: str, folder: str) -> None:
    """Runs a contender in `folder`; prints seconds, rows and peak memory in MB as JSON."""
    os.chdir(folder)
    started = time.perf_counter()
    CONTENDERS[name](url)
    seconds = time.perf_counter() - started
    with duckdb.connect(str(Path(FILE))) as database:
        ((rows,),) = database.execute("SELECT count(*) FROM link_assets.clicks").fetchall()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
