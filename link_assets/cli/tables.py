"""What the tables of the commands share: in a narrow terminal only what is long is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDE = 100
"""From this many columns on, tables have all that there is."""


def loads_table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return a table with these columns, of which the last of texts is the one that gives way."""
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for heading in texts:
        table.add_column(heading, no_wrap=heading != texts[-1])
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_findings(console: Console, findings: Sequence[tuple[str, str, str]]) -> None:
    """Print what checks found, if anything: a table, or a list where there is little room.

    Args:
        console: Where to.
        findings: Of each check its name, how it ended, as markup, and what it found.
    """
    if not findings:
        return
    if console.width < WIDE:
        for line in _listed(findings):
            console.print(line, highlight=False)
        return
    table = Table("check", "finding", title="\nChecks", title_justify="left")
    for name, ended, finding in findings:
        table.add_row(f"{escape(name)}\n{ended}", escape(finding))
    console.print(table)


def _listed(findings: Sequence[tuple[str, str, str]]) -> Iterator[RenderableType]:
    yield "\n[table.title]Checks[/]"
    for name, ended, finding in findings:
        yield f"{escape(name)}: {ended}"
        yield Padding(Text(finding), (0, 0, 0, 2), expand=False)


def shown(number: Any) -> str:
    """Return a number as tables have it; nothing if there is none."""
    return f"{number:,}" if isinstance(number, int) else ""


def cut(text: str) -> Text:
    """Return a text that is cut, instead of taking a second line, where there is no room for it."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def short(time: timedelta) -> str:
    """Return a time in a few characters: in minutes, hours or, from two days on, days."""
    hours = time.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} d"
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
