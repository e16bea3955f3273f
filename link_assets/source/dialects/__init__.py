"""The APIs that can be read, each in a module of its own."""

from __future__ import annotations

from link_assets.settings import ApiSettings
from link_assets.source.dialects.base import Dialect
from link_assets.source.dialects.guide import GuideDialect


def dialect_type() -> type[Dialect]:
    """Return the kind of API that is read."""
    return GuideDialect


def configured_dialect(settings: ApiSettings) -> Dialect:
    """Return the API that is read, with its settings."""
    return dialect_type()(settings)
