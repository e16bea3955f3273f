"""docs/design.md is true: its map is that of the imports, and its files are there."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from grimp import build_graph

PROJECT = Path(__file__).parent.parent
DESIGN = (PROJECT / "docs" / "design.md").read_text()


def rooms_of_imports() -> dict[str, set[str]]:
    """Which rooms the modules of each room import."""
    graph = build_graph("link_assets", cache_dir=None)
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for module in graph.modules - {"link_assets"}:
        room = module.split(".")[1]
        imported = graph.find_modules_directly_imported_by(module) - {"link_assets"}
        uses[room] |= {name.split(".")[1] for name in imported} - {room}
    return {room: used for room, used in uses.items() if used}


def rooms_of_the_map() -> dict[str, set[str]]:
    listed = re.search(r"<!-- rooms -->\n```\n(.*?)```", DESIGN, re.DOTALL)
    assert listed
    lines = (line.split(" uses ") for line in listed[1].splitlines())
    return {room.strip(): set(used.split()) for room, used in lines}


def test_the_map_of_rooms_is_that_of_the_imports() -> None:
    assert rooms_of_the_map() == rooms_of_imports()


def test_questions_are_answered_by_a_file_that_is_there() -> None:
    section = DESIGN[DESIGN.index("## Where is ...?") :]
    answers = re.findall(r"^\| [^|]+\? \| `(link_assets/[\w/.]+)` \|$", section, re.MULTILINE)
    assert len(set(answers)) == 16
    assert [file for file in answers if not (PROJECT / file).is_file()] == []


@pytest.mark.parametrize(
    "document",
    [
        *("design", "extending", "loading", "commands", "benchmarks"),
        *("short_io", "troubleshooting", "deploy"),
    ],
)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (PROJECT / "docs" / f"{document}.md").read_text()
    named = re.findall(
        r"`((?:link_assets|link_assets_tests|source|rows|warehouse|defs|cli)/[\w/]+\.\w+)`", text
    )
    named += [f"docs/{target}" for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text)]
    places = [(PROJECT / name, PROJECT / "link_assets" / name) for name in named]
    missing = [str(place) for place, within in places if not (place.exists() or within.exists())]
    assert missing == []
