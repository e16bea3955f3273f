"""What a measurement came to, and a line of the table that shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a run in a process of its own came to: `seconds` without, `wall` with its start.

    Neither counts the end of the process, when what it had to do is done.
    """

    seconds: float
    wall: float
    rows: int
    peak_mb: float
    requests: int = 0


@dataclass(frozen=True)
class Line:
    """A line of the table; `base` is what its seconds are compared with."""

    what: str
    outcome: Outcome
    base: float


def only_seconds(what: str, seconds: float, base: float) -> Line:
    """A line of which nothing but the time was measured."""
    return Line(what, Outcome(seconds, seconds, 0, 0), base)
