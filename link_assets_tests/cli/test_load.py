"""The command `load`, as cron and people run it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
import yaml

# Private: what `dagster dev` reads workspace.yaml with
from dagster._core.workspace.load import location_origins_from_yaml_paths

from link_assets.cli.run_job import LOCATION
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets.warehouse.destinations.duckdb_file import duckdb_path
from link_assets_tests.cli.conftest import Command
from link_assets_tests.dagster_dev import dagster_dev, until
from link_assets_tests.support import rows
from link_assets_tests.truth import world_clicks
from link_assets_tests.warehouse.helpers import process, read_line

PROJECT = Path(__file__).parents[2]
LOAD = [sys.executable, "-m", "link_assets.cli", "load"]
HOLDER = """
import sys, time
import duckdb
file = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(600)
"""
RUNS_OF_JOBS = """
query ($location: String!) {
  repositoryOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: $location}
  ) { ... on Repository { jobs { name runs(limit: 10) { status } } } }
  runsOrError {
    ... on Runs { results { repositoryOrigin { repositoryName repositoryLocationName } } }
  }
}"""


def clicks_by_domain() -> list[tuple[object, ...]]:
    return rows("SELECT domain_id, count(*) FROM {dataset}.clicks GROUP BY 1 ORDER BY 1")


def runs() -> Sequence[dg.DagsterRun]:
    """The runs in Dagster's home, the first one first."""
    with dg.DagsterInstance.get() as instance:
        return instance.get_runs()[::-1]


def jobs_run() -> list[str]:
    return [run.job_name for run in runs()]


def test_a_load_brings_everything_and_a_second_one_nothing_new(
    link_assets: Command, api: str
) -> None:
    first = link_assets("load")
    assert first.exit_code == 0, first.output
    assert clicks_by_domain() == [(1, 40), (2, 40), (3, 40)]
    assert "✓ clicks of domains 1 to 3: 120 rows, 9 pages, " in first.output
    assert re.search(r"clicks +2 \(go2.example.com\) +40 +0 +0", first.output)
    assert re.findall(r"^clicks +(\d) \(", first.output, re.M) == ["1", "2", "3"]
    assert "warning" in first.output  # and is no failure
    assert jobs_run() == ["links_job", "clicks_job", "checks_job"]
    second = link_assets("load")
    assert second.exit_code == 0, second.output
    assert "Nothing new: clicks of 3 domains." in second.output
    assert clicks_by_domain() == [(1, 40), (2, 40), (3, 40)]


@pytest.mark.long
def test_the_days_that_a_load_computed_are_told_by_domain(link_assets: Command, api: str) -> None:
    def numbers(domain: int) -> list[str]:
        line = rf"daily_clicks +{domain} \(go{domain}.example.com\) +(\d+) +(\d+)"
        return list(re.findall(line, loaded.output)[0])

    loaded = link_assets("load", "--skip-checks")
    there = rows(
        "SELECT domain_id, count(DISTINCT day), count(*) FROM {dataset}.daily_clicks GROUP BY 1"
    )
    assert {domain: numbers(domain) for domain in (1, 2, 3)} == {
        domain: [str(days), str(found)] for domain, days, found in there
    }
    assert f"9 pages, {sum(days for _, days, _ in there)} days computed, " in loaded.output
    again = link_assets("load", "--only", "daily_clicks", "--skip-checks")
    assert again.output.startswith("✓ daily_clicks of domains 1 to 3: 0:00:")
    assert "No day changed: daily_clicks of 3 domains." in again.output
    assert "Days computed" not in again.output


@pytest.mark.long
def test_runs_are_of_the_code_location_by_which_the_ui_groups_them(
    link_assets: Command, api: str
) -> None:
    link_assets("load", "--only", "links", "--skip-checks")
    (origin,) = location_origins_from_yaml_paths([str(PROJECT / "workspace.yaml")])
    (run,), name = runs(), origin.location_name
    assert name == LOCATION
    assert run.tags_for_storage()[".dagster/repository"] == f"__repository__@{name}"
    assert f'code_location_name = "{name}"' in (PROJECT / "dg.toml").read_text()


@pytest.mark.long
def test_the_ui_has_the_runs_of_a_load_with_its_jobs(workdir: Path) -> None:
    demo = [sys.executable, "-m", "link_assets.cli", "demo"]
    subprocess.run(demo, check=True, capture_output=True, timeout=300)
    with dagster_dev(workdir) as dagster:
        answer = dagster.graphql(RUNS_OF_JOBS, location=LOCATION)
    by_job = {job["name"]: job["runs"] for job in answer["repositoryOrError"]["jobs"]}
    assert {job: len(runs) for job, runs in by_job.items() if runs} == {
        "links_job": 1,
        "clicks_job": 1,
        "checks_job": 1,
    }
    origins = [run["repositoryOrigin"] for run in answer["runsOrError"]["results"]]
    expected = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
    assert origins == [expected] * 3


@pytest.mark.long
def test_no_daemon_retries_a_run_of_which_a_caller_was_told(
    link_assets: Command, sandbox: Sandbox, api: str
) -> None:
    sandbox.faults = [Fault(path="/v1/domain/2", status=403)]
    link_assets("load", "--skip-checks")
    assert [run.tags["dagster/max_retries"] for run in runs()] == ["0", "0"]


@pytest.mark.long
def test_a_failed_domain_is_named_with_its_cause_and_the_others_are_loaded(
    link_assets: Command, sandbox: Sandbox, api: str
) -> None:
    sandbox.faults = [Fault(path="/v1/domain/2", status=403)]
    done = link_assets("load", "--skip-checks")
    assert done.exit_code == 1
    assert "✗ clicks of domains 1 to 3: failed" in done.output
    cause = "clicks of domain 2 (go2.example.com), page 1: the API answered 403"
    assert done.output.index(cause) < done.output.index("Loaded")
    assert clicks_by_domain() == [(1, 40), (3, 40)]


@pytest.mark.long
def test_a_check_that_fails_makes_the_load_fail(
    link_assets: Command, sandbox: Sandbox, api: str
) -> None:
    assert sandbox.world
    clicks = world_clicks(sandbox.world, 1)
    sandbox.clicks = {1: [{**click, "st": "none"} for click in clicks]}
    done = link_assets("load")
    assert done.exit_code == 1, done.output
    assert "✓ clicks of domains 1 to 3" in done.output
    assert "clicks: no_rejected_rows" in done.output


@pytest.mark.long
def test_one_table_or_some_domains_are_loaded_and_judged_alone(
    link_assets: Command, api: str
) -> None:
    assert link_assets("load", "--only", "domains").exit_code == 0
    chosen = link_assets("load", "--only", "clicks", "--domain", "GO3.example.com", "--domain", "1")
    assert chosen.exit_code == 0, chosen.output
    assert "clicks of 2 domains from 1 on" in chosen.output
    assert clicks_by_domain() == [(1, 40), (3, 40)]
    assert jobs_run() == ["links_job", "clicks_job"]
    assert "checks passed" in chosen.output


@pytest.mark.long
def test_checks_can_be_skipped(link_assets: Command, api: str) -> None:
    assert "passed" not in link_assets("load", "--skip-checks").output
    assert jobs_run() == ["links_job", "clicks_job"]
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs():
            assert not instance.get_records_for_run(
                run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
            ).records


@pytest.mark.long
def test_a_full_refresh_reads_every_page_again(
    link_assets: Command, sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CLICKS_ORDER", "newest_first")
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CLICKS_LOOKBACK_DAYS", "0")
    link_assets("load", "--skip-checks")

    def pages(*options: str) -> int:
        sandbox.reset_log()
        done = link_assets("load", "--only", "clicks", "--skip-checks", *options)
        assert done.exit_code == 0, done.output
        return len(sandbox.requests)

    assert pages() < pages("--full-refresh") == 9


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "--domain nowhere.example.com",
            "no domain 'nowhere.example.com' is known. Known are: 1 (",
        ),
        ("--only clics", "there is no table 'clics' to load: give clicks or "),
        ("--only links --full-refresh", "--full-refresh reads clicks again, and --only loads none"),
        ("--only links --domain 1", "links are not loaded domain by domain"),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    options: str, says: str, link_assets: Command, api: str
) -> None:
    done = link_assets("load", *options.split())
    assert done.exit_code == 1
    assert says in " ".join(done.output.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize("table", ["clicks", "daily_clicks"])
def test_without_any_domain_what_to_load_first_is_said(
    table: str, link_assets: Command, home: Path, api: str
) -> None:
    done = link_assets("load", "--only", table)
    assert done.exit_code == 1
    assert f"no domain is known in Dagster's home {home}" in done.output
    assert "`link-assets load --only domains` first" in done.output


@pytest.mark.long
def test_a_load_without_an_api_is_refused_in_one_sentence(link_assets: Command) -> None:
    done = link_assets("load")
    assert done.exit_code == 1
    assert done.output.startswith("Error: No API to read from: set SOURCES__LINK_ASSETS__BASE_URL")
    assert runs() == []


@pytest.mark.long
def test_days_are_computed_without_an_api(link_assets: Command, api: str) -> None:
    assert link_assets("load", "--skip-checks").exit_code == 0
    unset = dict.fromkeys(("SOURCES__LINK_ASSETS__BASE_URL", "SOURCES__LINK_ASSETS__API_KEY"), "")
    done = link_assets("load", "--only", "daily_clicks", **unset)
    assert done.exit_code == 0, done.output
    assert "No day changed: daily_clicks of 3 domains." in done.output


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_load_ends_as_canceled_and_the_next_one_goes_on(
    number: int, code: int, home: Path, sandbox: Sandbox, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "5")
    sandbox.page_size, sandbox.latency = 5, 0.3
    with subprocess.Popen([*LOAD, "--skip-checks"], stdout=subprocess.PIPE, text=True) as process:
        # a page is a chunk, and while one is fetched one is written at most
        asked = [f"/v1/domain/{domain}" for domain in (1, 2, 3)]
        until(lambda: min(map(sandbox.requests_to, asked)) > 3 or process.poll() is not None)
        process.send_signal(number)
        said = process.communicate(timeout=120)[0]
    assert process.returncode == code, said
    assert "Stopped. The next load goes on from there." in said
    assert [run.status.value for run in runs()] == ["SUCCESS", "CANCELED"]
    sandbox.latency = 0
    subprocess.run([*LOAD, "--skip-checks"], check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert clicks_by_domain() == [(1, 40), (2, 40), (3, 40)]
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(CLICKS_KEY, limit=3).records
    loads = [record.asset_materialization for record in records]
    assert all(load and "resumed_from_page" in load.metadata for load in loads)


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "number", "code"),
    [
        (["--domain", "go1.example.com"], signal.SIGINT, 130),
        pytest.param([], signal.SIGTERM, 143, marks=pytest.mark.long),
    ],
    ids=["for a host", "for its turn"],
)
def test_a_signal_ends_the_wait_for_a_warehouse_that_others_use(
    options: list[str], number: int, code: int, link_assets: Command, api: str
) -> None:
    assert link_assets("load", "--only", "domains", "--skip-checks").exit_code == 0
    command = [*LOAD, "--only", "clicks", "--skip-checks", *options]
    with process(HOLDER, str(duckdb_path())) as holder:
        assert read_line(holder) == "open"
        note = Path(f"{duckdb_path()}.lock.owner")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loading:
            until(lambda: f'"process": "{holder.pid}"' in note.read_text())
            loading.send_signal(number)
            said = loading.communicate(timeout=120)[0]  # the lock's own timeout is 600
    assert loading.returncode == code, said
    assert said.endswith("Stopped. The next load goes on from there.\n")


@pytest.mark.long
@pytest.mark.parametrize(
    ("reader", "code", "says"),
    [
        ("> /dev/full", 1, "Error: Not all could be printed (No space left on device)"),
        pytest.param("| head -n1", 141, "", marks=pytest.mark.long),
    ],
    ids=["full disk", "closed pipe"],
)
def test_output_that_cannot_be_written_stops_no_load(
    reader: str, code: int, says: str, home: Path, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__DOMAINS_PER_RUN", "1")
    command = f"{shlex.join(LOAD)} --skip-checks {reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == bool(says)
    assert clicks_by_domain() == [(1, 40), (2, 40), (3, 40)]


@pytest.mark.long
def test_two_loads_at_once_leave_each_other_whole(home: Path, api: str) -> None:
    both = [subprocess.Popen(LOAD, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert clicks_by_domain() == [(1, 40), (2, 40), (3, 40)]


@pytest.mark.long
def test_a_terminal_of_60_columns_shows_what_is_read(
    home: Path, sandbox: Sandbox, api: str
) -> None:
    sandbox.page_size, sandbox.latency = 5, 0.2
    said = in_terminal([*LOAD, "--skip-checks"], columns=60)
    assert re.search(r"1 \(go1.example.com\) +\d+ pages +\d+ rows +\d+/s", plain(said))
    assert "\x1b[3" in said  # colours
    lines = [line for line in re.split(r"[\r\n]+", plain(said)) if line.strip()]
    assert [line for line in lines if len(line) > 60] == []


@pytest.mark.long
def test_ctrl_c_in_a_terminal_leaves_nothing_but_that_it_was_stopped(
    home: Path, sandbox: Sandbox, api: str
) -> None:
    # as in every home but that of tests, processes of Dagster's copy what a run prints
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    del settings["compute_logs"]
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    sandbox.page_size, sandbox.latency = 5, 0.1

    def ctrl_c(process: subprocess.Popen[bytes], _: int) -> None:
        until(lambda: len(sandbox.requests) > 3 + 9 or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # a terminal tells every process that it has

    said = plain(in_terminal([*LOAD, "--skip-checks"], 60, ctrl_c, exit_code=130))
    assert "stopping" in said
    assert "Traceback" not in said
    ended = re.split(r"[\r\n]+", said[said.index("✗") :])
    assert ended[0] == "✗ clicks of domains 1 to 3:"
    assert ended[1].startswith("  stopped, ")
    assert [line for line in ended if line][-1] == "Stopped. The next load goes on from there."


@pytest.mark.long
def test_a_terminal_that_is_made_narrower_is_written_to_in_its_new_width(
    home: Path, sandbox: Sandbox, api: str
) -> None:
    sandbox.page_size, sandbox.latency = 5, 0.2

    def narrower(process: subprocess.Popen[bytes], terminal: int) -> None:
        until(lambda: len(sandbox.requests) > 3 or process.poll() is not None)
        resize(terminal, 40)

    said = plain(in_terminal([*LOAD, "--skip-checks"], 60, narrower))
    summary = re.split(r"[\r\n]+", said[said.index("Loaded") :])
    assert any(line.startswith("daily_clicks ") for line in summary)
    assert max(map(len, summary)) <= 40


@pytest.mark.long
def test_no_color_is_honoured_in_a_terminal(home: Path, api: str) -> None:
    said = in_terminal([*LOAD, "--skip-checks"], columns=60, NO_COLOR="1")
    assert re.search(r"clicks of domains 1 to 3:\s+120 rows, 9 pages, ", plain(said))
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", said)


@pytest.mark.long
def test_mail_of_cron_has_plain_lines(home: Path, api: str) -> None:
    done = subprocess.run(LOAD, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("✓ links: 15 rows, 1 page, ")
    assert done.stderr == ""


def in_terminal(
    command: Sequence[str],
    columns: int,
    meanwhile: Callable[[subprocess.Popen[bytes], int], None] = lambda process, terminal: None,
    exit_code: int = 0,
    **environment: str,
) -> str:
    """What a command writes to a terminal of so many columns, to its end."""
    ours, theirs = pty.openpty()
    resize(theirs, columns)
    given = {**os.environ, "TERM": "xterm-256color", **environment}
    given.pop("COLUMNS", None)  # a worker of pytest-xdist has it, and it would win
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=given, start_new_session=True
    )
    os.close(theirs)
    acting = Thread(target=meanwhile, args=(process, ours))
    acting.start()
    said = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    acting.join()
    text = said.decode()
    assert process.wait(timeout=120) == exit_code, text
    return text


def resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def plain(text: str) -> str:
    """The text without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)
