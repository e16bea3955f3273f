"""Which spellings of a path are the same link's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link_assets.defs.checks.link_paths import address, shown_path, unknown_paths

SAME = [
    ("/café", "café"),
    ("/caf%C3%A9", "café"),
    ("/caf%c3%a9", "café"),
    ("/cafe\u0301", "caf\u00e9"),
    ("/cafe%CC%81", "caf\u00e9"),
    ("/CAF%C3%89", "café"),
    ("/CAFÉ", "caf%C3%A9"),
    ("/spring%20sale", "spring sale"),
    ("/a+b", "a+b"),
    ("/a%2Bb", "a+b"),
    ("/Promo/", "promo"),
    ("/promo?utm=x", "promo"),
    ("/promo/?utm=x&y=/z", "promo"),
    ("/promo#top", "promo"),
    ("/what?", "what?"),
    ("/what%3F", "what?"),
    ("//promo", "promo"),
    ("/a//b", "a/b"),
    ("/100%25", "100%"),
    ("/50%off", "50%off"),
    ("/%zz", "%ZZ"),
    ("/%E9", "%e9"),
    ("promo", "/promo"),
    ("/日本", "%E6%97%A5%E6%9C%AC"),
]
OTHER = [
    ("/a+b", "a b"),
    ("/a%20b", "a+b"),
    ("/promo/x", "promo"),
    ("/promo2", "promo"),
    ("/%E9", "%E8"),
    ("/%E9", "é"),
    ("/cafe", "café"),
    ("/strasse", "straße"),
    ("/a%252Fb", "a/b"),
]


@pytest.mark.parametrize(("clicked", "link"), SAME)
def test_spellings_of_the_same_path_are_one_link(clicked: str, link: str) -> None:
    assert unknown_paths({(1, clicked): 3}, [(1, "other"), (1, link)]) == {}


@pytest.mark.parametrize(("clicked", "link"), OTHER)
def test_another_path_is_not_taken_for_a_link(clicked: str, link: str) -> None:
    assert unknown_paths({(1, clicked): 3}, [(1, link)]) == {(1, clicked): 3}


def test_a_link_of_another_domain_makes_no_path_known() -> None:
    clicks = {(1, "/a%20"): 1, (2, "/a%20"): 2}
    assert unknown_paths(clicks, [(1, "a ")]) == {(2, "/a%20"): 2}


@pytest.mark.parametrize(
    ("clicked", "link", "known"),
    [("/Promo", "promo", False), ("/Pr%6Fmo/", "Promo", True), ("/CAF%C3%89", "café", False)],
)
def test_a_domain_can_tell_case_apart(clicked: str, link: str, known: bool) -> None:
    clicks = {(1, clicked): 3, (2, clicked): 3}
    unknown = unknown_paths(clicks, [(1, link), (2, link)], exact_domains={1})
    assert unknown == ({} if known else {(1, clicked): 3})


@given(st.text(max_size=20))
def test_the_address_of_an_address_is_the_same_unless_it_holds_escapes(path: str) -> None:
    if "%" not in path:
        assert address(address(path)) == address(path)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a?email=jane@example.com", "/a"),
        ("/a\n\x1b[31m", "/a??[31m"),
        ("/" + "x" * 80, "/" + "x" * 59 + "..."),
    ],
)
def test_a_quoted_path_is_one_short_line_without_its_query(path: str, shown: str) -> None:
    assert shown_path(path) == shown
