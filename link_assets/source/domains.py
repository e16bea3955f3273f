"""Domains and folders as rows of their tables, from the API's own listings or from its links.

`rest` puts these steps into its source. A domain that the API lists is a row, and the listing of
its links is asked for by its id; where the API lists none, links tell the domains that have some.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import dlt

from link_assets.contract import DOMAINS, FOLDERS
from link_assets.rows.convert import UnreadableValue, convert_value
from link_assets.rows.flat import flat_row
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_rows
from link_assets.rows.rejected import Rejection
from link_assets.source.dialects.base import Endpoint
from link_assets.source.links_read import LinksRead
from link_assets.source.refusals import shown
from link_assets.source.transforms import PageTransform, rejected_rows

if TYPE_CHECKING:
    from dlt.sources.helpers.rest_client.client import PageData

ID, ROW = "id", "row"
"""The keys of a listed domain: its id, and all that the API says of it."""
HOSTS = ("unicodeHostname", "hostname")
"""The fields of a listed domain that have its host, the readable one first."""


class ListedDomains(PageTransform):
    """Turns pages of domains into listed domains, `{"id": ..., "row": ...}`."""

    def __init__(self, personal: PersonalData, read: LinksRead) -> None:
        super().__init__()
        self._personal = personal
        self._read = read

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        """Return the domains of a page that have an id; keep the others in the read."""
        rows = self._personal.treat(parse_rows(item), DOMAINS)
        self._read.domains.add_page(len(rows))
        domains = [{ID: _id_of(row), ROW: row} for row in rows]
        without_id = [domain[ROW] for domain in domains if domain[ID] is None]
        self._read.without_id += without_id
        self._read.unread += [None] * len(without_id)
        named = {str(domain[ID]): _host_of(domain[ROW]) for domain in domains}
        self._read.hosts.update({id_: host for id_, host in named.items() if host})
        return iter([[domain for domain in domains if domain[ID] is not None]])


class DomainRows:
    """Turns listed domains into typed rows, and those that cannot be loaded into rejected rows."""

    def __init__(self, read: LinksRead) -> None:
        self._read = read

    def of_page(self, domains: list[dict[str, Any]]) -> Iterator[Any]:
        """Yield the rows of a page."""
        listed = [*self._read.without_id, *(domain[ROW] for domain in domains)]
        self._read.without_id.clear()
        rows = [flat_row(row, DOMAINS) for row in listed]
        rejections = [row for row in rows if isinstance(row, Rejection)]
        self._read.domains.add_rejected(len(rejections), len(rejections))
        yield from _rejected(DOMAINS.name, None, rejections)
        accepted = [row for row in rows if not isinstance(row, Rejection)]
        yield accepted or dlt.mark.materialize_table_schema()


class DomainsOfLinks:
    """Collects the domains that links belong to: each one once, with the host of its first link."""

    def __init__(self, read: LinksRead) -> None:
        self._read = read
        self._noted: set[int] = set()
        self._rows: list[dict[str, Any]] = []

    def has(self, domain: int | None) -> bool:
        """Return whether the domain is noted, or is none."""
        return domain is None or domain < 0 or domain in self._noted

    def note(self, domain: int | None, urls: Iterable[str | None]) -> None:
        """Note the domain of a link, and the host in the first of its URLs that has one."""
        if domain is None or self.has(domain):
            return
        self._noted.add(domain)
        host = next(filter(None, map(_host, urls)), None)
        self._rows.append({"id": domain, "hostname": host})

    @property
    def are_new(self) -> bool:
        """Return whether domains were noted since `of_page` was called last."""
        return bool(self._rows)

    def of_page(self, _: Any) -> Iterator[Any]:
        """Yield the domains that were noted since this was called last."""
        rows, self._rows = self._rows, []
        self._read.domains.add_page(len(rows))
        yield rows or dlt.mark.materialize_table_schema()


class FolderPages(PageTransform):
    """Turns pages of folders into typed rows, and those that cannot be loaded into rejections."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def __call__(self, item: Any, meta: Any = None) -> Iterator[Any]:
        """Return a page's folders and rejected rows; the request says the domain if they do not."""
        page = cast("PageData[RawRow]", item)
        domain = self._endpoint.domain_of(str(page.response.request.url))
        rows = [
            flat_row({"DomainId": domain} | row if isinstance(row, dict) else row, FOLDERS)
            for row in parse_rows(page)
        ]
        rejections = [row for row in rows if isinstance(row, Rejection)]
        accepted = [row for row in rows if not isinstance(row, Rejection)]
        rejected = _rejected(FOLDERS.name, int(domain or 0), rejections)
        return iter([*rejected, accepted or dlt.mark.materialize_table_schema()])


def _rejected(table: str, domain_id: int | None, rejections: Sequence[Rejection]) -> list[Any]:
    from link_assets.rows.rejected_arrow import rejected_batch

    return rejected_rows(rejected_batch(table, domain_id, rejections))


def _id_of(row: Any) -> int | None:
    """Return the domain's id if it can be read, even if the rest of its row cannot."""
    said = row.value if isinstance(row, DamagedRow) else row
    with suppress(UnreadableValue, AttributeError):
        number = convert_value(said.get(ID), "bigint")
        return number if isinstance(number, int) and number >= 0 else None
    return None


def _host_of(row: Any) -> str:
    """Return the domain's host as people read it, in one short line; empty if there is none."""
    said = row.value if isinstance(row, DamagedRow) else row
    names = (said.get(name) for name in HOSTS) if isinstance(said, dict) else ()
    return next((shown(name, ()) for name in names if name and isinstance(name, str)), "")


def _host(url: str | None) -> str | None:
    with suppress(ValueError):
        return urlsplit(url or "").hostname
    return None
