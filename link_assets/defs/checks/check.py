"""What a check is and what it finds, and the few words in which checks say it.

Every module of checks uses these; `table_checks` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, ParamSpec

import dagster as dg
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.defs.checks.scope import NOT_JUDGED

Given = ParamSpec("Given")
FINDING = "finding"
"""The metadata of a check that fails that says why, and what to do."""
NAMED = 10
"""How many domains, or other things that have a problem, a description names."""
REMEMBERED = 100
"""How many domains that have a problem the metadata names."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found: a problem and what to do about it, if any, and what it looked at."""

    problem: str = ""
    remedy: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    looked_at: str = ""
    domains: Sequence[str] = ()
    """Those that have the problem, where the check judges domains."""
    judged: bool = True

    @staticmethod
    def not_judged(reason: str) -> CheckResult:
        """Return the result of a check that could not find anything out, with the reason."""
        return CheckResult(f"Not judged: {reason}", metadata={NOT_JUDGED: reason}, judged=False)

    def adding(
        self, looked_at: str = "", metadata: Mapping[str, Any] = MappingProxyType({})
    ) -> CheckResult:
        """Return the same result with more about what was looked at."""
        return replace(
            self,
            looked_at=f"{self.looked_at} {looked_at}".strip(),
            metadata={**self.metadata, **metadata},
        )

    def result(self, key: dg.AssetCheckKey, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
        """Return the result as a check's own step yields it."""
        return dg.AssetCheckResult(
            asset_key=key.asset_key, check_name=key.name, **self._shown(severity)
        )

    def evaluation(
        self, key: dg.AssetCheckKey, severity: dg.AssetCheckSeverity
    ) -> dg.AssetCheckEvaluation:
        """Return the result as any other step records it."""
        return dg.AssetCheckEvaluation(
            asset_key=key.asset_key, check_name=key.name, **self._shown(severity)
        )

    def _shown(self, severity: dg.AssetCheckSeverity) -> dict[str, Any]:
        """Return what Dagster shows; a check that could not judge warns and is no error.

        A run's log shows metadata and no description, so the finding is among the metadata.
        """
        finding = f"{self.problem} {self.remedy}".strip()
        shown = {FINDING: finding} if finding and self.judged else {}
        return {
            "passed": not self.problem,
            "severity": severity if self.judged else dg.AssetCheckSeverity.WARN,
            "description": f"{finding} {self.looked_at}".strip() or "Nothing wrong.",
            "metadata": {**shown, **self.metadata},
        }


@dataclass(frozen=True)
class Check(Generic[Given]):
    """A check of a table: its name, what it promises, and the function that judges.

    What the function is given depends on the kind of check: LoadsCheck and LoadedRowsCheck in
    `last_loads`, RowsCheck in `judged_rows`.
    """

    name: str
    description: str
    find: Callable[Given, CheckResult]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def is_failure(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Return whether a check found an error; one that only warns did not."""
    return not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR


def judged_domains(judged: int, others: Mapping[str, int]) -> str:
    """Return how many domains a check judged, and by the reason how many it could not."""
    parts = [f"{counted(judged, 'domain')} judged" if judged else "No domain could be judged"]
    parts += [f"{number} {reason}" for reason, number in others.items() if number]
    return "; ".join(parts) + "."


def listed(things: Sequence[str], separator: str = ", ") -> str:
    """Return the first things as a message lists them, and how many more there are."""
    more = len(things) - NAMED
    named = separator.join(things[:NAMED])
    return f"{named}{separator}and {more} more" if more > 0 else named


def counted(number: int, thing: str) -> str:
    """Return the number and the thing, in the plural where it needs one."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def found_in_tables(find: Callable[[], CheckResult], table: str) -> CheckResult:
    """Return what is found; or that `table`, or another that is read, is missing."""
    try:
        return find()
    except DatabaseUndefinedRelation:
        return no_table(table)


def no_table(table: str) -> CheckResult:
    """Return the result that `table`, or another that is read, is missing."""
    return CheckResult(
        f"The table {table} or one it is compared with does not exist yet.",
        "Materialize link_assets/links, then link_assets/clicks and link_assets/daily_clicks.",
    )
