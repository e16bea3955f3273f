"""Which other spellings of its path a link gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link_assets.rows.links import link_row
from link_assets.rows.spellings import spellings

SPELLED = {
    "promo": [],
    "Promo-2026_a.b/c": [],
    "a+b,c;d=e@f:g!h$i&j'k(l)m*n~o[p]|q": [],
    "": [],
    "café": ["caf%C3%A9", "caf%c3%a9"],
    "caf%C3%A9": ["caf%c3%a9", "café"],
    "caf%c3%a9": ["caf%C3%A9", "café"],
    "日本": ["%E6%97%A5%E6%9C%AC", "%e6%97%a5%e6%9c%ac"],
    "spring sale": ["spring%20sale"],
    "spring%20sale": ["spring sale"],
    "100%": ["100%25"],
    "50%off": ["50%25off"],
    "a%2Bb": ["a+b"],
    "a%2Fb": ["a/b"],
    "what?": ["what%3F", "what%3f"],
    "what%3F": ["what%3f"],
    "%E9": [],
}


@pytest.mark.parametrize(("path", "others"), SPELLED.items())
def test_a_path_has_the_spellings_of_browsers_besides_its_own(path: str, others: list[str]) -> None:
    assert sorted(spellings(path)) == sorted(others)


def test_a_link_without_a_path_has_no_spellings() -> None:
    assert spellings(None) == []


@pytest.mark.parametrize("path", ["a%00b", "%EF%80%A61.5"])
def test_what_no_warehouse_takes_is_no_spelling_of_a_link(path: str) -> None:
    link = link_row({"id": "a", "path": path})
    assert isinstance(link, dict)
    assert all("%" in spelling for spelling in link["spellings"])


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_path_has_others_than_itself_and_each_once(path: str) -> None:
    found = spellings(path)
    assert path not in found
    assert len({*found}) == len(found) <= 3
