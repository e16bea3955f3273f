"""A string that is not JSON costs its own row, which is kept whole, and no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from link_assets.contract import LINKS
from link_assets.rows.links import link_id
from link_assets.rows.personal import PersonalData
from link_assets.rows.raw_json import DamagedRow, RawRow, parse_json, parse_rows
from link_assets.sandbox import Fault, Sandbox
from link_assets.source.salvage import body_texts, read_salvaged
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.source.test_rest import load_clicks as load_with
from link_assets_tests.support import Location, mostly_long, rows

UTF_8 = "holds bytes that are not UTF-8"
CONTROL = "holds a raw control character"
ESCAPE = "holds an escape that JSON does not know"
ALL_THREE = f"{UTF_8}; {CONTROL}; {ESCAPE}"
TIME = '"dt": "2026-02-01T12:00:00Z"'
API = "SOURCES__LINK_ASSETS__"

# a click as it is sent, the reason for which it is kept, and what is kept of it beside the time
DAMAGED: list[tuple[bytes, str, dict[str, Any]]] = [
    (b'{%b, "ua": "caf\xe9"}', UTF_8, {"ua": "caf\udce9"}),
    (b'{%b, "ua": "\xe4\xb8"}', UTF_8, {"ua": "\udce4\udcb8"}),
    (b'{%b, "ua": "\xc0\x80\xed\xa0\x80"}', UTF_8, {"ua": "\udcc0\udc80\udced\udca0\udc80"}),
    (b'{%b, "ua": "a\x01b"}', CONTROL, {"ua": "a\x01b"}),
    (b'{%b, "ua": "a\tb"}', CONTROL, {"ua": "a\tb"}),
    (b'{%b, "ua": "a\r\nb"}', CONTROL, {"ua": "a\r\nb"}),
    (b'{%b, "ua": "a\x00b"}', CONTROL, {"ua": "a\x00b"}),
    (b'{%b, "ua": "\\x41"}', ESCAPE, {"ua": "\\x41"}),
    (b'{%b, "ua": "it\\\'s \\u12"}', ESCAPE, {"ua": "it\\'s \\u12"}),
    (
        b'{%b, "ua": "\\\n\\\\ \\" \xff"}',
        f"{UTF_8}; {CONTROL}; {ESCAPE}",
        {"ua": '\\\n\\ " \udcff'},
    ),
    (b'{%b, "unknown": {"a": ["?", "\xff"]}}', UTF_8, {"unknown": {"a": ["?", "\udcff"]}}),
    (b'{%b, "unknown\x02": "?"}', CONTROL, {"unknown\x02": "?"}),
    (b'{%b, "st": "many", "city": "K\xf6ln"}', UTF_8, {"st": "many", "city": "K\udcf6ln"}),
    (b'{%b, "ua": "of two lines\n"}', CONTROL, {"ua": "of two lines\n"}),
]
SOUND = ["/first", "/\u00fc", "/half", "/last"]


def page(key: str, listed: Sequence[bytes], more: bytes = b"") -> bytes:
    return b'{ "%b" :\t[%b]\r\n%b}' % (key.encode(), b" ,\n".join(listed), more)


def sound(path: str) -> bytes:
    return f'{{{TIME}, "path": "{path}", "meta": "\\u00e9\\\\ \\n?"}}'.encode()


def damaged_clicks() -> list[bytes]:
    return [row % TIME.encode() for row, _, _ in DAMAGED]


def serve(sandbox: Sandbox, *pages: bytes, **how: Any) -> None:
    """Has the API answer with these pages, one after the other and over again."""
    for number, body in enumerate(pages, start=1):
        sandbox.faults.append(Fault(page=number, times=None, raw=body, **how))


def kept() -> dict[str, str]:
    """Reasons of rejected rows by payload."""
    return dict(rows("SELECT payload, reason FROM {dataset}.rejected_rows"))


def payload(**fields: Any) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def paths() -> list[str]:
    return [path for (path,) in rows("SELECT path FROM {dataset}.clicks ORDER BY path")]


EXPECTED = {payload(dt="2026-02-01T12:00:00Z", **row): reason for _, reason, row in DAMAGED}
FIRST = [sound(SOUND[0]), *damaged_clicks()[:5], sound(SOUND[1])]
LAST = [damaged_clicks()[5], sound(SOUND[2]), *damaged_clicks()[6:], sound(SOUND[3])]
TOKEN = b', "nextPageToken": "%b"'


@pytest.mark.parametrize("chunk_rows", [1, 100_000])
def test_damaged_clicks_are_kept_whole_and_all_others_are_loaded(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setenv(f"{API}CHUNK_ROWS", str(chunk_rows))
    token = json.loads(token_of(2))
    serve(sandbox, page("data", FIRST, TOKEN % token.encode()), page("data", LAST))
    for _ in range(2):
        load_clicks(1)
        assert paths() == sorted(SOUND)
        assert kept() == EXPECTED
        assert len(sandbox.requests) % 2 == 0
    assert set(rows("SELECT meta FROM {dataset}.clicks")) == {("\u00e9\\ \n?",)}


def token_of(number: int, path: str = "/v1/domain/1/link_clicks") -> str:
    from link_assets.sandbox.app import Position

    return json.dumps(Position(path, number, 1).token())


@pytest.mark.parametrize("how", [{}, {"gzip": True}], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_a_damaged_click_may_be_the_only_row(
    api: str, sandbox: Sandbox, how: dict[str, Any], mark: bytes
) -> None:
    body = mark + page("data", [damaged_clicks()[0]])
    if how:
        import gzip

        how = {"headers": {"Content-Encoding": "gzip"}}
        body = gzip.compress(body)
    serve(sandbox, body, **how)
    load_clicks(1)
    assert paths() == []
    assert list(kept().values()) == [UTF_8]


def test_identical_damaged_clicks_are_two_on_one_page_and_one_on_two_pages(
    api: str, sandbox: Sandbox
) -> None:
    twice = [damaged_clicks()[0]] * 2
    token = json.loads(token_of(2))
    serve(sandbox, page("data", twice, TOKEN % token.encode()), page("data", [*twice, sound("/x")]))
    load_clicks(1)
    assert rows(
        "SELECT count(*), count(DISTINCT rejected_row_id) FROM {dataset}.rejected_rows"
    ) == [(2, 2)]
    assert paths() == ["/x"]


def test_damaged_rows_that_are_no_objects_are_kept(api: str, sandbox: Sandbox) -> None:
    serve(sandbox, page("data", [b'"\xff"', b'["a\x01"]', b"null", b'{"\xff": 1}']))
    load_clicks(1)
    assert kept() == {
        '"\\udcff"': UTF_8,
        '["a\\u0001"]': CONTROL,
        "null": "is not an object",
        '{"\\udcff":1}': UTF_8,
    }


def test_a_page_with_a_number_that_json_does_not_know_is_salvaged_too(
    api: str, sandbox: Sandbox
) -> None:
    odd = b'{%b, "path": "/odd", "value": NaN}' % TIME.encode()
    serve(sandbox, page("data", [odd, damaged_clicks()[0], sound("/x")], b', "of": Infinity'))
    load_clicks(1)
    assert paths() == ["/odd", "/x"]
    assert list(kept().values()) == [UTF_8]


@pytest.mark.parametrize("order", ["unordered", "newest_first"])
def test_reading_newest_first_gets_past_damaged_clicks(
    api: str, sandbox: Sandbox, order: str
) -> None:
    serve(sandbox, page("data", [damaged_clicks()[0], sound("/x")]))
    for _ in range(2):
        load_with(1, clicks_order=order)
    assert paths() == ["/x"]


# Links

ID = b'{"id": "%b", "title": "%b", "originalURL": "https://x.example"}'


def listed(*links: tuple[bytes, bytes]) -> bytes:
    return page("links", [ID % link for link in links])


def deleted() -> list[str]:
    found = rows("SELECT id FROM {dataset}.links WHERE deleted_at IS NOT NULL ORDER BY id")
    return [link for (link,) in found]


def test_a_damaged_link_is_kept_and_not_taken_for_deleted(
    location: Location, sandbox: Sandbox
) -> None:
    serve(sandbox, listed(*((name, b"") for name in (b"a", b"b", b"c", b"d"))))
    assert location.links().success
    sandbox.faults.clear()
    serve(sandbox, listed((b"a", b""), (b"b", b"caf\xe9"), (b"c", b"tab\t")))
    assert location.links().success
    assert deleted() == ["d"]
    assert sorted(kept().values()) == [UTF_8, CONTROL] or sorted(kept().values()) == [
        CONTROL,
        UTF_8,
    ]
    assert rows("SELECT title FROM {dataset}.links WHERE id = 'b'") == [("",)]


@pytest.mark.long
@pytest.mark.parametrize("link", mostly_long([b"\xff", b"b\x01", b"b\\x"], 1))
def test_a_link_with_a_damaged_id_keeps_all_links_from_being_marked_deleted(
    location: Location, sandbox: Sandbox, link: bytes
) -> None:
    serve(sandbox, listed(*((name, b"") for name in (b"a", b"b", b"c", b"d"))))
    assert location.links().success
    sandbox.faults.clear()
    serve(sandbox, listed((b"a", b""), (b"c", b""), (link, b"")))
    assert location.links().success
    assert deleted() == []
    assert len(kept()) == 1


def test_the_id_of_a_damaged_link_is_known_unless_it_may_be_damaged_itself() -> None:
    def known(value: Any) -> str | None:
        return link_id(DamagedRow(value, UTF_8))

    assert known({"id": "a", "title": "\udcff"}) == "a"
    assert known({"id": None, "idString": "b", "title": "\udcff"}) == "b"
    assert known({"id": "a\udcff", "idString": "b"}) is None
    assert known({"i\udcffd": "a", "idString": "b"}) is None
    assert known(["a\udcff"]) is None


def test_tags_are_damaged_with_their_link(api: str, sandbox: Sandbox) -> None:
    good, bad = b'{"id": "a", "tags": ["x", "?"]}', b'{"id": "b", "tags": ["x", "\xff"]}'
    serve(sandbox, page("links", [bad, good]))
    load_links()
    assert rows("SELECT id FROM {dataset}.links") == [("a",)]
    assert rows("SELECT count(*) FROM {dataset}.links__tags") == [(2,)]
    assert kept() == {payload(id="b", tags=["x", "\udcff"]): UTF_8}


# Personal data

SECRETS = ("203.0.113.77", "pa55-4e1d", "ada-4e1d")


@pytest.mark.long
@pytest.mark.parametrize("treatment", ["hash", "drop"])
def test_personal_data_of_damaged_rows_is_treated(
    api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, treatment: str
) -> None:
    monkeypatch.setenv(f"{API}HASH_SALT", "a-salt-of-our-own")
    for group in ("IP", "PASSWORD", "PEOPLE"):
        monkeypatch.setenv(f"{API}PERSONAL_{group}", treatment)
    ip, password, name = (secret.encode() for secret in SECRETS)
    clicks = [
        b'{"ip": "%b", "ua": "\xff"}' % ip,
        b'{"ip": "%b\xff"}' % ip,
        b'{"i\x01p": "%b", "ua": 7}' % ip,
    ]
    links = [
        b'{"id": "a", "password": "%b", "Owner": {"name": "%b"}, "title": "\xff"}'
        % (password, name),
        b'{"id": "b", "Owner": {"na\xffme": "%b", "id": 7}}' % name,
        b'{"id": "c", "Ow\xffner": {"name": "%b", "id": 7}, "pass\\word": "%b"}' % (name, password),
        b'["%b\xff"]' % name,
    ]
    sandbox.faults = [
        Fault("/v1/domain/1", times=None, raw=page("data", clicks)),
        Fault("/v1/links", times=None, raw=page("links", links)),
    ]
    load_clicks(1)
    load_links()
    assert len(kept()) == 7
    assert not [p for p in kept() for secret in SECRETS if secret in p]
    assert sum('"id":7' in p for p in kept()) == 1


def test_rejected_rows_keep_personal_data_where_it_is_kept() -> None:
    row = DamagedRow({"password": "x", "na\udcffme": "y"}, UTF_8)
    keep = PersonalData({"ip": "keep", "password": "keep", "people": "keep"})
    assert keep.treat([row], LINKS) == [row]


# Encodings


def encoded(text: str, encoding: str) -> bytes:
    return f'{{"data": [{{{TIME}, "path": "{text}"}}]}}'.encode(encoding)


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("latin-1", "latin-1", "K\u00f6ln \u00e9"),
        ("ISO-8859-1", "latin-1", "K\u00f6ln"),
        ('"windows-1252"', "cp1252", "\u20ac \u00fc"),
        ("iso-8859-15", "iso-8859-15", "\u20ac"),
        ("Shift_JIS", "shift_jis", "\u6771\u4eac"),
        ("gb18030", "gb18030", "\u6d4b\u8bd5"),
        ("utf-16", "utf-16", "K\u00f6ln \U0001f600"),
        ("utf-16le", "utf-16-le", "K\u00f6ln"),
        ("utf-8", "utf-8-sig", "K\u00f6ln"),
        ("latin-1", "utf-8", "K\u00f6ln \U0001f600"),
        ("utf-16", "utf-8", "K\u00f6ln"),
        ("no-such-charset", "utf-8", "K\u00f6ln"),
        ("hex", "utf-8", "K\u00f6ln"),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_is_in(
    api: str, sandbox: Sandbox, declared: str, encoding: str, text: str
) -> None:
    kind = f"application/json; charset={declared}"
    serve(sandbox, encoded(text, encoding), content_type=kind)
    load_clicks(1)
    assert paths() == [text]
    assert kept() == {}


@pytest.mark.parametrize("declared", ["no-such-charset", "hex", "utf-16", "ascii", "utf-8", ""])
def test_a_charset_that_is_of_no_use_is_passed_over(
    api: str, sandbox: Sandbox, declared: str
) -> None:
    kind = f"application/json; charset={declared}"
    body = page("data", [sound("/\u00fc"), damaged_clicks()[0]])
    serve(sandbox, body, content_type=kind)
    load_clicks(1)
    assert paths() == ["/\u00fc"]
    assert list(kept().values()) == [UTF_8]


def test_a_byte_unknown_to_the_declared_charset_costs_its_row_alone() -> None:
    body = page("data", [b'{"a": "K\xf6ln"}', b'{"a": "\x81"}'])
    found = read(body, "application/json; charset=windows-1252")
    assert found == [{"a": "K\u00f6ln"}, DamagedRow({"a": "\udc81"}, UTF_8)]


def test_utf_8_with_a_bad_byte_is_not_taken_for_the_declared_charset() -> None:
    body = page("data", ['{"a": "K\u00f6ln"}'.encode(), '{"a": "\u00e9\u00e9'.encode() + b'\xff"}'])
    found = read(body, "application/json; charset=latin-1")
    assert found == [{"a": "K\u00f6ln"}, DamagedRow({"a": "\u00e9\u00e9\udcff"}, UTF_8)]


def test_a_raw_control_character_is_found_in_other_encodings_too() -> None:
    body = '{"data": [{"a": "\u00fc\t"}, {"a": "\u00fc"}]}'.encode("latin-1")
    found = read(body, "application/json; charset=latin-1")
    assert found == [DamagedRow({"a": "\u00fc\t"}, CONTROL), {"a": "\u00fc"}]


def read(body: bytes, content_type: str) -> list[Any]:
    """The rows of a page, each either as it reads or damaged."""

    def split(answer: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        return answer.pop("data"), answer

    def raw(body: bytes) -> tuple[list[RawRow], str | None]:
        return [RawRow(json.dumps(row).encode()) for row in parse_json(body)["data"]], None

    text = body_texts(body, content_type)[0]
    return parse_rows(read_salvaged(text, split, raw)[0])


@pytest.mark.parametrize("tail", [b'\\" ' * 200_000, b'"\\' * 100_001, b"\\"], ids=["a", "b", "c"])
def test_a_page_that_is_cut_off_within_a_string_is_refused_at_once(tail: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(b'{"data": [{"a": "\xff' + tail, "")
