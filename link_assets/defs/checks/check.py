"""What a check is, what it found, and what to do about it."""

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
    def not_judged(reason: str) -> "CheckResult":
        """That nothing could be found out, and why."""
        return CheckResult(f"Not judged: {reason}", metadata={NOT_JUDGED: reason}, judged=False)

    def adding(
        self, looked_at: str = "", metadata: Mapping[str, Any] = MappingProxyType({})
    ) -> "CheckResult":
        """The same, saying more of what was looked at."""
        return replace(
            self,
            looked_at=f"{self.looked_at} {looked_at}".strip(),
            metadata={**self.metadata, **metadata},
        )

    def result(self, key: dg.AssetCheckKey, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
        """The finding as a check's step yields it."""
        return dg.AssetCheckResult(
            asset_key=key.asset_key, check_name=key.name, **self._result(severity)
        )

    def evaluation(
        self, key: dg.AssetCheckKey, severity: dg.AssetCheckSeverity
    ) -> dg.AssetCheckEvaluation:
        """The finding as any other step records it."""
        return dg.AssetCheckEvaluation(
            asset_key=key.asset_key, check_name=key.name, **self._result(severity)
        )

    def _result(self, severity: dg.AssetCheckSeverity) -> dict[str, Any]:
        """Passed if there is no problem; what could not be judged is no error that was found.

        A run's log shows metadata and no description, so what was found is among them.
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
    """A check of a table, which finds something in what it is given."""

    name: str
    description: str
    find: Callable[Given, CheckResult]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def listed(things: Sequence[str], separator: str = ", ") -> str:
    """The things as a message lists them: the first ones, and how many more there are."""
    more = len(things) - NAMED
    named = separator.join(things[:NAMED])
    return f"{named}{separator}and {more} more" if more > 0 else named


def counted(number: int, thing: str) -> str:
    """The number and the thing, in the plural where it needs one."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def checked_in_tables(find: Callable[[], CheckResult], table: str) -> CheckResult:
    """What is found; or that `table`, or another that is read, is missing."""
    try:
        return find()
    except DatabaseUndefinedRelation:
        return no_table(table)


def no_table(table: str) -> CheckResult:
    """Say that `table`, or another that is read, is missing."""
    return CheckResult(
        f"The table {table} or one it is compared with does not exist yet.",
        "Materialize link_assets/links, then link_assets/clicks.",
    )
