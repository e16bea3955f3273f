"""The command `report`: what is in its file, what is not, and what it refuses."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from link_assets.cli.main import main
from link_assets.contract import CLICKS, LINKS
from link_assets.sandbox import Sandbox
from link_assets.warehouse.access import exclusive_access
from link_assets_tests.dagster_dev import free_port
from link_assets_tests.support import rows
from link_assets_tests.truth import world_clicks
from link_assets_tests.warehouse.helpers import load_clicks, load_links, process, set_lock_timeout

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}${1}&amp;\"'"


def run_report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments])


def report(*arguments: str) -> str:
    """The HTML that the command makes."""
    made = run_report(*arguments)
    assert made.exit_code == 0, made.output
    return Path("report.html").read_text(encoding="utf-8")


def refusal(*arguments: str) -> str:
    """The sentence by which the command refuses."""
    refused = run_report(*arguments)
    assert isinstance(refused.exception, SystemExit), refused.exception
    assert refused.exit_code == 1, refused.output
    assert "Traceback" not in refused.output
    return " ".join(refused.output.split())


def data_of(html: str) -> dict[str, Any]:
    """What the page draws."""
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    return json.loads(data)


def without_library(html: str) -> str:
    """The page without the code that draws, which is the same in every report."""
    return re.sub(r"<script>.*?</script>", "", html, flags=re.S)


def drawn(html: str, chart: str) -> dict[str, dict[str, Any]]:
    """A chart's rows by what the picker calls their domain."""
    (rows,) = data_of(html)["charts"][chart]["datasets"].values()
    return {row["domain"]: row for row in rows}


@pytest.fixture
def loaded(api: str) -> None:
    load_links()
    for domain in (1, 2, 3):
        load_clicks(domain)


@pytest.mark.usefixtures("loaded")
def test_the_file_has_the_figures_of_each_domain_and_of_all(sandbox: Sandbox) -> None:
    html = report()
    assert sandbox.world
    served = {domain: world_clicks(sandbox.world, domain) for domain in (1, 2, 3)}
    everyone = [one for clicks in served.values() for one in clicks]
    for key, clicks in {"all": everyone, **{str(d): c for d, c in served.items()}}.items():
        people = sum(bool(one["human"]) for one in clicks)
        assert data_of(html)["totals"][key] == [people, len(clicks) - people]
        assert sum(drawn(html, "series")[key]["people"]) == people
        bars = drawn(html, "countries")[key]
        shown = {
            name: bars["people"][i] + bars["bots and unknown"][i]
            for i, name in enumerate(bars["name"])
        }
        countries = Counter(one["country"] or None for one in clicks)
        assert data_of(html)["unknown"]["countries"].get(key, 0) == countries.pop(None, 0)
        assert shown == countries
    picker = dict(re.findall(r'<option value="(\w+)">(.*?)</option>', html))
    assert picker["all"] == "All domains (3)"
    assert picker["2"] == "2 (go2.example.com)"
    assert drawn(html, "domains")["all"]["name"][0] == "1 (go1.example.com)"


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_it_says_which_days_of_which_warehouse_it_shows_and_when_it_was_made(
    workdir: Path,
) -> None:
    made = run_report("--days", "3")
    assert re.fullmatch(
        r"report.html: \d+ clicks of \d domains? from 2026-02-\d\d to 2026-03-01 \(UTC\). "
        r"\d\.\d MB, made in \d+\.\d seconds.\n",
        made.output,
    )
    html = unescape(Path("report.html").read_text())
    assert "in warehouse.duckdb." in html
    assert str(workdir) not in html
    assert re.search(r"Counted 20\d\d-\d\d-\d\d \d\d:\d\d UTC", html)
    assert "clicks outside this period are not in it" in html


@pytest.mark.usefixtures("loaded")
def test_chosen_domains_alone_are_in_it(sandbox: Sandbox) -> None:
    html = report("--domain", "2", "--domain", "GO3.example.com")
    assert set(data_of(html)["totals"]) == {"all", "2", "3"}
    html = report("--domain", "go1.example.com")
    assert "All domains" not in html
    assert '<option value="1">1 (go1.example.com)</option>' in html
    assert 'id="domains"' not in html


def test_nothing_personal_is_in_it(sandbox: Sandbox, api: str) -> None:
    personal = [f for table in (LINKS, CLICKS) for f in table.columns if f.personal]
    known = {field.column: f"private-{field.column}" for field in personal}
    person = {name: known[f"owner__{name}"] for name in ("name", "email")}
    sandbox.links = [
        {
            "id": "1",
            "idString": "1",
            "path": "a",
            "DomainId": 1,
            "shortURL": "https://go1.example.com/a",
            "originalURL": "https://example.com/?private=1",
            "password": known["password"],
            "Owner": person | {"photoURL": known["owner__photo_url"]},
            "User": {"name": known["user__name"], "email": known["user__email"]},
        }
    ]
    request = {"st": 302, "ip": known["ip"], "ua": "private-agent", "city": "private-city"}
    referrer = {"ref": "https://r.example/?private=1", "refhost": "r.example?private=1"}
    sandbox.clicks = {
        1: [
            {"dt": "2026-03-01T00:00:00Z", "path": "/a?private=1", **request, **referrer},
            {"dt": "2026-03-01T00:00:01Z", "path": "/private/unknown", **request},
        ]
    }
    load_links()
    load_clicks(1)
    html = without_library(report())
    assert "r.example" in html
    assert "private" not in html


def test_text_from_the_api_is_data_and_never_markup(sandbox: Sandbox, api: str) -> None:
    load_hostile(sandbox)
    html = report()
    tags = Tags(html)
    assert tags.found["script"] == 3
    assert tags.found["img"] == 0
    assert [name for name in tags.attributes if name.startswith("on")] == []
    assert drawn(html, "links")["1"]["title"] == [HOSTILE]
    assert HOSTILE in drawn(html, "countries")["1"]["name"]


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.attributes |= {name for name, _ in attrs}


def load_hostile(sandbox: Sandbox) -> None:
    """Loads a domain, a link and a click of which every text wants to be markup."""
    sandbox.links = [
        {
            "id": "1",
            "idString": "1",
            "path": "a",
            "DomainId": 1,
            "title": HOSTILE,
            "shortURL": f"https://go1.example.com/{HOSTILE}",
        }
    ]
    texts = dict.fromkeys(("country", "refhost", "browser", "os"), HOSTILE)
    times = [f"2026-03-01T00:00:0{i}Z" for i in range(3)]
    sandbox.clicks = {
        domain: [{"dt": time, "path": "/a", "st": 302, "human": True, **texts} for time in times]
        for domain in (1, 2)
    }
    load_links()
    load_clicks(1)
    load_clicks(2)
    rows("UPDATE {dataset}.domains SET hostname = '" + HOSTILE.replace("'", "''") + "'")


def test_no_warehouse_is_made_where_there_is_none(workdir: Path) -> None:
    said = refusal()
    assert f"The warehouse {workdir}/warehouse.duckdb is not there yet. Load it first" in said
    assert list(workdir.iterdir()) == []


def test_a_warehouse_without_clicks_is_said_to_have_none(api: str) -> None:
    load_links()
    assert "has no clicks up to today. Materialize link_assets/clicks first." in refusal()
    said = refusal("--domain", "2")
    assert "has no clicks of domain 2 (go2.example.com) up to today. Materialize" in said
    assert not Path("report.html").exists()


@pytest.mark.usefixtures("loaded")
def test_an_unknown_domain_is_refused_with_some_that_there_are() -> None:
    said = refusal("--domain", "go9.example.com")
    assert "no domain 'go9.example.com' is known. Known are: 1 (go1.example.com), 2 (" in said


@pytest.mark.usefixtures("loaded")
def test_a_file_that_cannot_be_written_is_named() -> None:
    said = refusal("--output", "nowhere/report.html")
    assert "nowhere/report.html cannot be written (No such file or directory)" in said
    assert "Give another file with --output." in said


@pytest.mark.parametrize("arguments", [["--days", "0"], ["--output", "."], ["--days", "some"]])
def test_an_impossible_option_is_refused(arguments: list[str]) -> None:
    assert run_report(*arguments).exit_code == 2


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_it_waits_for_its_turn_and_says_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from link_assets.warehouse.access import exclusive_access\n"
        "with exclusive_access('loading'):\n"
        "    print('held', flush=True)\n"
        "    input()\n"
    )
    set_lock_timeout(monkeypatch)
    with process(code) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert "The warehouse was not free for 0.1 seconds" in refusal()
        set_lock_timeout(monkeypatch, "30")
        assert holder.stdin
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert run_report().exit_code == 0
    with exclusive_access("loading"):
        pass


def test_a_database_that_cannot_be_reached_costs_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"postgresql://loader:hidden-word@127.0.0.1:{free_port()}/warehouse"
    monkeypatch.setenv("DESTINATION_TYPE", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", address)
    said = refusal()
    assert "cannot be read: " in said
    assert "hidden-word" not in said


@pytest.mark.long
@pytest.mark.usefixtures("loaded")
def test_it_is_shown_in_the_browser_on_request(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return len(opened) - 1

    monkeypatch.setattr(click, "launch", launch)
    assert "No browser" not in run_report("--open").output
    assert "No browser could be started" in run_report("--open").output
    assert opened == [str(workdir / "report.html")] * 2
