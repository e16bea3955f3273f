"""The status as a table for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from link_assets.cli.tables import cut, loads_table, short
from link_assets.defs.checks.freshness import hours, span
from link_assets.defs.status import CheckStatus, LoadStatus, Status, age

WIDE = 100
"""From this many columns on, the table has all numbers."""
NUMBERS = ("rows_new", "rows_already_there", "rejected_rows", "rows_total")
"""Numbers of the last load, as materializations call them, which are keys of the JSON."""


def as_json(status: Status) -> dict[str, Any]:
    """Return the status with the keys that docs/commands.md lists."""
    return {
        "healthy": status.is_healthy,
        "at": status.at.isoformat(timespec="seconds"),
        "problems": [*status.problems],
        "notes": [*status.notes],
        "loads": [_load_json(load, status) for load in status.loads],
        "checks": [_check_json(check) for check in status.checks],
    }


def _load_json(load: LoadStatus, status: Status) -> dict[str, Any]:
    old, last = age(load, status.at), load.last
    newest = last.newest_click if last else None
    return {
        "table": load.table,
        "domain": load.domain,
        "host": load.host,
        "loaded_at": last.at.isoformat(timespec="seconds") if last else None,
        "age_hours": None if old is None else hours(old),
        "fresh_hours": load.fresh_hours,
        "late": load.is_late,
        "last_try": load.last_try,
        "cause": load.cause or None,
        **{name: last.metadata.get(name) if last else None for name in NUMBERS},
        "newest_click_age_hours": hours(status.at - newest) if newest else None,
    }


def _check_json(check: CheckStatus) -> dict[str, Any]:
    return {
        "table": check.table,
        "check": check.name,
        "result": check.result,
        "judged_at": check.at.isoformat(timespec="seconds") if check.at else None,
        "finding": check.evaluation.description if check.evaluation else None,
    }


def print_status(console: Console, status: Status) -> None:
    """Print the status, the problems last, where a terminal is looked at."""
    console.print(_loads_table(status, console.width >= WIDE))
    bad = [check for check in status.checks if check.result in ("failed", "warned")]
    if bad:
        console.print(_checks_table(bad, status))
    for note in status.notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    for problem in status.problems:
        console.print(f"[red]Problem:[/] {escape(problem)}", highlight=False)
    console.print("[green]Healthy.[/]" if status.is_healthy else "[red]Not healthy.[/]")


def _loads_table(status: Status, wide: bool) -> Table:
    texts = ("loaded at (UTC)", "table", "domain") if wide else ("table, domain",)
    numbers = ("age", "new", "again", "rejected", "rows", "last click")
    table = loads_table("Last loads", texts, numbers if wide else ("age", "new", "rejected"))
    table.add_column("", no_wrap=True)
    for load in sorted(status.loads, key=lambda load: not (load.is_late or load.cause)):
        table.add_row(*_cells(load, status, wide))
    return table


def _cells(load: LoadStatus, status: Status, wide: bool) -> Sequence[str | Text]:
    old, last = age(load, status.at), load.last
    new, again, rejected, total = (
        str(last.metadata.get(name, "")) if last else "" for name in NUMBERS
    )
    domain = f"{load.domain} ({load.host})" if load.host else load.domain or ""
    since = short(old) if old else ""
    if not wide:
        return (cut(f"{load.table} {domain}"), since, new, rejected, _state(load))
    newest = last.newest_click if last else None
    click = short(status.at - newest) if newest else ""
    at = f"{last.at:%Y-%m-%d %H:%M}" if last else ""
    numbers = (since, new, again, rejected, total, click)
    return (at, load.table, cut(domain), *numbers, _state(load))


def _state(load: LoadStatus) -> str:
    """Return what is wrong with a load, or that nothing is, in one word."""
    if load.last_try == "failed":
        return "[red]failed[/]"
    if load.is_late:
        return "[red]late[/]" if load.last else "[red]never[/]"
    return {"running": "loading", "canceled": "stopped"}.get(load.last_try, "[green]ok[/]")


def _checks_table(checks: Sequence[CheckStatus], status: Status) -> Table:
    table = Table("check", "finding", title="\nChecks", title_justify="left")
    for check in checks:
        kind = "[red]failed[/]" if check.result == "failed" else "[yellow]warning[/]"
        when = f"{span(status.at - check.at)} ago" if check.at else ""
        finding = check.evaluation.description if check.evaluation else ""
        table.add_row(f"{check.table}: {check.name}\n{kind}, {when}", escape(finding or ""))
    return table
