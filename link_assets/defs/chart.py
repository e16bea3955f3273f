"""A chart of clicks a day that Dagster's UI shows inline, by people and by others.

The UI shows markdown as it is while it has fewer than 1,000 characters, and of pictures only those
that stand in it as data. So the chart is one SVG of two paths, whose strokes are the bars. Its
colours are seen on light and on dark ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import quote

import dagster as dg

SHOWN_DAYS = 28
INLINE_CHARACTERS = 1_000
"""From so many characters on, the UI hides markdown behind a button."""
HEIGHT = 60
STEP = 10
WIDTH_SHOWN, HEIGHT_SHOWN = 364, 78
"""Pixels: the column of the asset's overview is not wider on a small screen."""
PEOPLE_COLOUR, OTHERS_COLOUR = "#47f", "#e93"


def clicks_chart(
    people: Mapping[date, int], others: Mapping[date, int], last: date
) -> dg.MarkdownMetadataValue:
    """Return the chart of the SHOWN_DAYS up to `last`, with a line that says its figures.

    Args:
        people: The clicks by people on each day (UTC); days without any may be left out.
        others: The clicks by others, likewise.
        last: The last day that is shown.
    """
    # the calendar has fewer days before the last one if that is at its very beginning
    numbers = range(max(1, last.toordinal() - SHOWN_DAYS + 1), last.toordinal() + 1)
    days = [date.fromordinal(number) for number in numbers]
    pairs = [(people.get(day, 0), others.get(day, 0)) for day in days]
    most = max(sum(pair) for pair in pairs)
    caption = (
        f"{days[0]:%d %b} to {days[-1]:%d %b %Y} (UTC), at most {most:,} a day: "
        f"{sum(p for p, _ in pairs):,} by people (blue), {sum(o for _, o in pairs):,} by others"
    )
    return dg.MetadataValue.md(f"![clicks a day]({_picture(pairs, most)})\n\n{caption}")


def _picture(pairs: Sequence[tuple[int, int]], most: int) -> str:
    heights = [tuple(_height(clicks, most) for clicks in pair) for pair in pairs]
    bars = [
        _path([(HEIGHT, people) for people, _ in heights], PEOPLE_COLOUR),
        _path([(HEIGHT - people, others) for people, others in heights], OTHERS_COLOUR),
    ]
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH_SHOWN}' height='{HEIGHT_SHOWN}' "
        f"viewBox='0 0 {STEP * len(pairs)} {HEIGHT}' stroke-width='8'>{''.join(bars)}</svg>"
    )
    return "data:image/svg+xml," + quote(svg, safe="/:=',")


def _height(clicks: int, most: int) -> int:
    """Return how high a bar is: at least 1 if there are clicks, so that few are seen, too."""
    return max(1, clicks * (HEIGHT - 1) // most) if clicks else 0


def _path(bars: Sequence[tuple[int, int]], colour: str) -> str:
    """Return bars, each upwards from where its ground is, as relative moves, which are shortest."""
    moves, x, y = [], 0, 0
    for number, (ground, height) in enumerate(bars):
        if height:
            to = STEP * number + STEP // 2
            moves.append(f"m{to - x},{ground - y}v-{height}")
            x, y = to, ground - height
    return f"<path stroke='{colour}' d='{''.join(moves)}'/>" if moves else ""
