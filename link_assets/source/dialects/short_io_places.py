"""How Short.io's clicks are paged: backwards in time, by the time before which they happened.

Pages overlap. The next one begins with the oldest millisecond of the one before, which may have
been cut in two, so it does not matter whether the service counts a bound in, and the merge finds
the clicks that come again. A page proves that all clicks of a millisecond are there by having older
ones, too. One that has clicks of a single millisecond proves nothing: it is asked for again, by a
higher limit where that may help, until older clicks come or it is shown that there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from link_assets.source.dialects.base import LostPosition, PagingError

CLICKS_OF_A_PAGE = 500
"""The most that programs were seen to get in 2026; whether there is a maximum is not known."""
MOST_CLICKS_OF_A_PAGE = 64_000
"""What the limit is raised to at most, for clicks of the same millisecond."""
LOWER_LIMITS = (100, 30)
"""What is asked for if that is refused; programs were seen to get these, too."""
SURE_CLICKS = 30
"""So many clicks the service gives in any case: the fewest that programs ask for."""
REPEATS_WHERE_CUT = 6
"""How often a page without news is asked for again, of a service that cuts pages short."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FIRST, LAST = (
    (end.replace(tzinfo=UTC) - EPOCH) // MILLISECOND for end in (datetime.min, datetime.max)
)
"""The ends of the calendar in milliseconds since 1970."""


class Place(Struct, frozen=True):
    """Where a page of clicks begins, and what must be known of the pages before it.

    Attributes:
        oldest: The time of the oldest click so far, in milliseconds since 1970.
        limit: How many clicks are asked for.
        usual: The limit that pages are asked for by, unless one millisecond needs more.
        longest: How many clicks the longest page had.
        newer: The time of a click that is newer than `oldest`; None if none is known.
        rows: The most clicks that a page from here had without any older one; 0 at first.
        repeats: How many such pages in a row had no more than the one before.
        beyond: By how many milliseconds the page leaves out `oldest`: 1 to see whether there are
            older clicks, and 2 where the service counts its bounds in.
        is_short: Whether the page before was shorter than asked for.
        is_cut: Whether such a page was not the last one.
        is_highest: Whether the service has refused a higher limit.
        is_probe: Whether the page begins with `newer`, to see whether it can be longer than `rows`.
    """

    oldest: int
    limit: int
    usual: int = CLICKS_OF_A_PAGE
    longest: int = 0
    newer: int | None = None
    rows: int = 0
    repeats: int = 0
    beyond: int = 0
    is_short: bool = False
    is_cut: bool = False
    is_highest: bool = False
    is_probe: bool = False

    @property
    def before(self) -> int:
        """Return the time before which clicks are asked for, likewise, within the calendar."""
        newest = self.newer if self.is_probe and self.newer else self.oldest
        return min(max(newest + 1 - self.beyond, FIRST), LAST)

    def after_page(self, rows: int, times: Sequence[int]) -> Place | None:
        """Return where the page begins that follows a page from here; None after the last.

        Args:
            rows: How many clicks the page has.
            times: When they happened, as far as that can be read.

        Raises:
            PagingError: The page cannot be trusted, or not all clicks of a millisecond can be had.
        """
        if self.is_probe:
            return self._after_probe(rows)
        if not self.beyond or (not self.rows and self.longest):
            self._require_overlap(times)
        here = replace(self, longest=max(self.longest, rows))
        if times and min(times) < self.oldest:
            return here._again() if self.beyond and self.rows else here._at_older(rows, times)
        if not self.beyond:
            return here._after_one_time(rows, times)
        if times and self.beyond == 1:
            return here._where_bounds_are_in(rows)
        return here._at_end()

    def after_refusal(self) -> Place | None:
        """Return where to go on after the limit was refused; None after the last page.

        Raises:
            PagingError: The limit had been raised because clicks of a millisecond filled a page.
        """
        if self.is_probe:  # a service that refuses limits does not lower them in silence
            return None
        if self.limit <= self.usual:
            lower = next((limit for limit in LOWER_LIMITS if limit < self.limit), self.limit // 2)
            return replace(self, limit=lower, usual=lower)
        if self.rows >= self.usual:
            raise self._too_many()
        return replace(self, limit=self.limit // 2, is_highest=True)

    def _require_overlap(self, times: Sequence[int]) -> None:
        """Raise LostPosition if a page lacks the clicks that the one before ended with.

        Then there may be others that are left out, and an empty page is not the end.
        """
        if max(times, default=self.oldest - 1) < self.oldest:
            raise LostPosition(
                f"the service left out clicks of {time_text(self.oldest)} that it gave before, so "
                "others may be missing, too; run this again, and report it to Short.io if it stays"
            )

    def _at_older(self, rows: int, times: Sequence[int]) -> Place:
        """Return the place of the oldest of these times: all clicks of newer ones have come."""
        oldest, newest = min(times), max(times)
        return Place(
            oldest,
            self.usual,
            self.usual,
            self.longest,
            newest if newest > oldest else None,
            is_short=rows < self.limit,
            is_cut=self.is_cut or self.is_short,
        )

    def _after_one_time(self, rows: int, times: Sequence[int]) -> Place:
        """Return where to go after a page without clicks that are older than this time."""
        limit = self._limit_for(rows)
        if rows > self.rows or limit > self.limit:
            return replace(self, rows=max(rows, self.rows), limit=limit, repeats=0)
        is_cut, repeats = self.is_cut or rows < self.rows, self.repeats + 1
        if repeats < REPEATS_WHERE_CUT and is_cut:
            return replace(self, is_cut=is_cut, repeats=repeats)
        # where bounds are counted in, newer clicks may have filled the page; the next has none
        rows = self.rows if self.oldest in times else 0
        return replace(self, rows=rows, is_cut=is_cut, repeats=repeats, beyond=1)

    def _where_bounds_are_in(self, rows: int) -> Place:
        """Return where to go after a page of this time's clicks, which was to leave them out."""
        limit = self._limit_for(rows)
        return replace(self, rows=rows, limit=limit, beyond=1 if limit > self.limit else 2)

    def _again(self) -> Place:
        """Return this time's place again: its page had no older clicks, and yet there are some."""
        if self.repeats >= REPEATS_WHERE_CUT:
            raise self._too_many()
        return replace(self, limit=self._higher(), beyond=0, is_cut=True)

    def _limit_for(self, rows: int) -> int:
        """Return the limit to ask for this time again: a higher one if pages may be half of it."""
        if rows >= self.limit >= MOST_CLICKS_OF_A_PAGE:
            raise self._too_many()
        return self._higher() if 2 * rows >= self.limit else self.limit

    def _higher(self) -> int:
        is_highest = self.is_highest or self.limit >= MOST_CLICKS_OF_A_PAGE
        return self.limit if is_highest else 2 * self.limit

    def _at_end(self) -> Place | None:
        """Return None, as there are no older clicks; or a probe if no page was longer than this.

        Then the service may give no more than so many at once, and keep others of this time back.
        """
        may_be_half = 2 * self.rows >= self.limit
        if self.longest > self.rows or (self.rows < SURE_CLICKS and not may_be_half):
            return None
        if self.is_highest and may_be_half:
            raise self._too_many()
        if self.newer and not self.is_highest:
            return replace(self, beyond=0, is_probe=True)
        as_asked_for = self.rows % self.usual == 0 and (self.rows // self.usual).bit_count() == 1
        if as_asked_for and self.rows >= CLICKS_OF_A_PAGE:
            raise self._too_many()
        return None

    def _after_probe(self, rows: int) -> Place | None:
        """Return None if the probe was longer than the page in doubt; a probe again if it was cut.

        Raises:
            PagingError: It was not longer.
        """
        if rows > self.rows:
            return None
        if self.repeats < 2 * REPEATS_WHERE_CUT and (self.is_cut or rows < self.rows):
            return replace(self, is_cut=True, repeats=self.repeats + 1)
        raise self._too_many()

    def _too_many(self) -> PagingError:
        return PagingError(
            f"more than {self.rows} clicks seem to have happened within one millisecond, at "
            f"{time_text(self.oldest)}, and the service gives no more at once, so those and older "
            "ones cannot all be read; ask Short.io's support for that time's clicks"
        )


def time_text(milliseconds: int) -> str:
    """Return a time as the service takes it: with date, time and zone.

    Raises:
        OverflowError: It is beyond the calendar.
    """
    time = EPOCH + milliseconds * MILLISECOND
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
