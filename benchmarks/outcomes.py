"""What a measurement came to, and a line of the table that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median


@dataclass(frozen=True)
class Outcome:
    """What a run in a process of its own came to: `seconds` without, `wall` with its start.

    `processor` are user and system seconds of the whole process. None of the three counts its end,
    when what it had to do is done. `digest` tells rows from others, if they were compared.
    """

    seconds: float
    wall: float
    rows: int = 0
    peak_mb: float = 0
    requests: int = 0
    processor: float = 0
    digest: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the table; `ratio` is to another line's figure."""

    what: str
    outcome: Outcome
    ratio: float


def middle(outcomes: Sequence[Outcome]) -> Outcome:
    """The median of each time and of memory; the rest as it was the last time."""
    measured = ("seconds", "wall", "processor", "peak_mb")
    figures = {name: median(getattr(o, name) for o in outcomes) for name in measured}
    return replace(outcomes[-1], **figures)


def only_seconds(what: str, seconds: float, base: float) -> Line:
    """A line of which nothing but the time was measured, compared with so many seconds."""
    return Line(what, Outcome(seconds, seconds), seconds / base)
