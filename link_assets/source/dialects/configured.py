"""The choice of the API. This is the only place that knows which APIs there are."""

from __future__ import annotations

from link_assets.settings import ApiSettings, configured_api
from link_assets.source.dialects.base import Dialect
from link_assets.source.dialects.guide import GuideDialect
from link_assets.source.dialects.short_io import ShortIoDialect

DIALECTS: dict[str, type[Dialect]] = {"guide": GuideDialect, "short_io": ShortIoDialect}
"""By the names that the setting `api` takes (settings.Api)."""


def dialect_type() -> type[Dialect]:
    """Return the kind of API that is configured now; the guide's if that is unusable."""
    return DIALECTS.get(configured_api(), GuideDialect)


def configured_dialect(settings: ApiSettings) -> Dialect:
    """Return the API that is read, with its settings."""
    return DIALECTS[settings.api](settings)
