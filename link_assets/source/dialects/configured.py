"""The choice of the API. This is the only place that knows which APIs there are."""

from __future__ import annotations

from link_assets.settings import ApiSettings
from link_assets.source.dialects.base import Dialect
from link_assets.source.dialects.guide import GuideDialect

DEFAULT = "guide"
DIALECTS: dict[str, type[Dialect]] = {"guide": GuideDialect}


def dialect_type() -> type[Dialect]:
    """Return the kind of API that is read."""
    return DIALECTS[DEFAULT]


def configured_dialect(settings: ApiSettings) -> Dialect:
    """Return the API that is read, with its settings."""
    return dialect_type()(settings)
