"""What the tables of the commands share: in a narrow terminal only what is long is cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def loads_table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return a table with these columns, of which the last of texts is the one that gives way."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in texts:
        table.add_column(heading, no_wrap=heading != texts[-1])
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def cut(text: str) -> Text:
    """Return a text that is cut, instead of taking a second line, where there is no room for it."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def short(time: timedelta) -> str:
    """Return a time in a few characters: in minutes, hours or, from two days on, days."""
    hours = time.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} d"
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
