"""What the webhook is told of runs that fail and checks, with a server on loopback."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from link_assets.defs import alerts, configuration
from link_assets.defs.alerts import WILL_RETRY, AlertError
from link_assets.defs.checks.last_loads import PROBLEMS, UNNAMED
from link_assets.defs.checks.scope import NOT_JUDGED
from link_assets.defs.translator import CLICKS_KEY
from link_assets.sandbox import Fault, Sandbox
from link_assets.settings import SettingsError
from link_assets_tests.defs.ticks import sense
from link_assets_tests.support import Location

SECRET = "T0-nobody-may-see-B1"
UI = "https://dagster.example.com"


@dataclass
class Webhook:
    """A server on loopback that keeps what it is sent, and answers as it is told."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The messages in Slack's form."""
        assert set(self.types) <= {"application/json"}
        return [json.loads(body)["text"] for body in self.bodies]


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that is configured, and the UI's address."""
    kept = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.types.append(self.headers["Content-Type"])
            kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(kept.status)
            if kept.status == HTTPStatus.FOUND:
                self.send_header("Location", "/login")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
        monkeypatch.setenv("LINK_ASSETS__ALERT_WEBHOOK", kept.url)
        configure(monkeypatch, ui_url=f"{UI}/")
        yield kept
        server.shutdown()


def configure(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    monkeypatch.setattr(configuration, "SETTINGS", replace(configuration.SETTINGS, **settings))


class Ticks:
    """Evaluations of the sensor, one after the other, each from where the one before ended."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, ""

    def __call__(self) -> str | None:
        """Evaluate it once; return why it asks for no run."""
        told = sense(self.instance, self.cursor or None, "alerts_sensor")
        assert told.run_requests == []
        self.cursor = told.cursor or self.cursor
        return told.skip_message


def fail(location: Location, sandbox: Sandbox, tags: dict[str, str] | None = None) -> str:
    """Fails a run of the links; returns its id."""
    sandbox.faults = [Fault(path="/v1/links", status=401, times=None)]
    result = location.run("links_job", tags=tags or {})
    assert not result.success
    sandbox.faults = []
    return result.run_id


def failure_of(tick: Ticks) -> str:
    """Evaluates the sensor, which fails; returns all that Dagster keeps of it."""
    try:
        tick()
    except (AlertError, SettingsError):
        return serializable_error_info_from_exc_info(sys.exc_info()).to_string()
    raise AssertionError("did not fail")


def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "CHECKS", [])


def test_a_failed_run_is_reported_once_with_the_cause_first_and_a_link(
    location: Location, sandbox: Sandbox, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    tick = Ticks(location.instance)
    assert tick() == "Nothing new has failed."
    run = fail(location, sandbox)
    assert tick() == "1 reported."
    (text,) = webhook.texts
    cause, page = text.splitlines()
    assert "the API answered 401 Unauthorized" in cause
    assert page == f"Run of links_job failed: {UI}/runs/{run}"
    assert tick() == "Nothing new has failed."
    assert len(webhook.bodies) == 1


@pytest.mark.long
def test_runs_that_failed_before_the_first_evaluation_are_not_reported(
    location: Location, sandbox: Sandbox, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    fail(location, sandbox)
    tick = Ticks(location.instance)
    assert tick() == tick() == "Nothing new has failed."
    fail(location, sandbox)
    fail(location, sandbox)
    assert tick() == "2 reported."
    (text,) = webhook.texts
    assert text.count("Run of links_job failed") == 2


@pytest.mark.long
def test_a_run_that_will_be_retried_is_not_reported_and_its_last_retry_is(
    location: Location, sandbox: Sandbox, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    tick = Ticks(location.instance)
    tick()
    fail(location, sandbox, {WILL_RETRY: "true"})
    assert tick() == "Nothing new has failed."
    last = fail(location, sandbox, {WILL_RETRY: "false"})
    assert tick() == "1 reported."
    assert last in webhook.texts[0]


@pytest.mark.long
def test_a_run_of_which_dagster_has_not_said_whether_it_is_retried_is_waited_for(
    location: Location, sandbox: Sandbox, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    tick = Ticks(location.instance)
    tick()
    undecided = fail(location, sandbox)
    with_retries = property(lambda _: True)
    monkeypatch.setattr(dg.DagsterInstance, "run_retries_enabled", with_retries)
    after = fail(location, sandbox)
    retried = location.instance.get_run_by_id(after)
    assert retried
    assert retried.tags[WILL_RETRY] == "true"
    assert tick() == "Nothing new has failed."
    location.instance.add_run_tags(undecided, {WILL_RETRY: "false"})
    assert tick() == "1 reported."
    assert undecided in webhook.texts[0]
    assert after not in webhook.texts[0]


def test_an_error_without_an_explanation_is_reported_without_its_text(
    location: Location, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    tick = Ticks(location.instance)
    tick()

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(f"a row of {SECRET}")

    monkeypatch.setattr("link_assets.defs.links.links_source", fail)
    assert not location.links().success
    assert tick() == "1 reported."
    (text,) = webhook.texts
    assert text.startswith("Unexpected ZeroDivisionError in links: its text is in the run's log.\n")
    assert SECRET not in text


def test_a_run_that_ended_without_a_failed_step_is_reported(
    instance: dg.DagsterInstance, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_checks(monkeypatch)
    tick = Ticks(instance)
    tick()
    lost = dg.DagsterRun(job_name="clicks_job", run_id="11111111-1111-4111-8111-111111111111")
    instance.add_run(lost)
    instance.report_run_failed(lost, "The run worker ended unexpectedly.")
    assert tick() == "1 reported."
    page = f"Run of clicks_job failed: {UI}/runs/{lost.run_id}"
    assert webhook.texts == [f"The run worker ended unexpectedly.\n{page}"]


def judge(instance: dg.DagsterInstance, *domains: str, name: str = "fresh", **given: Any) -> None:
    """Records what a check of the clicks finds: the domains that fail it, or that it passes."""
    shown: dict[str, Any] = {
        "passed": not domains,
        "severity": dg.AssetCheckSeverity.ERROR,
        "description": f"Not fresh: {', '.join(domains)}.",
        "metadata": {PROBLEMS: ", ".join(domains)} if domains else {},
    }
    evaluation = dg.AssetCheckEvaluation(
        asset_key=CLICKS_KEY, check_name=name, **{**shown, **given}
    )
    instance.report_runless_asset_event(evaluation)


def test_a_check_is_reported_when_it_begins_to_fail_and_not_while_it_goes_on(
    instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    tick = Ticks(instance)
    judge(instance)
    assert tick() == "Nothing new has failed."
    judge(instance, "1")
    assert tick() == "1 reported."
    page = f"{UI}/assets/link_assets/clicks?view=checks&amp;checkDetail=fresh"
    told = f"Not fresh: 1.\nCheck link_assets/clicks: fresh failed: {page}"
    assert webhook.texts == [told]
    judge(instance, "1")
    assert tick() == tick() == "Nothing new has failed."
    judge(instance)
    assert tick() == "Nothing new has failed."
    judge(instance, "1")
    assert tick() == "1 reported."
    assert webhook.texts == [told, told]


def test_a_failing_check_is_reported_again_when_further_domains_fail_it(
    instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    tick = Ticks(instance)
    said = []
    for failing in (["1"], ["1", "2"], ["2"], ["2"], ["2", "1"]):
        judge(instance, *failing)
        said.append(tick())
    none, one = "Nothing new has failed.", "1 reported."
    assert said == [one, one, none, none, one]
    assert "Not fresh: 1, 2." in webhook.texts[1]


def test_where_not_all_domains_are_named_their_number_tells_of_further_ones(
    instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    tick = Ticks(instance)
    said = []
    for named, unnamed in (("1, 2", 3), ("2, 3", 2), ("2, 3", 3), ("3, 4", 2), ("4", 0), ("5", 0)):
        shown = {PROBLEMS: named, **({UNNAMED: unnamed} if unnamed else {})}
        judge(instance, named, metadata=shown)
        said.append(tick())
    none, one = "Nothing new has failed.", "1 reported."
    assert said == [one, none, one, none, none, one]


def test_a_check_that_could_not_judge_has_not_passed(
    instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    tick = Ticks(instance)
    judge(instance, "1")
    assert tick() == "1 reported."
    busy, warning = {NOT_JUDGED: "the warehouse was busy"}, dg.AssetCheckSeverity.WARN
    judge(instance, passed=False, metadata=busy, severity=warning)
    assert tick() == "Nothing new has failed."
    judge(instance, "1")
    assert tick() == "Nothing new has failed."
    assert len(webhook.bodies) == 1


def test_a_check_that_warns_is_not_reported(instance: dg.DagsterInstance, webhook: Webhook) -> None:
    judge(instance, "1", severity=dg.AssetCheckSeverity.WARN)
    assert Ticks(instance)() == "Nothing new has failed."
    assert webhook.bodies == []


@pytest.mark.long
def test_checks_of_a_run_are_reported_with_the_run_as_one_message(
    location: Location, sandbox: Sandbox, webhook: Webhook
) -> None:
    assert location.links().success
    tick = Ticks(location.instance)
    tick()
    webhook.bodies.clear()
    sandbox.faults = [Fault(path="/v1/domain/2", status=401, times=None)]
    assert not location.clicks("1", "3").success
    assert (tick() or "").endswith(" reported.")
    (text,) = webhook.texts
    first, *others = text.split("\n\n")
    assert first.startswith("1 of 3 domains failed; the others are loaded.\nclicks of domain 2 (")
    assert any(
        other.startswith("Not fresh: domain 2 (go2.example.com) was never loaded.")
        and "Check link_assets/clicks: fresh failed: " in other
        for other in others
    )
    assert tick() == "Nothing new has failed."


def test_slack_reads_marks_as_text(instance: dg.DagsterInstance, webhook: Webhook) -> None:
    judge(instance, "1", description="<!channel> a & b > c")
    Ticks(instance)()
    assert webhook.texts[0].startswith("&lt;!channel&gt; a &amp; b &gt; c\n")
    assert webhook.types == ["application/json"]


def test_plain_text_is_sent_as_it_is(
    instance: dg.DagsterInstance, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, alert_format="text")
    judge(instance, "1", description="<café> & more")
    Ticks(instance)()
    assert webhook.types == ["text/plain; charset=utf-8"]
    assert webhook.bodies[0].decode().startswith("<café> & more\nCheck link_assets/clicks: fresh ")
    assert "&checkDetail=fresh" in webhook.bodies[0].decode()


def test_a_long_message_says_how_much_more_there_is(
    instance: dg.DagsterInstance, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MOST", 2)
    names = ("fresh", "unique_keys", "no_rejected_rows")
    for name in names:
        judge(instance, "1", name=name, description="x" * 5_000)
    assert Ticks(instance)() == "3 reported."
    (text,) = webhook.texts
    assert text.endswith("\n\nAnd 1 more.")
    assert text.count("x...\n") == 2
    assert len(text) < 7_000


@pytest.mark.parametrize("status", [500, 404, 302, None])
def test_what_the_webhook_does_not_take_is_sent_again_as_a_whole(
    instance: dg.DagsterInstance,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int | None,
) -> None:
    caplog.set_level(logging.INFO)
    tick = Ticks(instance)
    tick()
    judge(instance, "1")
    judge(instance, "2", name="unique_keys")
    if status:
        webhook.status, reason = status, f"answered {status}"
    else:
        monkeypatch.setenv("LINK_ASSETS__ALERT_WEBHOOK", f"http://127.0.0.1:1/{SECRET}")
        reason = "could not be reached (ConnectionError)"
    told = failure_of(tick)
    assert f"The webhook of LINK_ASSETS__ALERT_WEBHOOK {reason}: check its address." in told
    assert SECRET not in told + caplog.text
    webhook.status, refused = 200, len(webhook.bodies)
    monkeypatch.setenv("LINK_ASSETS__ALERT_WEBHOOK", webhook.url)
    assert tick() == "2 reported."
    (text,) = webhook.texts[refused:]
    assert "Check link_assets/clicks: fresh failed" in text
    assert "Check link_assets/clicks: unique_keys failed" in text


def test_without_a_webhook_the_sensor_says_so(instance: dg.DagsterInstance) -> None:
    judge(instance, "1")
    assert Ticks(instance)() == "LINK_ASSETS__ALERT_WEBHOOK is not set."


def test_a_webhook_that_no_request_can_be_made_for_is_told_without_its_address(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_ASSETS__ALERT_WEBHOOK", f"http://a..b/{SECRET}")
    judge(instance, "1")
    told = failure_of(Ticks(instance))
    assert "The webhook of LINK_ASSETS__ALERT_WEBHOOK could not be reached (" in told
    assert SECRET not in told


@pytest.mark.parametrize("address", [f"hooks.example/{SECRET}", f"ftp://{SECRET}"])
def test_an_unusable_webhook_fails_the_evaluation_by_its_name(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("LINK_ASSETS__ALERT_WEBHOOK", address)
    told = failure_of(Ticks(instance))
    assert "LINK_ASSETS__ALERT_WEBHOOK must be a URL with http or https." in told
    assert SECRET not in told
