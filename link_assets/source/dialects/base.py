"""What an API has to say about itself so that its links and clicks can be loaded.

A dialect is one API, an endpoint one of its listings. Both only describe: retries, resuming,
rejected rows, chunks and limits are the same for every API and are written elsewhere in `source`.
A new API is one module beside this one and one line in `dialects/configured.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from link_assets.rows.raw_json import DamagedRow, RawRow
from link_assets.settings import ApiSettings

Position = str
"""Where a listing goes on, as text that can be kept: a token, a date, or what else an API takes."""


@dataclass(frozen=True)
class Page:
    """One page of an answer: its rows, and the API's own token of the next page if it sent one."""

    rows: Sequence[RawRow | DamagedRow]
    token: str | None


@dataclass(frozen=True)
class Endpoint(ABC):
    """A listing that an API gives page by page.

    `what` names it in messages. `rows_key` is the key of the rows in an answer, None if the answer
    is the list itself; `token_key` that of the next page's token, None if the API has no tokens.
    Rows that agree in the fields `identity` are versions of the same thing. `parameters` go with
    every request: in the query of a GET, in the JSON body of a POST. An answer with one of
    `statuses_refusing_position` to a kept position means that the API no longer knows it.
    """

    what: str
    path: str
    rows_key: str | None
    identity: tuple[str, ...]
    token_key: str | None = None
    method: Literal["GET", "POST"] = "GET"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    statuses_refusing_position: frozenset[int] = frozenset()

    @abstractmethod
    def next_position(self, page: Page) -> Position | None:
        """Return where the listing goes on after a page; None after the last one."""

    @abstractmethod
    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the parameters that ask for the page at a position.

        They are added to those of the request before: leave none out that a later position changes.
        """

    def parameters_since(self, since: datetime) -> Mapping[str, Any]:
        """Return the parameters that leave out rows before `since` (UTC); or none."""
        return {}


class Dialect(ABC):
    """One API: how requests are signed, and which endpoint gives what.

    `domains_column` is the table and column in which the ids of all domains are found once the
    links are loaded.
    """

    domains_column: tuple[str, str]

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings

    @abstractmethod
    def auth(self) -> Mapping[str, Any]:
        """Return the authentication as dlt's REST client takes it."""

    @abstractmethod
    def links(self) -> Endpoint:
        """Return the listing of all links."""

    @abstractmethod
    def clicks(self, domain_id: int) -> Endpoint:
        """Return the listing of a domain's clicks."""
