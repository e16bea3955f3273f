"""The dlt sources: all links, and the clicks of one domain.

Each is dlt's REST source with a dialect (which API), a session (`http`), a check of every answer
(`pages`), a paginator (`paging`) and a transform (`transforms`). They run from a plain script as
well as in Dagster; they know neither Dagster nor the warehouse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dlt.common.jsonpath import compile_path
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import dlt_load_id_column, new_table
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import EndpointResource

from link_assets.contract import CLICKS, LINK_TAGS, LINKS, REJECTED_ROWS, Table
from link_assets.rows.personal import PersonalData
from link_assets.settings import ApiSettings
from link_assets.source.dialects.configured import configured_dialect
from link_assets.source.http import new_connections, new_session
from link_assets.source.pages import ROWS, page_check
from link_assets.source.paging import EndpointPaginator, PagingMemory
from link_assets.source.resume import Chunk, ClicksRead
from link_assets.source.run_resources import RunResources
from link_assets.source.transforms import ClickPages, LinkPages, LinksRead

if TYPE_CHECKING:
    from dlt.extract import DltSource
    from requests.adapters import HTTPAdapter


SOURCE_NAME = "link_assets"

LINK_ID: TColumnSchema = {
    "name": "_dlt_id",
    "data_type": "text",
    "nullable": False,
    "unique": True,
    "row_key": True,
    "dedup_sort": "desc",
}
"""dlt's row id, by which a merge knows the last of several versions of a link."""

TAGS_TABLE = f"{LINKS.name}__{LINK_TAGS}"
TAGS_COLUMNS: list[TColumnSchema] = [
    {"name": "value", "data_type": "text"},
    {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
    {"name": "_dlt_root_id", "data_type": "text", "nullable": False, "root_key": True},
    {"name": "_dlt_parent_id", "data_type": "text", "nullable": False, "parent_key": True},
    {"name": "_dlt_list_idx", "data_type": "bigint", "nullable": False},
]
"""The child table as dlt makes it, declared so that it is there before the first tag is."""

UNSET_API = ApiSettings(base_url="http://api.invalid", api_key="unset")
"""Stands where a source must be described before its settings may be read."""


def links_source(
    settings: ApiSettings,
    read: LinksRead | None = None,
    *,
    resources: RunResources | None = None,
) -> DltSource:
    """Make the source of every link that the API lists.

    The links are merged on `id`, with the child table `links__tags`. Extraction raises
    pages.ApiError if an answer is not a valid page. A listing without end is cut off:
    `read.paging.failure` says so once the links are loaded; without a `read` extraction raises it.
    """
    read = read or LinksRead(paging=PagingMemory(watched=False))
    paginator = EndpointPaginator(
        configured_dialect(settings).links(),
        read.paging,
        read.stats,
        settings.max_pages_without_news,
    )
    resources = resources or RunResources(new_connections(settings))
    source = _source(settings, LINKS, paginator, resources.connections)
    source.resources[LINKS.name].add_step(LinkPages(_personal(settings), read))
    source.schema.update_table(new_table(LINKS.name, columns=[LINK_ID]))
    source.schema.update_table(new_table(TAGS_TABLE, LINKS.name, columns=TAGS_COLUMNS))
    return source


def clicks_source(
    settings: ApiSettings,
    domain_id: int,
    read: ClicksRead | None = None,
    *,
    resources: RunResources | None = None,
) -> DltSource:
    """Make the source of the next chunk of a domain's clicks.

    The clicks are merged on `(domain_id, dt, click_id)`. One load takes up to `chunk_rows` rows or
    `chunk_seconds` of fetching and keeps, in the state that is loaded with them, where to go on:
    load again with the same `read` until `read.finished` (warehouse.chunks.Chunks fetches one load
    while it writes the one before). `resources` may be shared with other domains. A pipeline that
    is not of warehouse.pipeline.open_pipeline needs dlt's setting
    `normalize.parquet_normalizer.add_dlt_load_id`, or its extraction fails.

    Extraction raises source.pages.ApiError if an answer is not a valid page. A listing without end
    is cut off: the load after the last rows raises that; without a `read` extraction does at once.
    """
    read = read or ClicksRead(paging=PagingMemory(watched=False))
    # threads of each chunk's own would keep memory of their own
    read.resources = resources = (
        resources or read.resources or RunResources(new_connections(settings))
    )
    personal = _personal(settings)
    chunk = Chunk(settings, read, personal.identity("ip"))
    endpoint = configured_dialect(settings).clicks(domain_id)
    paginator = EndpointPaginator(
        endpoint,
        read.paging,
        read.stats,
        settings.max_pages_without_news,
        begin=lambda: chunk.begin(endpoint),
    )
    source = _source(settings, CLICKS, paginator, resources.connections)
    source.resources[CLICKS.name].add_step(ClickPages(domain_id, chunk, personal, resources))
    return source


def _personal(settings: ApiSettings) -> PersonalData:
    return PersonalData(settings.personal, settings.hash_salt)


def _source(
    settings: ApiSettings,
    table: Table,
    paginator: EndpointPaginator,
    connections: HTTPAdapter,
) -> DltSource:
    source = rest_api_source(
        {
            "client": {
                "base_url": settings.base_url,
                "auth": cast(Any, configured_dialect(settings).auth()),
                "session": new_session(settings, connections),
            },
            "resource_defaults": {"write_disposition": "merge"},
            "resources": [_resource(settings, table, paginator)],
        },
        name=SOURCE_NAME,
    )
    # a column's type is the contract's, never a guess from the text in it
    source.schema.remove_type_detection("iso_timestamp")
    for declared in (table, REJECTED_ROWS):
        source.schema.update_table(
            new_table(
                declared.name,
                write_disposition="merge",
                columns=[*_columns(declared), dlt_load_id_column()],
            )
        )
    return source


def _resource(
    settings: ApiSettings, table: Table, paginator: EndpointPaginator
) -> EndpointResource:
    endpoint, secrets = paginator.endpoint, (settings.api_key, settings.hash_salt)
    sent = "params" if endpoint.method == "GET" else "json"
    resource: dict[str, Any] = {
        "name": table.name,
        "primary_key": list(table.primary_key),
        "endpoint": {
            "path": endpoint.path,
            "method": endpoint.method,
            sent: dict(endpoint.parameters),
            # compiled once, not for every page
            "data_selector": compile_path(ROWS),
            "paginator": paginator,
            "response_actions": [page_check(endpoint, paginator.error, secrets)],
        },
    }
    return cast(EndpointResource, resource)


def _columns(table: Table) -> list[TColumnSchema]:
    key = table.primary_key
    return [
        {
            "name": field.column,
            "data_type": field.data_type,
            "nullable": field.column not in key,
            "primary_key": field.column in key,
        }
        for field in table.columns
    ]
