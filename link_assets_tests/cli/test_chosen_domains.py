"""Which domains `--domain` of the commands means."""

from __future__ import annotations

from pathlib import Path

import pytest

from link_assets.cli.chosen_domains import chosen_domains
from link_assets.defs.domain_names import domain_names
from link_assets_tests.cli.conftest import Command
from link_assets_tests.support import mostly_long, rows

LONG = f"{'a' * 63}.example"
HOSTS = f"""
UPDATE {{dataset}}.domains SET
    hostname = CASE id WHEN 2 THEN 'xn--caf-dma.example' WHEN 3 THEN '{LONG}' ELSE hostname END,
    unicode_hostname = CASE id WHEN 2 THEN 'café.example' ELSE unicode_hostname END"""


@pytest.fixture
def named(link_assets: Command, api: str) -> Command:
    """The command `link-assets` where the hosts of domains 2 and 3 are HOSTS."""
    assert link_assets("load", "--only", "domains", "--skip-checks").exit_code == 0
    rows(HOSTS)
    return link_assets


@pytest.mark.parametrize("host", mostly_long(["XN--caf-dma.example", "CAFÉ.example", " 2 "], few=2))
def test_load_and_report_know_a_domain_by_its_id_and_both_spellings_of_its_host(
    named: Command, host: str
) -> None:
    chosen = ("--domain", host)
    loaded = named("load", "--only", "clicks", "--skip-checks", *chosen)
    assert loaded.exit_code == 0, loaded.output
    assert rows("SELECT DISTINCT domain_id FROM {dataset}.clicks") == [(2,)]
    reported = named("report", *chosen)
    assert reported.exit_code == 0, reported.output
    assert Path("report.html").exists()


def test_domains_keep_their_order_and_a_long_host_is_known_whole(named: Command) -> None:
    known, names = ["1", "3", "2"], domain_names()
    assert chosen_domains(["2", LONG, "3"], known, names) == ["3", "2"]


def test_load_and_report_refuse_an_unknown_domain_with_the_same_words(named: Command) -> None:
    loaded = named("load", "--only", "clicks", "--domain", "nowhere.example")
    reported = named("report", "--domain", "nowhere.example")
    assert loaded.exit_code == reported.exit_code == 1
    assert loaded.output == reported.output
    assert "no domain 'nowhere.example' is known. Known are: 1 (" in loaded.output
    assert "2 (café.example)" in loaded.output
