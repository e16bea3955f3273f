"""What a check is, what it found, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec

import dagster as dg
from dlt.destinations.exceptions import DatabaseUndefinedRelation

Given = ParamSpec("Given")


@dataclass(frozen=True)
class Finding:
    """What a check found: a problem and what to do about it, or nothing wrong."""

    problem: str = ""
    remedy: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def with_metadata(self, more: Mapping[str, Any]) -> "Finding":
        """The same with more metadata."""
        return replace(self, metadata={**self.metadata, **more})

    def result(self, key: dg.AssetCheckKey, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
        """The finding as Dagster records it; passed if there is no problem."""
        return dg.AssetCheckResult(
            passed=not self.problem,
            asset_key=key.asset_key,
            check_name=key.name,
            severity=severity,
            description=f"{self.problem} {self.remedy}".strip() or "Nothing wrong.",
            metadata=dict(self.metadata),
        )


@dataclass(frozen=True)
class Check(Generic[Given]):
    """A check of a table, which finds something in what it is given."""

    name: str
    description: str
    find: Callable[Given, Finding]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def found_in_tables(find: Callable[[], Finding], table: str) -> Finding:
    """What is found; or that `table`, or another that is read, is missing."""
    try:
        return find()
    except DatabaseUndefinedRelation:
        return Finding(
            f"The table {table} or one it is compared with does not exist yet.",
            "Materialize link_assets/links, then link_assets/clicks.",
        )
