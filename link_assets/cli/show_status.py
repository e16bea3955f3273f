"""The status as a table for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from link_assets.cli.tables import WIDE, cut, loads_table, print_findings, short, shown
from link_assets.defs.checks.freshness import hours, span
from link_assets.defs.status import CheckStatus, LoadStatus, Status, age

REJECTED = "rejected_rows"
NARROW = 50
"""Below this many columns, tables have hardly more than which domain is late."""
NUMBERS = ("rows_new", "rows_already_there", REJECTED, "rows_total")
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
    newest = last.newest_click_age(status.at) if last else None
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
        "newest_click_age_hours": None if newest is None else hours(newest),
        "clicks_of_the_future": last.clicks_of_the_future or None if last else None,
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
    console.print(_loads_table(status, console.width))
    bad = [check for check in status.checks if check.result in ("failed", "warned")]
    print_findings(console, [_finding(check, status) for check in bad])
    plain = not console.is_terminal
    for note in status.notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False, soft_wrap=plain)
    for problem in status.problems:
        console.print(f"[red]Problem:[/] {escape(problem)}", highlight=False, soft_wrap=plain)
    console.print("[green]Healthy.[/]" if status.is_healthy else "[red]Not healthy.[/]")


def _loads_table(status: Status, width: int) -> Table:
    wide = width >= WIDE
    texts = ("loaded at (UTC)", "table", "domain") if wide else ("table, domain",)
    numbers = ("age", "new", "again", "rejected", "rows", "last click")
    if not wide:
        # the name needs the room of a column that says nothing
        rejected = any(load.last and load.last.metadata.get(REJECTED) for load in status.loads)
        numbers = ("age", "new", "rejected") if rejected else ("age", "new")
    if width < NARROW:
        numbers = ("age",)
    table = loads_table("Last loads", texts, numbers)
    table.add_column("", no_wrap=True)
    for load in sorted(status.loads, key=lambda load: not (load.is_late or load.cause)):
        cells = _cells(load, status)
        name = cells["domain"] if wide else f"{load.table} {cells['domain']}"
        texts_of = [cells[heading] for heading in texts[:-1]]
        table.add_row(*texts_of, cut(name), *(cells[n] for n in numbers), _state(load))
    return table


def _cells(load: LoadStatus, status: Status) -> Mapping[str, str]:
    """Return the cells of a load by their headings."""
    old, last = age(load, status.at), load.last
    newest = last.newest_click_age(status.at) if last else None
    numbers = [shown(last.metadata.get(name)) if last else "" for name in NUMBERS]
    return {
        "loaded at (UTC)": f"{last.at:%Y-%m-%d %H:%M}" if last else "",
        "table": load.table,
        "domain": f"{load.domain} ({load.host})" if load.host else load.domain or "",
        "age": short(old) if old else "",
        **dict(zip(("new", "again", "rejected", "rows"), numbers, strict=True)),
        "last click": "" if newest is None else short(newest),
    }


def _state(load: LoadStatus) -> str:
    """Return what is wrong with a load, or that nothing is, in one word."""
    if load.last_try == "failed":
        return "[red]failed[/]"
    if load.is_late:
        return "[red]late[/]" if load.last else "[red]never[/]"
    return {"running": "loading", "canceled": "stopped"}.get(load.last_try, "[green]ok[/]")


def _finding(check: CheckStatus, status: Status) -> tuple[str, str, str]:
    """Return a check's name, how and when it ended, and what it found."""
    kind = "[red]failed[/]" if check.result == "failed" else "[yellow]warning[/]"
    when = f"{span(status.at - check.at)} ago" if check.at else ""
    finding = check.evaluation.description if check.evaluation else ""
    return f"{check.table}: {check.name}", f"{kind}, {when}", finding or ""
