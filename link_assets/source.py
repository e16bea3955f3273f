"""The dlt REST source: links, and the clicks of one domain. Runs from a plain script, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.jsonpath import compile_path
from dlt.common.schema.typing import C_DLT_LOAD_ID, TColumnSchema
from dlt.common.schema.utils import dlt_load_id_column, new_table
from dlt.extract.items_transform import ItemTransform
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.requests.retry import DEFAULT_RETRY_EXCEPTIONS
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import EndpointResource
from requests.exceptions import ContentDecodingError

from link_assets.connections import new_connections
from link_assets.contract import CLICKS, LINK_TAGS, LINKS, REJECTED_ROWS, Table
from link_assets.paging import PageTokenPaginator, page_check
from link_assets.personal import PersonalData
from link_assets.progress import Progress
from link_assets.rows import Row, read_rows
from link_assets.settings import ApiSettings
from link_assets.traversal import Restart, Traversal

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.extract import DltSource
    from dlt.extract.items import DataItemWithMeta
    from dlt.sources.helpers.rest_client.client import PageData
    from requests import Session
    from requests.adapters import HTTPAdapter

    from link_assets.click_batches import ClickBatch
    from link_assets.click_reader import ClickReader
    from link_assets.rejected import Rejection

SOURCE_NAME = "link_assets"
RETRIED_STATUSES = (429, 500, 502, 503, 504)
"""The guide's list; every other failing status fails at once."""

CONNECT_SECONDS = 5
"""How long an API may take to be reached at all."""

TAGS_TABLE = f"{LINKS.name}__{LINK_TAGS}"
TAGS_COLUMNS: list[TColumnSchema] = [
    {"name": "value", "data_type": "text"},
    {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
    {"name": "_dlt_root_id", "data_type": "text", "nullable": False, "root_key": True},
    {"name": "_dlt_parent_id", "data_type": "text", "nullable": False, "parent_key": True},
    {"name": "_dlt_list_idx", "data_type": "bigint", "nullable": False},
]
"""The child table as dlt makes it, declared so that it is there before the first tag is."""

BATCH_ROWS = 6_000
"""Rows of clicks that are read and handed to dlt at once, to the page."""
_READERS = ThreadPoolExecutor(os.cpu_count(), "reader")

UNSET_API = ApiSettings(base_url="http://api.invalid", api_key="unset")
"""Stands where a source must be described before its settings may be read."""


def links_source(settings: ApiSettings, progress: Progress | None = None) -> DltSource:
    """Every link the API lists, merged on `id`, with the child table `links__tags`.

    Extraction raises paging.ApiError if an answer is not a valid page.
    """
    progress = progress or Progress()
    paginator = PageTokenPaginator("links", progress)
    resource = _endpoint(LINKS, "/v1/links", "links", paginator, settings)
    source = _source(settings, LINKS, resource)
    personal = PersonalData(settings.personal, settings.hash_salt)
    source.resources[LINKS.name].add_step(LinkPages(personal, progress))
    source.schema.update_table(new_table(TAGS_TABLE, LINKS.name, columns=TAGS_COLUMNS))
    return source


def clicks_source(
    settings: ApiSettings,
    domain_id: int,
    progress: Progress | None = None,
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
    paging.ApiError if an answer is not a valid page.
    """
    progress = progress or Progress()
    traversal = Traversal(settings, progress, restart)
    what = f"clicks of domain {domain_id}"
    paginator = PageTokenPaginator(what, progress, traversal.begin)
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
    session.proxies, session.verify = dict(given["proxies"]), given["verify"]
    session.trust_env = False
    return session


def _endpoint(
    table: Table, path: str, selector: str, paginator: PageTokenPaginator, settings: ApiSettings
) -> EndpointResource:
    size = {settings.page_size_param: settings.page_size} if settings.page_size else {}
    return {
        "name": table.name,
        "primary_key": list(table.primary_key),
        "endpoint": {
            "path": path,
            "params": cast(dict[str, Any], size),
            # compiled once, not for every page
            "data_selector": compile_path(selector),
            "paginator": paginator,
            "response_actions": [page_check(paginator, selector)],
        },
    }


class PageStep(ItemTransform):
    """A step that gets whole pages where dlt's own steps get rows.

    It does all its work as it is called: what it returns is taken up by dlt in its own time, which
    may be after the next page has come.
    """

    def __init__(self) -> None:
        super().__init__(lambda page: page)


class LinkPages(PageStep):
    """Turns pages of links into typed rows, and those that cannot be into rejected rows."""

    def __init__(self, personal: PersonalData, progress: Progress) -> None:
        super().__init__()
        self.personal = personal
        self.progress = progress

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        from link_assets.link_rows import link_id, link_row
        from link_assets.rejected import Rejection

        rows = self.personal.treat(read_rows(item), LINKS)
        read = [link_row(row) for row in rows]
        rejections = [row for row in read if isinstance(row, Rejection)]
        unread = (row for row, link in zip(rows, read, strict=True) if isinstance(link, Rejection))
        self.progress.unread_links += map(link_id, unread)
        self.progress.count(len(item))
        self.progress.rejected += len(rejections)
        links = [row for row in read if not isinstance(row, Rejection)]
        items = rejected_rows(LINKS.name, None, rejections)
        return iter([*items, links or dlt.mark.materialize_table_schema()])


class ClickPages(PageStep):
    """Turns pages of clicks into Arrow tables and notes how far the traversal has come.

    Many pages are read at once, while the next ones are fetched, and handed on, no click twice.
    """

    def __init__(self, domain_id: int, traversal: Traversal) -> None:
        super().__init__()
        self.domain_id = domain_id
        self.traversal = traversal
        self.pages: list[list[Row]] = []
        self.reading: Future[list[ClickBatch]] | None = None
        self.seen: set[str] = set()

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        page = cast("PageData[Row]", item)
        self.pages.append([*page])
        ended = self.traversal.passed(page)
        items: list[Any] = []
        if ended or sum(map(len, self.pages)) >= BATCH_ROWS:
            items += self._take()
            self.reading = _READERS.submit(self.reader.read, self.pages)
            self.pages = []
        if ended:
            items += self._take()
            self.seen.clear()  # the next chunk is fetched while this one's source is still there
        if self.traversal.progress.finished:
            self.traversal.finish()
        return iter(items)

    @cached_property
    def reader(self) -> ClickReader:
        from link_assets.click_reader import ClickReader

        return ClickReader(self.domain_id, self.traversal.personal)

    def _take(self) -> list[Any]:
        """What has been read meanwhile, if there was anything to read."""
        from link_assets.click_batches import click_span

        if self.reading is None:
            return []
        batches, self.reading = self.reading.result(), None
        items: list[Any] = []
        for batch in batches:
            self.traversal.saw(*click_span(batch.table), len(batch.rejections))
            items += rejected_rows(CLICKS.name, self.domain_id, batch.rejections)
        return [*items, _to_load([self._unseen(batch.table) for batch in batches])]

    def _unseen(self, table: pa.Table) -> pa.Table:
        """The table without clicks that came before: pages shift while they are read."""
        ids = table.column("click_id").to_pylist()
        new = set(ids) - self.seen
        self.seen |= new
        if len(new) == len(ids):
            return table
        # of each new one the first row: the set loses what it gives
        return table.filter([id in new and not new.discard(id) for id in ids])


def _to_load(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="default")
    # in its place for dlt to fill in, since dlt writes a file anew for columns out of order
    load_id = pa.field(C_DLT_LOAD_ID, pa.string(), nullable=False)
    return table.add_column(len(CLICKS.columns), load_id, pa.nulls(len(table), pa.string()))


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


def rejected_rows(
    resource: str, domain_id: int | None, rejections: list[Rejection]
) -> list[DataItemWithMeta]:
    """What a step returns so that rejected rows reach their table; nothing if there are none."""
    from link_assets.rejected import rejected_batch

    if not rejections:
        return []
    hints = dlt.mark.make_hints(
        table_name=REJECTED_ROWS.name,
        primary_key=list(REJECTED_ROWS.primary_key),
        write_disposition="merge",
    )
    batch = rejected_batch(resource, domain_id, rejections)
    return [dlt.mark.with_hints(batch, hints, create_table_variant=True)]
