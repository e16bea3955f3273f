"""Short.io's clicks are read backwards in time: every one of them, or an error says why not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from link_assets.rows.raw_json import raw_row
from link_assets.source.dialects import short_io, short_io_places
from link_assets.source.dialects.base import Page, PagingError
from link_assets.source.dialects.short_io import ClicksEndpoint
from link_assets.source.dialects.short_io_places import EPOCH, MILLISECOND

KNOWN_LIMIT, HIGHEST_LIMIT, SURE = 8, 64, 3
MANY_REQUESTS = 400
Clicks = list[tuple[int, int]]
"""Clicks by their time in milliseconds and a number."""


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Iterator[None]:
    """Limits of clicks are small, so that a few rows are many pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(short_io_places, "CLICKS_OF_A_PAGE", KNOWN_LIMIT)
        patch.setattr(short_io_places, "MOST_CLICKS_OF_A_PAGE", HIGHEST_LIMIT)
        patch.setattr(short_io_places, "SURE_CLICKS", SURE)
        patch.setattr(short_io, "SURE_CLICKS", SURE)
        yield


class LimitRefused(Exception):
    """The service refuses a limit, and no lower one is tried."""


@dataclass
class Service:
    """The service as far as its pages go: what is not known of it is a switch.

    `most` is the highest limit that it takes, and `refuses` says whether a higher one is an error
    or gives a page of `most`. `cut` says where pages may end before that: nowhere, in the middle,
    between two milliseconds or anywhere.
    """

    clicks: Clicks
    is_inclusive: bool = False
    most: int = HIGHEST_LIMIT
    refuses: bool = False
    cut: str = "nowhere"
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    requests: int = 0

    def page(self, before: str | None, limit: int) -> Clicks | None:
        """A page; None if the limit is refused."""
        self.requests += 1
        assert self.requests <= MANY_REQUESTS
        if limit > self.most and self.refuses:
            return None
        found = [click for click in self.clicks if before is None or self._is_in(click, before)]
        self.chance.shuffle(found)
        found.sort(key=lambda click: -click[0])
        page = found[: min(limit, self.most)]
        times = [time for time, _ in page]
        between = [i for i in range(1, len(page)) if times[i - 1] != times[i]] + [len(page)]
        ends = {
            "nowhere": [len(page)],
            "middle": [(min(limit, self.most) + 1) // 2],
            "between": between,
            "anywhere": range(1, len(page) + 1),
        }[self.cut]
        return page[: self.chance.choice(ends)] if page else page

    def _is_in(self, click: tuple[int, int], before: str) -> bool:
        bound = (datetime.fromisoformat(before) - EPOCH) // MILLISECOND
        return click[0] <= bound if self.is_inclusive else click[0] < bound


def read(service: Service, limit: int) -> set[tuple[int, int]]:
    """Everything that is read of the service by pages of `limit`, from the first to the last."""
    endpoint = ClicksEndpoint(
        "clicks", "/", None, ("dt",), parameters={"limit": limit}, limit=limit
    )
    parameters, position, seen = dict(endpoint.parameters), None, set()
    positions: set[str] = set()
    while True:
        page = service.page(parameters.get("beforeDate"), parameters["limit"])
        if page is None and not endpoint.is_refusal(400, position):
            raise LimitRefused
        seen.update(page or ())
        rows: list[Any] = [raw_row({"dt": time_of(click)}) for click in page or ()]
        position = endpoint.next_position(Page(rows, None, position, is_refusal=page is None))
        if position is None:
            return seen
        assert position not in positions
        positions.add(position)
        parameters |= endpoint.parameters_at(position)


START = 1_772_000_000_000


def at(*sizes: int, apart: int = 1) -> Clicks:
    """Groups of clicks of one millisecond, of these sizes, the newest first."""
    times = range(START + apart * len(sizes), START, -apart)
    return [
        (time, number) for time, size in zip(times, sizes, strict=True) for number in range(size)
    ]


def time_of(click: tuple[int, int]) -> str:
    return (EPOCH + click[0] * MILLISECOND).isoformat(timespec="milliseconds")


HISTORIES = st.builds(
    lambda sizes, apart: at(*sizes, apart=apart),
    st.lists(st.integers(1, 20) | st.sampled_from([1, 7, 8, 9, 16]), max_size=8),
    st.integers(1, 3),
)
LIMITS = st.sampled_from([1, 2, 7, 8, 9, 20])


def are_of_one_time(clicks: Clicks) -> bool:
    """Whether all clicks happened at once: no longer page can show that they may be all."""
    return len({time for time, _ in clicks}) == 1


@given(HISTORIES, st.booleans(), LIMITS)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_of_a_service_that_keeps_to_limits_every_click_is_read(
    clicks: Clicks, is_inclusive: bool, limit: int
) -> None:
    assume(not are_of_one_time(clicks))
    assert read(Service(clicks, is_inclusive), limit) == set(clicks)


@given(
    HISTORIES,
    st.booleans(),
    LIMITS,
    st.integers(SURE, 20),
    st.booleans(),
    st.sampled_from(["nowhere", "middle", "between"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_of_any_service_every_click_is_read_or_an_error_says_that_it_is_not(
    clicks: Clicks,
    is_inclusive: bool,
    limit: int,
    most: int,
    refuses: bool,
    cut: str,
    chance: random.Random,
) -> None:
    assume(not are_of_one_time(clicks) and (cut != "middle" or most >= 2 * SURE))
    service = Service(clicks, is_inclusive, most, refuses, cut, chance)
    try:
        seen = read(service, limit)
    except (PagingError, LimitRefused):
        return
    assert seen == set(clicks)


@pytest.mark.long
@given(HISTORIES, st.booleans(), LIMITS, st.randoms(use_true_random=False))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_of_a_service_that_cuts_pages_by_chance_clicks_are_read_or_an_error_says_that_some_are_not(
    clicks: Clicks, is_inclusive: bool, limit: int, chance: random.Random
) -> None:
    try:
        seen = read(Service(clicks, is_inclusive, cut="anywhere", chance=chance), limit)
    except PagingError:
        return
    # of the very oldest time nothing can be proved by such pages
    oldest = min((time for time, _ in clicks), default=0)
    assert {click for click in clicks if click[0] > oldest} <= seen


@pytest.mark.parametrize("is_inclusive", [False, True])
@pytest.mark.parametrize("limit", [4, 8, 20])
def test_clicks_of_different_times_cost_hardly_more_requests_than_they_fill_pages(
    is_inclusive: bool, limit: int
) -> None:
    service = Service(at(*[1] * 200), is_inclusive)
    assert len(read(service, limit)) == 200
    repeated = 2 if is_inclusive else 1
    assert service.requests <= 200 // (limit - repeated) + 4


@pytest.mark.parametrize("is_inclusive", [False, True])
@pytest.mark.parametrize("size", [3, 4, 5, 9, 30])
@pytest.mark.parametrize("place", ["newest", "middle", "oldest", "all"])
def test_clicks_of_one_millisecond_are_read_by_pages_that_are_smaller(
    is_inclusive: bool, size: int, place: str
) -> None:
    others = {"newest": (0, 9), "middle": (9, 9), "oldest": (9, 0), "all": (0, 0)}[place]
    clicks = at(*[1] * others[0], size, *[1] * others[1])
    service = Service(clicks, is_inclusive)
    assert read(service, 4) == set(clicks)
    assert service.requests <= 2 * (len(clicks) // 3) + 8


@pytest.mark.parametrize("is_inclusive", [False, True])
@pytest.mark.parametrize("others", [(0, 9), (9, 9), (9, 0), (0, 0)])
def test_more_clicks_of_one_millisecond_than_the_service_gives_are_an_error(
    is_inclusive: bool, others: tuple[int, int]
) -> None:
    clicks = at(*[1] * others[0], KNOWN_LIMIT + 1, *[1] * others[1], apart=2)
    for refuses in (False, True):
        with pytest.raises(PagingError, match=f"more than {KNOWN_LIMIT} clicks seem"):
            read(Service(clicks, is_inclusive, KNOWN_LIMIT, refuses), KNOWN_LIMIT)


def test_clicks_without_a_time_are_an_error_that_says_so() -> None:
    endpoint = ClicksEndpoint("clicks", "/", None, ("dt",))
    rows: list[Any] = [raw_row({"dt": "yesterday"}), raw_row({"host": "a"}), raw_row(1)]
    with pytest.raises(PagingError, match="none of its 3 clicks has a time that can be read"):
        endpoint.next_position(Page(rows, None))
    timed: list[Any] = [*rows, raw_row({"dt": "2026-03-01T12:00:00.000Z"})]
    assert endpoint.next_position(Page(timed, None)) is not None
