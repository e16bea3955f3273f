"""What the terminal shows of listings while they are read."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from link_assets.cli import progress as progress_module
from link_assets.cli.progress import Progress
from link_assets.defs.progress import Nobody, Reading, current_watcher, shown, watched_by
from link_assets.source.load_stats import LoadStats
from link_assets.warehouse.row_counts import ClickCount
from link_assets_tests.dagster_dev import until


def lines(progress: Progress) -> list[str]:
    """What is drawn now, line by line."""
    console = progress.console
    with console.capture() as captured:
        console.print(progress._drawn())
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.fixture
def progress() -> Progress:
    """In a terminal of 60 columns."""
    return Progress(Console(file=StringIO(), width=60, force_terminal=True, color_system=None))


def test_a_long_name_gives_way_to_the_numbers(progress: Progress) -> None:
    stats = LoadStats(pages=12_345, received=1_234_567)
    reading = Reading(f"7 ({'a' * 60}.example.com)", stats, "7", ClickCount(total=99_999_999))
    progress.run_begins("clicks of domain 7")
    progress.begun(reading)
    progress._readings[reading] -= 60  # seconds ago
    line = next(line for line in lines(progress) if "pages" in line)
    assert len(line) <= 60
    assert line.startswith("  7 (aa")
    assert "12,345 pages 1,234,567 rows" in line
    assert line.endswith(" left")


def test_numbers_keep_their_place_where_the_time_left_is_not_known(progress: Progress) -> None:
    progress.run_begins("clicks of domains 1 to 2")
    for domain, rows in ((1, 9), (2, 1_234_567)):
        reading = Reading(f"{domain} (go.example.com)", LoadStats(pages=2, received=rows))
        progress.begun(reading)
        progress._readings[reading] -= 60  # seconds ago
    drawn = [line for line in lines(progress) if "pages" in line]
    assert [line.index(" rows") for line in drawn] == [drawn[0].index(" rows")] * 2
    assert {len(line) for line in drawn} == {60}


def test_a_wide_terminal_has_the_numbers_near_the_names() -> None:
    wide = Console(file=StringIO(), width=200, force_terminal=True, color_system=None)
    progress = Progress(wide)
    progress.run_begins("clicks")
    progress.begun(Reading("7", LoadStats(), "7"))
    assert max(map(len, lines(progress))) <= 80


@pytest.mark.parametrize(
    ("stats", "before", "expected"),
    [
        (LoadStats(), ClickCount(total=100, old=60), 100),
        (LoadStats(since=datetime(2026, 1, 1, tzinfo=UTC)), ClickCount(total=100, old=60), 40),
        (LoadStats(), ClickCount(), None),
        (LoadStats(), None, None),
        (LoadStats(resumed_from=3), ClickCount(total=100), None),
    ],
    ids=["all pages", "only new clicks", "the first load", "a full refresh", "resumed"],
)
def test_how_many_rows_will_come_is_known_from_those_that_are_there(
    stats: LoadStats, before: ClickCount | None, expected: int | None
) -> None:
    assert Reading("7", stats, "7", before).expected == expected


def test_no_more_is_shown_than_ten_listings_and_how_many_others(progress: Progress) -> None:
    progress.run_begins("clicks")
    for domain in range(13):
        progress.begun(Reading(str(domain), LoadStats(), str(domain)))
    drawn = lines(progress)
    assert len([line for line in drawn if "pages" in line]) == 10
    assert drawn[-1] == "  and 3 more"


def test_a_step_that_reads_nothing_is_shown_by_its_name(progress: Progress) -> None:
    progress.run_begins("clicks of domain 7")
    progress.step_begins("daily_clicks")
    assert lines(progress)[-1] == "  step daily_clicks"
    progress.begun(Reading("7", LoadStats(), "7"))
    assert "step" not in "".join(lines(progress))


def test_a_run_that_has_ended_leaves_a_line_with_what_it_read(progress: Progress) -> None:
    with watched_by(progress):
        progress.run_begins("clicks of domain 7")
        with shown(Reading("7", LoadStats(pages=2, received=30), "7"), current_watcher()):
            pass
        progress.run_ends("failed", days_computed=1)
    said = "✗ clicks of domain 7: failed, 30 rows, 2 pages, 1 day computed, 0:00:00"
    assert " ".join(" ".join(written(progress)).split()) == said
    assert isinstance(current_watcher(), Nobody)


def test_a_line_that_is_too_long_for_a_terminal_goes_on_with_its_numbers(
    progress: Progress,
) -> None:
    progress.run_begins("clicks of domains 1 to 30")
    progress.ended(Reading("7", LoadStats(pages=280, received=4_200), "7"))
    progress.run_ends("failed", days_computed=812)
    assert written(progress) == [
        "✗ clicks of domains 1 to 30:",
        "  failed, 4,200 rows, 280 pages, 812 days computed, 0:00:00",
    ]


def test_lines_are_whole_where_there_is_no_terminal() -> None:
    progress = Progress(Console(file=StringIO(), width=20))
    progress.run_begins("clicks of domains 1 to 30")
    with progress:
        logging.getLogger("link_assets.test").warning("The API limits the rate: waiting.")
        progress.run_ends("failed")
    assert written(progress) == [
        "  The API limits the rate: waiting.",
        "✗ clicks of domains 1 to 30: failed, 0:00:00",
    ]


def test_a_name_with_markup_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.01)
    progress = Progress(Console(file=StringIO(), width=200))
    with progress:
        progress.run_begins("clicks")
        progress.begun(Reading("7 (a[/b].example)", LoadStats(), "7"))
        until(lambda: len(written(progress)) > 1)
    assert written(progress)[0].startswith("  7 (a[/b].example): 0 pages, 0 rows")


def written(progress: Progress) -> list[str]:
    """What was printed, line by line."""
    assert isinstance(progress.console.file, StringIO)
    return progress.console.file.getvalue().splitlines()
