"""This project, without Dagster."""

from __future__ import annotations

import duckdb
import sqlalchemy  # noqa: F401 - imports are not measured, and these come late

import link_assets.rows.clicks_arrow
import link_assets.warehouse.destinations.duckdb_client  # noqa: F401
from benchmarks.contenders import API_KEY, FILE
from link_assets.domain_loads import open_loads
from link_assets.settings import ApiSettings
from link_assets.source.links_read import LinksRead, known_links
from link_assets.source.rest import links_source
from link_assets.warehouse.daily_clicks import compute_days
from link_assets.warehouse.deleted_links import LinkListing
from link_assets.warehouse.pipeline import open_pipeline


def clicks(url: str) -> None:
    """The clicks of domain 1."""
    with open_loads(ApiSettings(base_url=url, api_key=API_KEY), [1]) as loads:
        loads.load(1)


def links(url: str) -> None:
    """All links, but those that the warehouse has as they are listed."""
    with open_pipeline("links") as pipeline:
        read = LinksRead(known=known_links(LinkListing(pipeline).present))
        pipeline.run(links_source(ApiSettings(base_url=url, api_key=API_KEY), read))


def days(url: str) -> None:
    """The daily clicks of domain 1, in the warehouse."""
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
