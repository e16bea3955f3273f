"""The chart of clicks a day: what its bars say, and that it is short enough to be shown inline."""

from __future__ import annotations

import re
from datetime import date, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from link_assets.defs.chart import HEIGHT, INLINE_CHARACTERS, SHOWN_DAYS, clicks_chart

LAST = date(2026, 3, 1)
DAYS = [LAST - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]


def bars(markdown: str) -> list[dict[int, tuple[int, int]]]:
    """The bars of each path: by the number of the day its foot and its height."""
    found = re.search(r"!\[[^\]]*\]\(data:image/svg\+xml,([^)\s]+)\)", markdown)
    assert found
    svg = ElementTree.fromstring(unquote(found[1]))
    return [_bars(path.attrib["d"]) for path in svg]


def _bars(moves: str) -> dict[int, tuple[int, int]]:
    found, x, y = {}, 0, 0
    for across, down, height in re.findall(r"m(-?\d+),(-?\d+)v-(\d+)", moves):
        x, y = x + int(across), y + int(down)
        found[x // 10] = (y, int(height))
        y -= int(height)
    return found


def test_bars_are_in_proportion_and_others_stand_on_people() -> None:
    people, others = {DAYS[0]: 75, DAYS[5]: 30}, {DAYS[0]: 25, DAYS[27]: 50}
    markdown = clicks_chart(people, others, LAST).md_str or ""
    first, second = bars(markdown)
    top = HEIGHT - 1
    assert first == {0: (HEIGHT, 75 * top // 100), 5: (HEIGHT, 30 * top // 100)}
    assert second == {0: (HEIGHT - 75 * top // 100, 25 * top // 100), 27: (HEIGHT, 50 * top // 100)}
    assert markdown.endswith(
        "02 Feb to 01 Mar 2026 (UTC), at most 100 a day: 105 by people (blue), 75 by others"
    )


def test_a_single_click_among_many_is_seen() -> None:
    (people, others) = bars(clicks_chart({DAYS[3]: 10_000_000}, {DAYS[4]: 1}, LAST).md_str or "")
    assert (people[3][1], others[4][1]) == (HEIGHT - 1, 1)


def test_days_before_are_left_out_and_a_domain_without_clicks_has_no_bars() -> None:
    markdown = clicks_chart({LAST - timedelta(days=SHOWN_DAYS): 5}, {}, LAST).md_str or ""
    assert bars(markdown) == []
    assert "at most 0 a day" in markdown


@pytest.mark.parametrize("most", [10, 10**6, 10**12])
def test_the_longest_chart_is_shown_inline(most: int) -> None:
    high, low = {0: most, 1: most // 5}, {0: most // 2, 1: most // 4}
    people = {day: high[number % 2] for number, day in enumerate(DAYS)}
    others = {day: low[number % 2] for number, day in enumerate(DAYS)}
    assert len(clicks_chart(people, others, LAST).md_str or "") < INLINE_CHARACTERS


@pytest.mark.parametrize("days", [1, 2, SHOWN_DAYS - 1, SHOWN_DAYS])
def test_at_the_beginning_of_the_calendar_there_are_as_many_days_as_it_has(days: int) -> None:
    last = date.fromordinal(days)
    (people,) = bars(clicks_chart({date.min: 3, last: 3}, {}, last).md_str or "")
    assert people.keys() == {0, days - 1}


def test_the_last_day_of_the_calendar_has_a_chart() -> None:
    (people,) = bars(clicks_chart({date.max: 3}, {}, date.max).md_str or "")
    assert people.keys() == {SHOWN_DAYS - 1}
