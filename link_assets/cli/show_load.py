"""What `link-assets load` and `demo` print when all runs have ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from rich.console import Console
from rich.markup import escape

from link_assets.cli.run_job import JobRun
from link_assets.cli.tables import cut, loads_table, print_findings, shown
from link_assets.defs.checks.check import counted, is_failure
from link_assets.defs.domain_names import DomainNames

NUMBERS = {"new": "rows_new", "again": "rows_already_there", "rejected": "rejected_rows"}
"""The columns of numbers, and what a materialization calls them."""
DAYS = "days_computed"
"""What a materialization has that was computed in the warehouse, and not loaded."""
COMPUTED = {"days": DAYS, "rows": "rows_total"}
"""The columns of such a one: the days that had changed, and all rows that there are now."""


def print_failures(console: Console, runs: Sequence[JobRun]) -> None:
    """Print why runs failed, the cause first."""
    for run in runs:
        if run.succeeded or run.was_stopped:
            continue
        what = f"{escape(run.what)}, run {run.run.run_id[:8]}"
        console.print(f"\n[red]Failed:[/] {what}", highlight=False)
        for failure in [*run.failures] or ["Dagster's log of the run says why."]:
            console.print(escape(failure), highlight=False, soft_wrap=not console.is_terminal)


def print_loads(console: Console, runs: Sequence[JobRun]) -> None:
    """Print what each table or domain got, and how many got nothing new."""
    loads = loads_table("\nLoaded", ("table", "domain"), [*NUMBERS])
    computed = loads_table("\nDays computed", ("table", "domain"), [*COMPUTED])
    quiet: Counter[str] = Counter()
    for made in sorted((m for run in runs for m in run.materializations), key=_domain):
        name, values = made.asset_key.path[-1], _values(made)
        table, columns = (computed, COMPUTED) if DAYS in values else (loads, NUMBERS)
        if made.partition and not any(map(values.get, ("rows_new", "rejected_rows", DAYS))):
            quiet[f"{'No day changed' if DAYS in values else 'Nothing new'}: {name}"] += 1
            continue
        domain = _named(made.partition, values) if made.partition else ""
        numbers = (shown(values.get(number)) for number in columns.values())
        table.add_row(name, cut(domain), *numbers)
    for table in (loads, computed):
        if table.row_count:
            console.print(table)
    for what, domains in quiet.items():
        console.print(f"{what} of {counted(domains, 'domain')}.", highlight=False)


def days_computed(run: JobRun) -> int:
    """Return how many days a run computed, of all its domains together."""
    return sum(_values(made).get(DAYS, 0) for made in run.materializations)


def print_checks(console: Console, runs: Sequence[JobRun]) -> None:
    """Print what the checks that failed or warned found, and how many passed."""
    last: dict[dg.AssetCheckKey, dg.AssetCheckEvaluation] = {}
    for evaluation in (e for run in runs for e in run.evaluations):
        before = last.get(evaluation.asset_check_key)
        if not (before and evaluation.passed and not before.passed):
            last[evaluation.asset_check_key] = evaluation
    bad = [evaluation for _, evaluation in sorted(last.items()) if not evaluation.passed]
    print_findings(console, [*map(_finding, bad)])
    if last:
        console.print(f"{counted(len(last) - len(bad), 'check')} passed.", highlight=False)


def _finding(evaluation: dg.AssetCheckEvaluation) -> tuple[str, str, str]:
    """Return a check's name, how it ended and what it found."""
    name = f"{evaluation.asset_key.path[-1]}: {evaluation.check_name}"
    ended = "[red]failed[/]" if is_failure(evaluation) else "[yellow]warning[/]"
    return name, ended, evaluation.description or ""


def _domain(made: dg.AssetMaterialization) -> int:
    """Return the domain, by which rows are in order; domains side by side end in any."""
    return int(made.partition) if made.partition and made.partition.isdigit() else -1


def _named(domain: str, values: Mapping[str, Any]) -> str:
    """Return a domain's name with the host that its load had read, which costs no waiting."""
    return DomainNames({domain: values["host"]} if "host" in values else {}).of(domain)


def _values(materialization: dg.AssetMaterialization) -> Mapping[str, Any]:
    return {name: value.value for name, value in materialization.metadata.items()}
