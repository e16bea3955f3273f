"""What `link-assets load` and `demo` run: the jobs, one run after the other, in this process.

Apart from the commands themselves, because importing this takes as long as importing Dagster and
dlt. What a job loads, its own selection of assets says.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import dagster as dg
from rich.console import Console

from link_assets.cli.chosen_domains import chosen_domains
from link_assets.cli.dagster_home import home_instance
from link_assets.cli.lasting_output import CLOSED, lasting_console
from link_assets.cli.progress import Progress
from link_assets.cli.run_job import JobRequest, JobRun, run_job
from link_assets.cli.show_load import days_computed, print_checks, print_failures, print_loads
from link_assets.cli.stop_signals import Stopped, StopSignals, stop_signals
from link_assets.contract import CLICKS
from link_assets.definitions import defs
from link_assets.defs.checks.check import is_failure
from link_assets.defs.domain_names import DomainNames, domain_names
from link_assets.defs.jobs import checks_job, clicks_job, links_job
from link_assets.defs.partitions import PARTITIONS_NAME, known_domains
from link_assets.defs.progress import watched_by
from link_assets.defs.run_requests import clicks_requests, requested_domains, with_partition
from link_assets.defs.translator import CLICKS_KEY

LOADING = (links_job, clicks_job)
"""The jobs that load, in their order: links register domains, whose clicks are loaded then."""
NAMES_SECONDS = 3
"""How long to wait for hosts that are only to be shown, while others use the warehouse."""
FULL_REFRESH = {"ops": {CLICKS.name: {"config": {"full_refresh": True}}}}


@dataclass(frozen=True)
class LoadOptions:
    """What is to be loaded: everything, or a table, or some domains, each by its id or host."""

    only: str | None = None
    domains: Sequence[str] = ()
    full_refresh: bool = False
    skip_checks: bool = False

    @property
    def is_whole(self) -> bool:
        """Return whether everything is loaded; then the checks judge everything at the end."""
        return not (self.only or self.domains)


def run_load(home: Path, options: LoadOptions) -> int:
    """Load, print what came of it, and return the exit code: 0 only if all is well.

    A check that warns is shown and is no failure. After SIGINT or SIGTERM it is 128 and the number
    of the signal, as a shell says it. Output that cannot be written stops no load.

    Raises:
        ClickException: There is no such table or domain, or no domain at all.
        HomeError: Dagster's home cannot be used.
    """
    console, output = lasting_console()
    with (
        stop_signals(lambda: say_ended(console)) as signals,
        home_instance(home) as instance,
    ):
        progress = Progress(console, is_stopping=lambda: bool(signals.first))
        runs = load(instance, options, progress, signals)
        print_failures(console, runs)
        print_loads(console, runs)
        print_checks(console, runs)
        if signals.first:
            # what is still being fetched ends now, and dlt complains of that
            logging.getLogger("dlt").disabled = True
            console.print("Stopped. The next load goes on from there.", soft_wrap=True)
            return 128 + signals.first
    return _exit_code(is_well(runs), output.error)


def _exit_code(well: bool, lost: OSError | None) -> int:
    """Return 0 only if all is well and could be printed."""
    if isinstance(lost, BrokenPipeError):
        return CLOSED if well else 1
    if lost:
        click.echo(
            f"Error: Not all could be printed ({lost.strerror}); "
            + ("all is loaded." if well else "a run or a check failed."),
            err=True,
        )
    return 0 if well and not lost else 1


def load(
    instance: dg.DagsterInstance, options: LoadOptions, progress: Progress, signals: StopSignals
) -> list[JobRun]:
    """Load with one run after the other; a failed one does not keep the others from running.

    Raises:
        ClickException: There is no such table or domain, or no domain at all.
    """
    runs: list[JobRun] = []
    with warnings.catch_warnings(), progress, watched_by(progress), suppress(Stopped):
        warnings.simplefilter("ignore")
        for request in _requests(instance, options, signals):
            if signals.first:
                break
            progress.run_begins(request.what)
            ended = run_job(instance, request, signals, progress.step_begins)
            runs.append(ended)
            wrong = "" if ended.succeeded else "stopped" if ended.was_stopped else "failed"
            progress.run_ends(wrong, days_computed(ended))
    if not (runs or signals.first):
        raise click.ClickException(_no_domain(instance))
    return runs


def _no_domain(instance: dg.DagsterInstance) -> str:
    return (
        f"Nothing to load: no domain is known in Dagster's home {instance.root_directory}, or the "
        "setting LINK_ASSETS__DOMAINS leaves all of them out. Run `link-assets load --only "
        "domains` first, or set DAGSTER_HOME to the folder in which it ran."
    )


def say_ended(console: Console) -> None:
    """Say that a second signal ended the command, and leave the terminal as it was."""
    console.show_cursor()
    console.print("\nEnded at once. The next load goes on from there.", soft_wrap=True)


def is_well(runs: Sequence[JobRun]) -> bool:
    """Return whether every run succeeded and no check found an error."""
    found = (evaluation for run in runs for evaluation in run.evaluations)
    return all(run.succeeded for run in runs) and not any(map(is_failure, found))


def _requests(
    instance: dg.DagsterInstance, options: LoadOptions, signals: StopSignals
) -> Iterator[JobRequest]:
    """Yield what is to be run; which domains there are is asked when their turn comes."""
    jobs = _jobs_with(options.only)
    if options.full_refresh and not any(CLICKS_KEY in assets for assets in jobs.values()):
        raise click.ClickException("--full-refresh reads clicks again, and --only loads none.")
    if options.domains and not any(map(_is_by_domain, jobs)):
        raise click.ClickException(f"--domain: {options.only} are not loaded domain by domain.")
    with_checks = not (options.is_whole or options.skip_checks)
    for job, assets in jobs.items():
        refreshed = options.full_refresh and CLICKS_KEY in assets
        name = options.only or job.removesuffix("_job")
        for request, domains in _runs_of(instance, job, options.domains, signals):
            yield JobRequest(
                job,
                f"{name}{domains}",
                request,
                assets if options.only else None,
                with_checks,
                FULL_REFRESH if refreshed else None,
            )
    if options.is_whole and not options.skip_checks:
        yield JobRequest(checks_job.name, "checks", dg.RunRequest())


def _jobs_with(table: str | None) -> Mapping[str, Set[dg.AssetKey]]:
    """Return, by job, the assets that it is to load: all, or that of one table."""
    graph = defs.resolve_asset_graph()
    every = {job.name: job.selection.resolve(graph) for job in LOADING}
    if table is None:
        return every
    found = {job: {k for k in keys if k.path[-1] == table} for job, keys in every.items()}
    if not any(found.values()):
        tables = sorted(key.path[-1] for keys in every.values() for key in keys)
        raise click.ClickException(
            f"--only: there is no table {table!r} to load: give {' or '.join(tables)}."
        )
    return {job: keys for job, keys in found.items() if keys}


def _is_by_domain(job: str) -> bool:
    return defs.resolve_job_def(job).partitions_def is not None


def _runs_of(
    instance: dg.DagsterInstance, job: str, wanted: Sequence[str], signals: StopSignals
) -> Iterator[tuple[dg.RunRequest, str]]:
    """Yield the requests that together run a job, and of which domains each is, as people read."""
    if not _is_by_domain(job):
        yield dg.RunRequest(), ""
        return
    known = known_domains(instance)
    # only who is named by a host has to be waited for
    at_most = NAMES_SECONDS if set(wanted) <= set(known) else None
    with signals.ending_the_block():
        names = domain_names(at_most)
    domains = set(chosen_domains(wanted, known, names) if wanted else known)
    everything = instance.get_dynamic_partitions(PARTITIONS_NAME)
    for request in clicks_requests(instance, domains):
        loaded = requested_domains(with_partition(request), everything)
        yield request, f" of {_called(loaded, everything, names)}"


def _called(domains: Sequence[str], everything: Sequence[str], names: DomainNames) -> str:
    if len(domains) == 1:
        return f"domain {names.of(domains[0])}"
    first = everything.index(domains[0])
    if list(everything[first : first + len(domains)]) == list(domains):
        return f"domains {domains[0]} to {domains[-1]}"
    return f"{len(domains)} domains from {domains[0]} on"
