"""A text column holds a number as the API spelled it, whichever way the row is read."""

from __future__ import annotations

import pytest

from link_assets.sandbox import Fault, Sandbox
from link_assets_tests.children import load_clicks, load_links
from link_assets_tests.support import mostly_long, rows

SPELLED = [
    "140.10",
    "0.12345678901234567890123",
    "12345678901234567890123",
    "1e400",
    "-1E5",
    "1e+05",
    "-0",
    "-0.0",
    "0",
    "7",
    "9" * 5_000,
]
WHOLE = {"302.0": 302, "3.02e2": 302, "-0": 0, "9007199254740991.0": 2**53 - 1}
BROKEN = ["1e400", "1.50", "302.00000000000000000001", "9" * 5_000]


def page(key: str, *texts: str) -> bytes:
    return f'{{"{key}": [{", ".join(texts)}], "nextPageToken": null}}'.encode()


def serve(sandbox: Sandbox, *bodies: bytes) -> None:
    sandbox.faults = [Fault(raw=body) for body in bodies]


def click(number: int, name: str, value: str) -> str:
    return f'{{"dt": "2026-02-01T12:00:00Z", "path": "{number:02}", "{name}": {value}}}'


def link(number: int, name: str, value: str) -> str:
    return f'{{"id": "{number:02}", "{name}": {value}}}'


def column(table: str, name: str) -> list[str | int]:
    key = "path" if table == "clicks" else "id"
    return [value for (value,) in rows(f"SELECT {name} FROM {{dataset}}.{table} ORDER BY {key}")]


@pytest.mark.parametrize(
    "known_as", mostly_long(["7", "0.5", '"text"', "0", "true", "[]", "null"], 2)
)
@pytest.mark.parametrize("name", ["city", "new"])
def test_clicks_keep_numbers_as_spelled(
    api: str, sandbox: Sandbox, name: str, known_as: str
) -> None:
    for bodies in ([click(0, name, known_as)], [click(n, name, s) for n, s in enumerate(SPELLED)]):
        serve(sandbox, page("data", *bodies))
        load_clicks(1)
    assert column("clicks", name) == SPELLED


@pytest.mark.parametrize("spelled", mostly_long(SPELLED, 3))
def test_a_number_is_kept_as_spelled_in_a_column_that_held_whole_numbers(
    api: str, sandbox: Sandbox, spelled: str
) -> None:
    for value in ("7", spelled):
        serve(sandbox, page("data", click(0, "new", value), click(1, "new", "5")))
        load_clicks(1)
    assert column("clicks", "new") == [spelled, "5"]


@pytest.mark.parametrize(
    "value", mostly_long([f'[{{}}, {{"a": {s}}}]' for s in SPELLED], 3), ids=str
)
@pytest.mark.parametrize("table", ["clicks", "links"])
def test_numbers_within_a_field_are_kept_as_spelled(
    api: str, sandbox: Sandbox, table: str, value: str
) -> None:
    if table == "clicks":
        serve(sandbox, page("data", click(0, "new", value)))
        load_clicks(1)
    else:
        serve(sandbox, page("links", link(0, "new", value)))
        load_links()
    assert column(table, "new") == [value.replace(" ", "")]


@pytest.mark.parametrize("name", ["title", "new"])
def test_links_keep_numbers_as_spelled(api: str, sandbox: Sandbox, name: str) -> None:
    serve(sandbox, page("links", *(link(n, name, s) for n, s in enumerate(SPELLED))))
    load_links()
    assert column("links", name) == SPELLED


def test_tags_and_people_keep_numbers_as_spelled(api: str, sandbox: Sandbox) -> None:
    listed = ", ".join(SPELLED)
    serve(sandbox, page("links", f'{{"id": "a", "tags": [{listed}], "Owner": {{"name": 1.50}}}}'))
    load_links()
    tags = rows("SELECT value FROM {dataset}.links__tags ORDER BY _dlt_list_idx")
    assert [tag for (tag,) in tags] == SPELLED
    assert column("links", "owner__name") == ["1.50"]


def test_a_whole_number_column_takes_numbers_that_are_whole_in_any_spelling(
    api: str, sandbox: Sandbox
) -> None:
    bodies = [click(n, "st", s) for n, s in enumerate([*WHOLE, *BROKEN])]
    serve(sandbox, page("data", *bodies))
    load_clicks(1)
    assert column("clicks", "st") == list(WHOLE.values())
    kept = rows("SELECT payload FROM {dataset}.rejected_rows ORDER BY payload")
    assert sorted(text.partition('"st":')[2].rstrip("}") for (text,) in kept) == sorted(BROKEN)


def test_the_click_id_changes_only_with_the_text_of_a_fact(api: str, sandbox: Sandbox) -> None:
    ids = []
    for spelled in ('"1.5"', "1.5", "1.50"):
        serve(sandbox, page("data", click(0, "ua", spelled)))
        load_clicks(1)
        ids.append(rows("SELECT click_id FROM {dataset}.clicks ORDER BY _dlt_load_id DESC")[0])
    assert ids[0] == ids[1] != ids[2]
