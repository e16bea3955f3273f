"""What `link-assets demo` runs and shows.

Apart from the command itself, because importing this takes as long as importing Dagster and dlt.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from link_assets.contract import CLICKS
from link_assets.definitions import defs
from link_assets.defs.domain_names import names_in
from link_assets.defs.partitions import known_domains
from link_assets.defs.run_requests import clicks_requests
from link_assets.warehouse.destinations.configured import configured_warehouse
from link_assets.warehouse.reader import reading

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo() -> bool:
    """Load the links and every domain's clicks, run the checks, and print what came of it.

    Returns:
        Whether every run succeeded and no check failed; a warning is shown and does not count.
    """
    warnings.simplefilter("ignore")
    console = Console()
    columns = (_spinner(console), TextColumn("{task.description}"))
    with (
        dg.DagsterInstance.get() as instance,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        results = list(_run_everything(instance, progress))
    for result in results:
        _print_failures(console, result)
    if not all(result.success for result in results):
        return False
    evaluations = results[-1].get_asset_check_evaluations()
    console.print(_domains_table(), _checks_table(evaluations))
    _print_next_steps(console)
    return not any(_failed(evaluation) for evaluation in evaluations)


def _spinner(console: Console) -> SpinnerColumn:
    """Return a column that shows what runs and what is done, in characters that the output has."""
    if console.options.ascii_only:
        return SpinnerColumn("line", finished_text="+")
    return SpinnerColumn(finished_text="✓")


def _run_everything(
    instance: dg.DagsterInstance, progress: Progress
) -> Iterator[dg.ExecuteInProcessResult]:
    yield _run(instance, progress, "links_job", "links", dg.RunRequest())
    for request in clicks_requests(instance, set(known_domains(instance))):
        span = [*request.tags.values()] or [request.partition_key]
        what = f"clicks of domains {' to '.join(map(str, span))}"
        yield _run(instance, progress, "clicks_job", what, request)
    yield _run(instance, progress, "checks_job", "checks", dg.RunRequest())


def _run(
    instance: dg.DagsterInstance, progress: Progress, job: str, what: str, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    task = progress.add_task(what, total=1)
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        tags=dict(request.tags),
        run_config=QUIET,
        raise_on_error=False,
    )
    progress.update(task, completed=1, description=what if result.success else f"{what}: failed")
    return result


def _print_failures(console: Console, result: dg.ExecuteInProcessResult) -> None:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            message = data.user_failure_data.description if data.user_failure_data else data.error
            console.print(f"[red]{event.step_key} failed:[/red] {message}")


def _failed(evaluation: dg.AssetCheckEvaluation) -> bool:
    return not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR


def _domains_table() -> Table:
    columns = ("domain", "host", "clicks", "first click (UTC)", "last click (UTC)")
    table = Table(*columns, title="\nClicks by domain")
    with reading() as reader:
        names = names_in(reader)
        rows = reader.rows(
            "SELECT domain_id, count(*), min(dt), max(dt)"
            f" FROM {{dataset}}.{CLICKS.name} GROUP BY domain_id ORDER BY domain_id"
        )
    for domain, clicks, first, last in rows:
        host = escape(names.host(domain) or "")
        table.add_row(str(domain), host, str(clicks), _minute(first), _minute(last))
    return table


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _checks_table(evaluations: Sequence[dg.AssetCheckEvaluation]) -> Table:
    table = Table("asset", "check", "result", title="\nChecks")
    for evaluation in sorted(evaluations, key=lambda e: (e.asset_key, e.check_name)):
        passed = "passed" if evaluation.passed else f"{evaluation.severity.value.lower()}: "
        finding = "" if evaluation.passed else evaluation.description or ""
        table.add_row(
            evaluation.asset_key.to_user_string(), evaluation.check_name, passed + finding
        )
    return table


def _print_next_steps(console: Console) -> None:
    address = configured_warehouse().address
    console.print(f"\nThe warehouse is {address}." if address else "", soft_wrap=True)
    console.print("See it in Dagster's UI, with these runs: uv run link-assets dev", soft_wrap=True)
