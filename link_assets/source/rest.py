"""The dlt sources: all domains and links, the folders of links, and the clicks of one domain.

Each is dlt's REST source with a dialect (which API), a session (`http`), a check of every answer
(`pages`), a paginator (`paging`) and a transform (`transforms`). They run from a plain script as
well as in Dagster; they know neither Dagster nor the warehouse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import dlt
from dlt.common.jsonpath import compile_path
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import dlt_load_id_column, new_table
from dlt.extract import DltSource
from dlt.sources.rest_api import rest_api_resources
from dlt.sources.rest_api.typing import EndpointResource

from link_assets.contract import (
    CLICKS,
    DOMAINS,
    FOLDERS,
    LINK_SPELLINGS,
    LINK_TAGS,
    LINKS,
    REJECTED_ROWS,
    Table,
)
from link_assets.rows.personal import PersonalData
from link_assets.settings import ApiSettings
from link_assets.source.dialects.base import DOMAIN, Dialect, Endpoint, Position
from link_assets.source.dialects.configured import configured_dialect
from link_assets.source.domains import (
    ID,
    DomainRows,
    DomainsOfLinks,
    FolderPages,
    ListedDomains,
)
from link_assets.source.http import new_connections, new_session
from link_assets.source.link_pages import LinkPages
from link_assets.source.links_read import LinksRead
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import ROWS, page_check
from link_assets.source.paging import EndpointPaginator, PagingMemory, skipping_domains
from link_assets.source.resume import Chunk, ClicksRead, require_same_api
from link_assets.source.run_resources import RunResources
from link_assets.source.transforms import ClickPages, FetchedRows, items_for_dlt

if TYPE_CHECKING:
    from dlt.common.schema import Schema
    from dlt.extract import DltResource
    from requests.adapters import HTTPAdapter


SOURCE_NAME = "link_assets"
DOMAIN_LIST = "domain_list"
"""The resource of an API's own listing of domains, which the tables of domains and links use."""

LINK_ID: TColumnSchema = {
    "name": "_dlt_id",
    "data_type": "text",
    "nullable": False,
    "unique": True,
    "row_key": True,
    "dedup_sort": "desc",
}
"""dlt's row id, by which a merge knows the last of several versions of a link."""

LINK_CHILDREN = (f"{LINKS.name}__{LINK_TAGS}", f"{LINKS.name}__{LINK_SPELLINGS}")
CHILD_COLUMNS: list[TColumnSchema] = [
    {"name": "value", "data_type": "text"},
    {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
    {"name": "_dlt_root_id", "data_type": "text", "nullable": False, "root_key": True},
    {"name": "_dlt_parent_id", "data_type": "text", "nullable": False, "parent_key": True},
    {"name": "_dlt_list_idx", "data_type": "bigint", "nullable": False},
]
"""The child tables as dlt makes them, declared so that they are there before their first row."""


def links_source(
    settings: ApiSettings,
    read: LinksRead | None = None,
    *,
    resources: RunResources | None = None,
) -> DltSource:
    """Make the source of every domain and every link that the API lists.

    Its resources are `domains`, `links` and, if the API has them, `folders`, all merged on `id`;
    links have the child tables `links__tags` and `links__spellings`. Where the API lists domains,
    links are listed for each; where it lists none, the domains are those of the links.

    Extraction raises pages.ApiError if an answer is not a valid page, and SettingsError if the
    pipeline's rows come from another API. A listing that cannot be followed to its end is cut off:
    `read.failure` says so once its rows are loaded. In listings by domain an answer that is not a
    valid page ends the domain's listing alone, and `read.refused` and `read.refused_folders` say
    so, unless it says that the key is not accepted. Without a `read` extraction raises all of it.
    """
    read = read or LinksRead(watched=False)
    dialect, personal = configured_dialect(settings), _personal(settings)
    endpoints = _listings(dialect)
    source = _source(
        settings,
        (DOMAINS, LINKS, *((FOLDERS,) if FOLDERS.name in endpoints else ())),
        {name: _paginator(settings, name, e, read) for name, e in endpoints.items()},
        (resources or RunResources(new_connections(settings))).connections,
        read.stats,
    )
    if folders := endpoints.get(FOLDERS.name):
        source.resources[FOLDERS.name].add_step(FolderPages(folders))
    links, listed = source.resources[LINKS.name], source.resources.get(DOMAIN_LIST)
    of_links = None if listed else DomainsOfLinks(read)
    links.add_step(LinkPages(personal, dialect, endpoints[LINKS.name], read, of_links))
    if listed:
        listed.add_step(ListedDomains(personal, read)).selected = False
    rows = of_links or DomainRows(read)
    source.resources.add(_domains(listed or links, rows.of_page))
    _declare_children(source)
    return source


def _listings(dialect: Dialect) -> Mapping[str, Endpoint]:
    """Return the listings that an API has, by the names of their resources."""
    by_name = {
        DOMAIN_LIST: dialect.domains(),
        LINKS.name: dialect.links(),
        FOLDERS.name: dialect.folders(),
    }
    return {name: endpoint for name, endpoint in by_name.items() if endpoint}


def _declare_children(source: DltSource) -> None:
    """Declare the child tables of links, and the ids by which their rows are replaced."""
    children = [new_table(child, LINKS.name, columns=CHILD_COLUMNS) for child in LINK_CHILDREN]
    for table in (new_table(LINKS.name, columns=[LINK_ID]), *children):
        # dlt makes no table that never had a row, as far as it knows, and a merge leaves the old
        # rows of such a child table
        table["x-normalizer"] = {"seen-data": True}
        source.schema.update_table(table)


def _domains(parent: DltResource, rows: Callable[[Any], Iterator[Any]]) -> DltResource:
    """Return the resource `domains`, which is made of another one's pages."""

    def domains(page: Any) -> Iterator[Any]:
        yield from rows(page)

    return dlt.transformer(
        domains,
        data_from=parent,
        name=DOMAINS.name,
        primary_key=list(DOMAINS.primary_key),
        write_disposition="merge",
    )


def clicks_source(
    settings: ApiSettings,
    domain_id: int,
    read: ClicksRead | None = None,
    *,
    resources: RunResources | None = None,
    host: str | None = None,
) -> DltSource:
    """Make the source of the next chunk of a domain's clicks, for a dlt pipeline of its own.

    The clicks are merged on `(domain_id, dt, click_id)`. One load takes up to `chunk_rows` rows or
    `chunk_seconds` of fetching and keeps, in dlt's state, where to go on: load again with the same
    `read` until `read.finished`. (`click_chunks` is for many domains in one load.) `resources` may
    be shared with other domains. Errors name the domain with its `host`, if that is given. A
    pipeline that is not of warehouse.pipeline.open_pipeline needs dlt's setting
    `normalize.parquet_normalizer.add_dlt_load_id`, or its extraction fails.

    Extraction raises source.pages.ApiError if an answer is not a valid page. A listing without end
    is cut off: the load after the last rows raises that; without a `read` extraction does at once.
    """
    read = read or ClicksRead(paging=PagingMemory(watched=False))
    return fetched_clicks(
        settings, domain_id, read, resources=resources, host=host, items_of=items_for_dlt
    )


def fetched_clicks(
    settings: ApiSettings,
    domain_id: int,
    read: ClicksRead,
    *,
    resources: RunResources | None = None,
    host: str | None = None,
    items_of: Callable[[FetchedRows], list[Any]] = lambda rows: [rows],
) -> DltSource:
    """Make the same source, whose items `items_of` makes; by default FetchedRows, for no pipeline.

    A step that makes them afterwards would have dlt fetch on before it takes them.
    """
    # threads of each chunk's own would keep memory of their own
    read.resources = resources = (
        resources or read.resources or RunResources(new_connections(settings))
    )
    personal = _personal(settings)
    chunk = Chunk(settings, read, personal.identity("ip"), resources.fetched)
    endpoint = _named(configured_dialect(settings).clicks(domain_id), host)
    paginator = EndpointPaginator(
        endpoint,
        read.paging,
        read.stats,
        settings.max_pages_without_news,
        begin=lambda: chunk.begin(endpoint),
    )
    paginators = {CLICKS.name: paginator}
    source = _source(settings, (CLICKS,), paginators, resources.connections, read.stats)
    pages = ClickPages(domain_id, chunk, personal, resources, items_of)
    source.resources[CLICKS.name].add_step(pages)
    return source


def _named(endpoint: Endpoint, host: str | None) -> Endpoint:
    """Return the endpoint of a domain, which messages name with the host."""
    return replace(endpoint, what=f"{endpoint.what} ({host})") if host else endpoint


def _personal(settings: ApiSettings) -> PersonalData:
    return PersonalData(settings.personal, settings.hash_salt)


def _paginator(
    settings: ApiSettings, name: str, endpoint: Endpoint, read: LinksRead
) -> EndpointPaginator:
    """Return the paginator of a listing that is read from its first page."""

    def begin() -> tuple[Position | None, Mapping[str, Any]]:
        is_new = dlt.current.pipeline().first_run
        state = dlt.current.source_state()
        require_same_api(state, settings.api, read.api_of_rows, is_new=is_new)
        return None, {}

    stats = {LINKS.name: read.stats, DOMAIN_LIST: read.domains}.get(name) or LoadStats()
    limit = settings.max_pages_without_news
    return EndpointPaginator(endpoint, read.paging_of(name), stats, limit, begin, read.hosts)


def _source(
    settings: ApiSettings,
    tables: Sequence[Table],
    paginators: Mapping[str, EndpointPaginator],
    connections: HTTPAdapter,
    stats: LoadStats | None = None,
) -> DltSource:
    """Make a source with the tables' columns and a resource for each paginator."""
    paths = [paginator.endpoint.path for paginator in paginators.values()]
    elsewhere = [path for path in paths if urlsplit(path).scheme]
    # dlt's `rest_api_source` would look for settings of its own each time
    resources = rest_api_resources(
        {
            "client": {
                "base_url": settings.base_url,
                "auth": cast(Any, configured_dialect(settings).auth()),
                "session": skipping_domains(new_session(settings, connections, elsewhere, stats)),
            },
            "resource_defaults": {"write_disposition": "merge"},
            "resources": [_resource(settings, *named) for named in paginators.items()],
        }
    )
    schema = dlt.Schema(SOURCE_NAME)
    declare_tables(schema, settings, tables)
    return DltSource(schema, SOURCE_NAME, resources)


def declare_tables(schema: Schema, settings: ApiSettings, tables: Sequence[Table]) -> None:
    """Declare the columns of tables, and of `rejected_rows`, as the contract has them."""
    # a column's type is the contract's, never a guess from the text in it
    schema.remove_type_detection("iso_timestamp")
    for declared in (*tables, REJECTED_ROWS):
        columns = [*_columns(declared), *_documented(settings, declared), dlt_load_id_column()]
        schema.update_table(new_table(declared.name, write_disposition="merge", columns=columns))


def _resource(settings: ApiSettings, name: str, paginator: EndpointPaginator) -> EndpointResource:
    endpoint, secrets = paginator.endpoint, (settings.api_key, settings.hash_salt)
    domain = f"{{resources.{DOMAIN_LIST}.{ID}}}"
    parameters = dict(endpoint.parameters)
    if endpoint.domain_parameter:
        parameters[endpoint.domain_parameter] = domain
    none = [{"status_code": s, "action": "ignore"} for s in sorted(endpoint.statuses_of_none)]
    resource: dict[str, Any] = {
        "name": name,
        "primary_key": list(CLICKS.primary_key if name == CLICKS.name else ("id",)),
        "endpoint": {
            "path": endpoint.path.replace(DOMAIN, domain),
            "method": endpoint.method,
            "params" if endpoint.method == "GET" else "json": parameters,
            # compiled once, not for every page
            "data_selector": compile_path(ROWS),
            "paginator": paginator,
            "response_actions": [
                *none,
                page_check(endpoint, paginator.error, secrets, paginator.is_refusal),
            ],
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


def _documented(settings: ApiSettings, table: Table) -> list[TColumnSchema]:
    names = configured_dialect(settings).documented_columns(table)
    return [{"name": name, "data_type": "text"} for name in names]
