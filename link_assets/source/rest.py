"""The dlt REST source: links, and the clicks of one domain. Runs from a plain script, too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from dlt.common.jsonpath import compile_path
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import dlt_load_id_column, new_table
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.requests.retry import DEFAULT_RETRY_EXCEPTIONS
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import EndpointResource
from requests.exceptions import ContentDecodingError

from link_assets.contract import CLICK_FACTS, CLICKS, LINK_TAGS, LINKS, REJECTED_ROWS, Table
from link_assets.rows.personal import PersonalData
from link_assets.settings import ApiSettings, SettingsError
from link_assets.source.http import new_connections
from link_assets.source.load_stats import LoadStats
from link_assets.source.pages import PageTokenPaginator, page_check
from link_assets.source.resume import Restart, ResumableRead
from link_assets.source.transforms import ClickPages, LinkPages

if TYPE_CHECKING:
    from dlt.extract import DltSource
    from requests import Session
    from requests.adapters import HTTPAdapter


SOURCE_NAME = "link_assets"
RETRIED_STATUSES = (429, 500, 502, 503, 504)
"""The guide's list; every other failing status fails at once."""

LINK_FACTS = ("id", "idString")
"""What a link is known by on a page."""

CONNECT_SECONDS = 5
"""How long an API may take to be reached at all."""

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


def links_source(settings: ApiSettings, progress: LoadStats | None = None) -> DltSource:
    """Every link the API lists, merged on `id`, with the child table `links__tags`.

    Extraction raises paging.ApiError if an answer is not a valid page. A listing without end is
    cut off: `progress.failure` says so once the links are loaded; without a `progress` extraction
    raises that.
    """
    progress = progress or LoadStats(watched=False)
    limit = settings.max_pages_without_news
    paginator = PageTokenPaginator("links", progress, LINK_FACTS, limit)
    resource = _endpoint(LINKS, "/v1/links", "links", paginator, settings)
    source = _source(settings, LINKS, resource)
    personal = PersonalData(settings.personal, settings.hash_salt)
    source.resources[LINKS.name].add_step(LinkPages(personal, progress))
    source.schema.update_table(new_table(LINKS.name, columns=[LINK_ID]))
    source.schema.update_table(new_table(TAGS_TABLE, LINKS.name, columns=TAGS_COLUMNS))
    return source


def clicks_source(
    settings: ApiSettings,
    domain_id: int,
    progress: LoadStats | None = None,
    *,
    restart: Restart | None = None,
    connections: HTTPAdapter | None = None,
) -> DltSource:
    """The next clicks of a domain, merged on `(domain_id, dt, click_id)`.

    One load takes up to `chunk_rows` rows or `chunk_seconds` of fetching and keeps, in the state
    that is loaded with them, where to go on; load again until `progress.finished` (chunks.Chunks
    fetches one load while it writes the one before). With `restart` the traversal begins anew,
    whatever the state says of where to go on. `connections` may be shared with other domains. A
    pipeline that is not of warehouse.open_pipeline needs dlt's setting
    `normalize.parquet_normalizer.add_dlt_load_id`, or its extraction fails. Extraction raises
    paging.ApiError if an answer is not a valid page. A listing without end is cut off: the load
    after the last rows raises that; without a `progress` extraction does at once.
    """
    progress = progress or LoadStats(watched=False)
    traversal = ResumableRead(settings, progress, restart)
    what = f"clicks of domain {domain_id}"
    limit = settings.max_pages_without_news
    paginator = PageTokenPaginator(what, progress, CLICK_FACTS, limit, traversal.begin)
    path = f"/v1/domain/{domain_id}/link_clicks"
    resource = _endpoint(CLICKS, path, "data", paginator, settings)
    source = _source(settings, CLICKS, resource, connections)
    source.resources[CLICKS.name].add_step(ClickPages(domain_id, traversal))
    return source


def _source(
    settings: ApiSettings,
    table: Table,
    resource: EndpointResource,
    connections: HTTPAdapter | None = None,
) -> DltSource:
    source = rest_api_source(
        {
            "client": {
                "base_url": settings.base_url,
                "auth": {
                    "type": "api_key",
                    "name": "Authorization",
                    "api_key": settings.api_key,
                    "location": "header",
                },
                "session": _session(settings, connections or new_connections(settings)),
            },
            "resource_defaults": {"write_disposition": "merge"},
            "resources": [resource],
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


def _session(settings: ApiSettings, connections: HTTPAdapter) -> Session:
    session = Client(
        raise_for_status=False,
        request_timeout=(min(CONNECT_SECONDS, settings.timeout_seconds), settings.timeout_seconds),
        status_codes=RETRIED_STATUSES,
        exceptions=(*DEFAULT_RETRY_EXCEPTIONS, ContentDecodingError),
        request_max_attempts=1 + settings.max_retries,
        request_backoff_factor=settings.backoff_factor,
    ).session
    for scheme in ("http://", "https://"):
        session.mount(scheme, connections)
    # proxies and certificates are asked of the environment once, not for every page
    given = session.merge_environment_settings(settings.base_url, {}, None, None, None)
    if urlsplit(settings.base_url).scheme == "https":
        _check_certificates(given["verify"])
    session.proxies, session.verify = dict(given["proxies"]), given["verify"]
    session.trust_env = False
    return session


def _check_certificates(verify: Any) -> None:
    """Refuses a file of certificates that is not there, which requests takes from two variables."""
    if not isinstance(verify, str) or Path(verify).exists():
        return
    name = next(n for n in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(n) == verify)
    raise SettingsError(
        f"{name} points to {verify}, which does not exist. Set it to the file of the certificates "
        "that the API's is signed with, or leave it unset for the usual ones."
    )


def _endpoint(
    table: Table, path: str, selector: str, paginator: PageTokenPaginator, settings: ApiSettings
) -> EndpointResource:
    size = {settings.page_size_param: settings.page_size} if settings.page_size else {}
    secrets = (settings.api_key, settings.hash_salt)
    return {
        "name": table.name,
        "primary_key": list(table.primary_key),
        "endpoint": {
            "path": path,
            "params": cast(dict[str, Any], size),
            # compiled once, not for every page
            "data_selector": compile_path(selector),
            "paginator": paginator,
            "response_actions": [page_check(paginator, selector, secrets)],
        },
    }


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
