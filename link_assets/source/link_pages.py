"""Pages of links become Arrow tables: links, their tags and spellings, and rejected rows.

A link that the warehouse has as it is listed is not handed to dlt: `LinksRead.known` says which
those are, `LinksRead.listed` which links the listing had, handed on or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

import dlt
from dlt.common.schema.typing import C_DLT_ID, TTableSchema

from link_assets.contract import LINK_SPELLINGS, LINK_TAGS, LINKS
from link_assets.rows.link_versions import LinkVersions, dlt_id
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_rows
from link_assets.source.dialects.base import Dialect, Endpoint
from link_assets.source.domains import DomainsOfLinks
from link_assets.source.links_read import KnownLink, LinksRead
from link_assets.source.load_ids import with_load_id
from link_assets.source.pages import page_of
from link_assets.source.paging import EndpointPaginator
from link_assets.source.transforms import (
    BATCH_BYTES,
    BATCH_ROWS,
    PageTransform,
    rejected_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from dlt.sources.helpers.rest_client.client import PageData

    from link_assets.rows.links_arrow import LinkBatch
    from link_assets.rows.rejected import Rejection

_Pages = Sequence[Sequence[RawRow | DamagedRow]]


class LinkPages(PageTransform):
    """Turns pages of links into tables, many pages of a listing at once.

    Each link gets its `_dlt_id` here, in ascending order, by which the merge knows the last
    version of a link that is listed twice (rest.LINK_ID).
    """

    def __init__(
        self,
        personal: PersonalData,
        dialect: Dialect,
        endpoint: Endpoint,
        read: LinksRead,
        domains: DomainsOfLinks | None = None,
    ) -> None:
        """Make the transform of a listing of links.

        Args:
            personal: What becomes of personal fields.
            dialect: The API.
            endpoint: The listing.
            read: Where to note what is read, and what is known.
            domains: Where to note the domains of the links, if the API lists none.
        """
        super().__init__()
        self._personal = personal
        self._dialect = dialect
        self._endpoint = endpoint
        self._read = read
        self._domains = domains
        treatments = {group: personal.identity(group) for group in personal.treatments}
        documented = dialect.documented_columns(LINKS)
        settings = dialect.settings
        self._circumstances = (settings.api_key, settings.api, documented, treatments)
        self._pages: list[list[RawRow | DamagedRow]] = []
        self._rows, self._bytes = 0, 0
        """How much JSON text the pages are that wait to be converted."""
        self._listing = token_hex(8)
        self._rows_before = 0
        self._handed_on: set[str] = set()
        """The ids of the links that were handed on, in any version."""

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        """Return what is ready to be loaded: nothing, or tables."""
        page = cast("PageData[RawRow]", item)
        if not page_of(page.response).is_refusal:
            self._read.stats.add_page(len(page))
        self._pages.append([*page])
        self._rows += len(page)
        self._bytes += sum(map(len, page))
        is_batch = self._rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES
        if cast(EndpointPaginator, page.paginator).has_next_page and not is_batch:
            return iter(())
        pages, self._pages, self._rows, self._bytes = self._pages, [], 0, 0
        return iter(self._tables(pages, self._endpoint.domain_of(str(page.response.request.url))))

    def _tables(self, pages: _Pages, domain: str | None) -> list[Any]:
        """Return the tables of pages of one listing: of all links, or of the domain's."""
        rows = [row for page in pages for row in page]
        versions = [*map(LinkVersions(*self._circumstances, domain).of, rows)]
        known = [*map(self._read.known.get, versions)]
        changed = self._changed(rows, known, domain)
        kept = {n: link for n, link in enumerate(known) if link and self._is_kept(link)}
        self._read.listed.update(changed.ids, (id_ for _, id_, _ in kept.values()))
        if self._domains:
            self._note_domains(self._domains, rows, kept, changed)
        ids = [self._dlt_id(number, versions[number]) for number in changed.accepted]
        self._rows_before += len(rows)
        return [*self._to_load(changed.batch.table, ids), *self._rejected(pages, changed)]

    def _dlt_id(self, number: int, version: str) -> str:
        return dlt_id(self._listing, self._rows_before + number, version)

    def _changed(
        self, rows: Sequence[Any], known: Sequence[KnownLink | None], domain: str | None
    ) -> _Links:
        """Return the links that the warehouse does not have as they are.

        A link that is listed in another version and then as it is known is not known any more.
        """
        changed, numbers = self._links(rows, [], domain), list[int]()
        while numbers != (new := [n for n, k in enumerate(known) if not (k and self._is_kept(k))]):
            changed, numbers = self._links(rows, new, domain), new
            self._handed_on.update(changed.ids)
        return changed

    def _is_kept(self, known: KnownLink) -> bool:
        return known[1] not in self._handed_on

    def _links(self, rows: Sequence[Any], numbers: list[int], domain: str | None) -> _Links:
        """Return the rows of these numbers, with the guide's fields, as a batch."""
        if not numbers:
            return self._nothing
        parsed = [
            self._dialect.link(row) if isinstance(row, dict) else row
            for row in self._personal.treat(parse_rows([rows[n] for n in numbers]), LINKS)
        ]
        if domain is not None:
            parsed = [_of_domain(domain, row) if isinstance(row, dict) else row for row in parsed]
        return _read_links(numbers, parsed)

    @cached_property
    def _nothing(self) -> _Links:
        return _read_links([], [])

    def _note_domains(
        self,
        domains: DomainsOfLinks,
        rows: Sequence[Any],
        kept: Mapping[int, KnownLink],
        changed: _Links,
    ) -> None:
        """Note the domains of the links in the order of the rows."""
        first: dict[int | None, int] = {}
        for number, (_, _, domain) in kept.items():
            first.setdefault(domain, number)
        others = [number for domain, number in first.items() if not domains.has(domain)]
        found = [*changed.hosts(), *self._links(rows, others, None).hosts()]
        for _, domain, *urls in sorted(found, key=lambda link: link[0]):
            domains.note(domain, urls)

    def _rejected(self, pages: _Pages, changed: _Links) -> Iterator[Any]:
        """Yield the rejected rows, a table for each page that has some, and count them."""
        from link_assets.rows.links import link_id
        from link_assets.rows.rejected_arrow import rejected_batch, row_ids

        self._read.unread += [link_id(changed.parsed[i]) for i in changed.batch.rejections]
        rejections, end = changed.rejections, 0
        for page in pages:
            start, end = end, end + len(page)
            of_page = [rejections[n] for n in range(start, end) if n in rejections]
            rejected = rejected_batch(LINKS.name, None, of_page)
            ids = row_ids(rejected)
            self._read.stats.add_rejected(len(ids), self._read.rejected.add(ids))
            yield from rejected_rows(rejected)

    def _to_load(self, table: pa.Table, ids: Sequence[str]) -> Iterator[Any]:
        """Yield the links and, where there are any, their tags and spellings.

        No rows at all, which dlt does not write, are there for the domains: dlt would put those
        that come with a child table, or with rejected rows, into the same table.
        """
        import pyarrow as pa

        from link_assets.rows.links_arrow import child_rows

        key = pa.field(C_DLT_ID, pa.string(), nullable=False)
        table = table.append_column(key, pa.array(ids, pa.string()))
        if ids:
            yield with_load_id(table.drop_columns([LINK_TAGS, LINK_SPELLINGS]))
        elif self._domains and self._domains.are_new:
            yield []
        for name in (LINK_TAGS, LINK_SPELLINGS):
            if len(rows := child_rows(table, name)):
                child = f"{LINKS.name}__{name}"
                _let_count(child)
                hints = dlt.mark.make_hints(child, LINKS.name, primary_key=())
                yield dlt.mark.with_hints(rows, hints, create_table_variant=True)


@dataclass(frozen=True)
class _Links:
    """Rows of some pages: their numbers among all rows, what they say, and what became of them."""

    numbers: list[int]
    parsed: list[Any]
    batch: LinkBatch

    @property
    def ids(self) -> list[str]:
        """Return the ids of the accepted links."""
        return self.batch.table.column("id").to_pylist()

    @property
    def accepted(self) -> list[int]:
        """Return the numbers of the accepted links."""
        return [self.numbers[i] for i in self.batch.accepted]

    @property
    def rejections(self) -> dict[int, Rejection]:
        """Return the rejections by number."""
        return {self.numbers[i]: rejection for i, rejection in self.batch.rejections.items()}

    def hosts(self) -> Iterator[tuple[int, int | None, str | None, str | None]]:
        """Yield the number of each accepted link, its domain and the URLs that have its host."""
        columns = ("domain_id", "short_url", "secure_short_url")
        return zip(self.accepted, *(self.batch.table[c].to_pylist() for c in columns), strict=True)


def _read_links(numbers: list[int], parsed: list[Any]) -> _Links:
    from link_assets.rows.links_arrow import link_batch

    return _Links(numbers, parsed, link_batch(parsed))


class _OfLinks(dict[str, Any]):
    """What dlt knows of a child table, which says that it is of the resource of links.

    It is there for whoever asks by index, as dlt's extraction does when it counts rows, and in
    nothing that dlt stores or merges, where a nested table must not have it.
    """

    def __missing__(self, key: str) -> str:
        if key == "resource":
            return LINKS.name
        raise KeyError(key)


def _let_count(child: str) -> None:
    """Have dlt count the rows of a child table that it is handed, which it usually makes itself."""
    tables = dlt.current.source_schema().tables
    if known := tables.get(child):  # where there is no load, nothing is known of it
        tables[child] = cast(TTableSchema, _OfLinks(known))


def _of_domain(domain: str, link: dict[str, Any]) -> dict[str, Any]:
    return link if link.get("DomainId") is not None else {**link, "DomainId": domain}
