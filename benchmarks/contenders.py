"""What is measured. Each runs in a process of its own, in a folder that may hold a warehouse."""

from __future__ import annotations

import http.client
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dlt
import duckdb
import orjson
import pyarrow as pa
import sqlalchemy  # noqa: F401 - imports are not measured, and these come late
from dlt.sources.rest_api import rest_api_source
from link_assets.warehouse.chunks import Chunks

import link_assets.rows.clicks_arrow
import link_assets.warehouse.destinations.duckdb_client  # noqa: F401
from link_assets.contract import CLICK_FACTS, CLICKS
from link_assets.rows.column_names import arrow_schema
from link_assets.settings import ApiSettings
from link_assets.source.rest import clicks_source, links_source
from link_assets.source.resume import ClicksRead
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.pipeline import open_pipeline
from link_assets.warehouse.reader import reading

if TYPE_CHECKING:
    from dagster import DagsterInstance

API_KEY = "benchmark"
FILE = "benchmark.duckdb"
CLICKS_PATH = "/v1/domain/1/link_clicks"


def guide(url: str, file_format: str | None = None) -> None:
    """The API guide's configuration for clicks, as it stands, on dlt's defaults."""
    _guide(url, "clicks", CLICKS_PATH, "data", "dt", file_format)


def guide_parquet(url: str) -> None:
    """The same with Parquet files instead of INSERT statements."""
    guide(url, "parquet")


def guide_links(url: str) -> None:
    """The API guide's configuration for links, as it stands, on dlt's defaults."""
    _guide(url, "links", "/v1/links", "links", "id", None)


def _guide(
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


def project(url: str) -> None:
    """This project's clicks, without Dagster."""
    api, read = ApiSettings(base_url=url, api_key=API_KEY), ClicksRead()
    with Chunks("clicks_1") as chunks:
        while not read.finished:
            chunks.load(lambda pipeline: pipeline.run(clicks_source(api, 1, read)))


def project_links(url: str) -> None:
    """This project's links, without Dagster."""
    with open_pipeline("links") as pipeline:
        pipeline.run(links_source(ApiSettings(base_url=url, api_key=API_KEY)))


def compute(url: str) -> None:
    """The daily clicks of the domain, in the warehouse."""
    compute_days([1])


def lengthen(url: str, rows: str) -> None:
    """Puts copies of the warehouse's clicks before them in time until there are so many.

    They look as if they had been loaded long before, as most of a history was.
    """
    with duckdb.connect(FILE) as database:
        ((there,),) = database.execute("SELECT count(*) FROM link_assets.clicks").fetchall()
        for copy in range(1, int(rows) // there):
            database.execute(
                "INSERT INTO link_assets.clicks SELECT * REPLACE ("
                f"dt - INTERVAL {copy * 30} DAY AS dt, md5(click_id || '{copy}') AS click_id, "
                "'1000000000.0' AS _dlt_load_id) "
                f"FROM link_assets.clicks ORDER BY link_assets.clicks.dt DESC LIMIT {there}"
            )


def dagster_instance(url: str, domains: str) -> None:
    """A Dagster instance that knows these domains, as it is there before a run starts."""
    with _instance() as instance:
        instance.add_dynamic_partitions("domain", [str(n + 1) for n in range(int(domains))])
        instance.get_runs()
        instance.all_asset_keys()


def dagster_run(url: str, first: str, last: str, clicks_order: str = "unordered") -> None:
    """One run of the clicks asset, with its checks, as a backfill or a schedule starts it."""
    os.environ["SOURCES__LINK_ASSETS__BASE_URL"] = url
    os.environ["SOURCES__LINK_ASSETS__API_KEY"] = API_KEY
    os.environ["SOURCES__LINK_ASSETS__CLICKS_ORDER"] = clicks_order
    os.environ["SOURCES__LINK_ASSETS__CLICKS_LOOKBACK_DAYS"] = "0"
    from link_assets.definitions import defs

    ends = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    with _instance() as instance:
        job = defs.resolve_job_def("clicks_job")
        assert job.execute_in_process(instance=instance, tags=ends).success


def _instance() -> DagsterInstance:
    from dagster import DagsterInstance

    return DagsterInstance.local_temp(str(Path.cwd()))


def fetch(url: str) -> None:
    """Receiving and parsing the pages of one domain, and nothing else."""
    for _ in _pages(url):
        pass


def floor(url: str) -> None:
    """By hand: receive, parse, and write the same table, with no care taken."""
    schema = arrow_schema(CLICKS)
    with duckdb.connect(FILE) as database:
        database.execute("CREATE SCHEMA link_assets")
        clicks = pa.concat_tables(_floor_table(rows, schema) for rows in _pages(url))
        clicks = clicks.append_column("_dlt_load_id", pa.repeat(pa.scalar("1"), len(clicks)))
        database.register("pages", clicks)
        database.execute("CREATE TABLE link_assets.clicks AS SELECT * FROM pages")


def _pages(url: str) -> Iterator[list[dict[str, Any]]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    path = CLICKS_PATH
    while True:
        connection.request("GET", path, headers={"Authorization": API_KEY})
        page = orjson.loads(connection.getresponse().read())
        yield page["data"]
        if not (token := page["nextPageToken"]):
            break
        path = f"{CLICKS_PATH}?pageToken={token}"


def _floor_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = {}
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name == "domain_id":
            columns[field.name] = pa.repeat(pa.scalar(1), len(rows))
        elif field.name == "click_id":
            columns[field.name] = pa.array(map(_floor_id, rows))
        elif pa.types.is_timestamp(field.type):
            columns[field.name] = pa.array(values, pa.string()).cast(field.type)
        else:
            columns[field.name] = pa.array(values, field.type)
    return pa.table(columns, schema=schema)


def _floor_id(row: dict[str, Any]) -> str:
    facts = orjson.dumps([row.get(name) for name in CLICK_FACTS])
    return blake2b(facts, digest_size=16).hexdigest()


CONTENDERS: dict[str, Callable[..., None]] = {
    f.__name__: f
    for f in (
        guide,
        guide_parquet,
        guide_links,
        project,
        project_links,
        compute,
        lengthen,
        dagster_instance,
        dagster_run,
        fetch,
        floor,
    )
}


def main(name: str, url: str, folder: str, table: str, *options: str) -> None:
    """Runs a contender in `folder`; prints what came of it as JSON.

    That is seconds, when it ended (Unix time), rows, and the peak of memory in MB.
    """
    os.chdir(folder)
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = FILE
    if name == "dagster_run":
        import link_assets.definitions  # noqa: F401 - nor is this import measured
    started = time.perf_counter()
    CONTENDERS[name](url, *options)
    ended, seconds = time.time(), time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"seconds": seconds, "ended": ended, "rows": _count(table), "peak_mb": peak}
    print(json.dumps(told))


def _count(table: str) -> int:
    if not configured_warehouse().exists():
        return 0
    # in turn: another contender may be writing
    with reading() as reader:
        ((rows,),) = reader.rows(f"SELECT count(*) FROM {{dataset}}.{table}")
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
