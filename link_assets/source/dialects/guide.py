"""The API of the guide: everything that is particular to it, and nothing else.

Links come from `/v1/links`, the clicks of a domain from `/v1/domain/{id}/link_clicks`, both by GET.
A page leads on through `nextPageToken`, which goes back as `pageToken`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from link_assets.contract import CLICK_FACTS
from link_assets.settings import ApiSettings
from link_assets.source.dialects.base import Dialect, Endpoint, Page, Position
from link_assets.source.times import utc_text

LINK_IDS = ("id", "idString")
TOKEN_KEY = "nextPageToken"
TOKEN_PARAMETER = "pageToken"
TOKEN_REFUSED = frozenset({400, 404, 410, 422})


class GuideEndpoint(Endpoint):
    """A listing that is paged by tokens."""

    def next_position(self, page: Page) -> Position | None:
        """Return the token that came with the page."""
        return page.token

    def parameters_at(self, position: Position) -> Mapping[str, Any]:
        """Return the token as the guide wants it back."""
        return {TOKEN_PARAMETER: position}


@dataclass(frozen=True)
class GuideClicks(GuideEndpoint):
    """The clicks of a domain, which some servers can cut off at a time: no part of the guide."""

    since_parameter: str | None = None

    def parameters_since(self, since: datetime) -> Mapping[str, Any]:
        """Return the time under the name that the settings give, if they do."""
        return {self.since_parameter: utc_text(since)} if self.since_parameter else {}


class GuideDialect(Dialect):
    """The guide's API. It lists no domains: they are those of the links."""

    def auth(self) -> Mapping[str, Any]:
        """Return the key as it is, in the header Authorization."""
        return {
            "type": "api_key",
            "name": "Authorization",
            "api_key": self.settings.api_key,
            "location": "header",
        }

    def links(self) -> Endpoint:
        """Return the listing of the links of all domains."""
        return GuideEndpoint(
            what="links",
            path="/v1/links",
            rows_key="links",
            identity=LINK_IDS,
            **_paging(self.settings),
        )

    def clicks(self, domain_id: int) -> Endpoint:
        """Return the listing of a domain's clicks."""
        return GuideClicks(
            what=f"clicks of domain {domain_id}",
            path=f"/v1/domain/{domain_id}/link_clicks",
            rows_key="data",
            identity=CLICK_FACTS,
            since_parameter=self.settings.clicks_since_param,
            newest_first=self.settings.clicks_order == "newest_first",
            **_paging(self.settings),
        )


def _paging(settings: ApiSettings) -> dict[str, Any]:
    size = {settings.page_size_param: settings.page_size} if settings.page_size else {}
    return {
        "token_key": TOKEN_KEY,
        "parameters": size,
        "statuses_refusing_position": TOKEN_REFUSED,
    }
