"""What an API has to say about itself so that its links and clicks can be loaded.

A dialect is one API, an endpoint one of its listings. Both only describe: retries, resuming,
rejected rows, chunks and limits are the same for every API and are written elsewhere in `source`.
A new API is one module beside this one and one line in `dialects/configured.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from requests import Response

from link_assets.contract import Table
from link_assets.rows.column_names import column_names
from link_assets.rows.raw_json import DamagedRow, RawRow
from link_assets.settings import ApiSettings

Position = str
"""Where a listing goes on, as text that can be kept: a token, a date, or what else an API takes."""

DOMAIN = "{domain}"
"""Stands in a path for a domain's id."""


class PagingError(ValueError):
    """A listing cannot be followed any further; the message says why and what to do."""


class LostPosition(PagingError):
    """A page does not go on where the one before ended; to a kept position it is of no use then."""


@dataclass(frozen=True)
class Page:
    """One page of an answer.

    `token` is the API's own of the next page, if it sent one, and `position` where this page began,
    None for the first. `is_refusal` says that the API refused the request and the endpoint goes on
    all the same.
    """

    rows: Sequence[RawRow | DamagedRow]
    token: str | None
    position: Position | None = None
    is_refusal: bool = False


@dataclass(frozen=True)
class Endpoint(ABC):
    """A listing that an API gives page by page.

    `what` names it in messages. `path` is a path of the API or a whole URL. `rows_key` is the key
    of the rows in an answer, None if the answer is the list itself; `token_key` that of the next
    page's token, None if the API has no tokens. Rows that agree in the fields `identity` are
    versions of the same thing. `parameters` go with every request: in the query of a GET, in the
    JSON body of a POST. An answer with one of `statuses_refusing_position` to a kept position means
    that the API no longer knows it.

    `newest_first` means that a read may end as soon as it comes to clicks that are known. A listing
    of one domain has its id under the name `domain_parameter`, or has `DOMAIN` in its path. A
    status of `statuses_of_none` means that there is no such listing, and no row.
    """

    what: str
    path: str
    rows_key: str | None
    identity: tuple[str, ...]
    token_key: str | None = None
    method: Literal["GET", "POST"] = "GET"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    statuses_refusing_position: frozenset[int] = frozenset()
    newest_first: bool = False
    domain_parameter: str | None = None
    statuses_of_none: frozenset[int] = frozenset()

    @abstractmethod
    def next_position(self, page: Page) -> Position | None:
        """Return where the listing goes on after a page; None after the last one.

        Raises:
            PagingError: There is no telling where. What came so far is loaded all the same.
        """

    @abstractmethod
    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the parameters that ask for the page at a position.

        They are added to those of the request before: leave none out that a later position changes.
        """

    def fresh_parameters(self) -> Mapping[str, Any]:
        """Return parameters that are worked out anew for each request; or none."""
        return {}

    def advice(self, status: int, position: Position | None) -> str:
        """Return what to do about a failing status where that is particular to this API, or ""."""
        return ""

    def is_refusal(self, status: int, position: Position | None) -> bool:
        """Return whether a failing status stands for a page without rows, marked as a refusal."""
        return False

    def is_past(self, first: datetime, last: datetime, since: datetime) -> bool:
        """Return whether nothing from `since` on can follow a page of a `newest_first` listing.

        Args:
            first: The time of the oldest click of the page (UTC).
            last: That of the newest one.
            since: The time from which on clicks are wanted.
        """
        return last < since

    def what_of(self, response: Response, hosts: Mapping[str, str]) -> str:
        """Return what the answer is of, as messages name it: with the domain, if it is of one.

        Its host is added where `hosts`, by id, have it.
        """
        domain = self.domain_of(str(response.request.url))
        if not domain:
            return self.what
        host = f" ({hosts[domain]})" if domain in hosts else ""
        return f"{self.what} of domain {domain}{host}"

    def domain_of(self, url: str) -> str | None:
        """Return the domain's id in the URL of a request; None if it has none."""
        parts = urlsplit(url)
        before, found, after = self.path.partition(DOMAIN)
        if found:
            return parts.path.rpartition(before)[2].removesuffix(after)
        return next(iter(parse_qs(parts.query).get(self.domain_parameter or "", ())), None)

    def parameters_since(self, since: datetime) -> Mapping[str, Any]:
        """Return the parameters that leave out rows before `since` (UTC); or none."""
        return {}


@dataclass(frozen=True)
class DailyCounts(ABC):
    """A request for how many clicks by people a domain had on each day (UTC).

    `what` names it in messages, `path` is a path of the API or a whole URL, and `parameters` are
    its JSON body. One request brings all days.
    """

    what: str
    path: str
    parameters: Mapping[str, Any]

    @abstractmethod
    def by_day(self, answer: Any) -> Mapping[date, int]:
        """Return the counts of an answer, parsed from JSON; days without clicks may be left out.

        Raises:
            ValueError: It has no counts; the message says what it has.
        """


class Dialect(ABC):
    """One API: how requests are signed, and which endpoint gives what.

    `documented` are the fields of each table that the API documents beyond the contract: text
    columns, which are there from the first load on. `absent` are the columns that it never fills
    although the guide calls them required.
    """

    documented: Mapping[str, frozenset[str]] = MappingProxyType({})
    absent: frozenset[str] = frozenset()

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings

    @classmethod
    def documented_columns(cls, table: Table) -> list[str]:
        """Return the columns of the fields that the API documents beyond the contract."""
        return sorted(column_names(cls.documented.get(table.name, ()), table).values())

    @abstractmethod
    def auth(self) -> Mapping[str, Any]:
        """Return the authentication as dlt's REST client takes it."""

    def domains(self) -> Endpoint | None:
        """Return the listing of all domains; None if the API has none, and links tell them."""
        return None

    @abstractmethod
    def links(self) -> Endpoint:
        """Return the listing of all links, or of one domain's (`domain_parameter`)."""

    @abstractmethod
    def clicks(self, domain_id: int) -> Endpoint:
        """Return the listing of a domain's clicks."""

    def folders(self) -> Endpoint | None:
        """Return the listing of one domain's folders; None if the API has none."""
        return None

    def daily_people(self, domain_id: int, first: date, last: date) -> DailyCounts | None:
        """Return the request for a domain's clicks by people on each day from `first` to `last`.

        None if the API counts none: then there is nothing to compare the warehouse with.
        """
        return None

    def link(self, link: dict[str, Any]) -> dict[str, Any]:
        """Return a link, parsed and with personal data treated, with the guide's fields."""
        return link
