"""The sensor that tells a webhook of failed runs and failed checks, each once.

Off until it is started. A failed run is reported when it will not be retried, a check when it
begins to fail and when further domains fail it; one that goes on failing is not reported again.
All that is new is one message, so that one that could not be delivered is sent again as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus

import dagster as dg
import msgspec
import requests
from requests import RequestException
from urllib3.exceptions import HTTPError

from link_assets.defs import configuration
from link_assets.defs.checks.all_checks import CHECKS
from link_assets.defs.checks.check import is_failure
from link_assets.defs.checks.last_loads import PROBLEMS, UNNAMED
from link_assets.defs.checks.scope import NOT_JUDGED
from link_assets.defs.failures import explained
from link_assets.settings import ALERT_WEBHOOK, alert_webhook, environment_name

TIMEOUT_SECONDS = 10
FAILURES_AT_ONCE = 50
"""How many failed runs an evaluation looks at."""
MOST = 10
"""How many things a message reports; of the others it says how many they are."""
LONGEST = 3_000
"""How many characters of a cause are sent; Slack takes 40,000 in all."""
WILL_RETRY = "dagster/will_retry"
"""The tag by which Dagster says of a failed run that it will be retried."""


class AlertError(RuntimeError):
    """A message was not delivered; the text says why, without the webhook's address."""


class Reported(msgspec.Struct, frozen=True):
    """What was reported, or is too old to be: the sensor's cursor.

    Attributes:
        runs: The id in Dagster's storage of the last failure of a run that was looked at; None
            before the first evaluation.
        checks: The domains that fail each failing check; none where it does not judge domains.
        unnamed: How many more fail it, where a check does not name all.
    """

    runs: int | None = None
    checks: dict[str, list[str]] = msgspec.field(default_factory=dict)
    unnamed: dict[str, int] = msgspec.field(default_factory=dict)

    def has_further(self, now: Reported, name: str) -> bool:
        """Return whether a check begins to fail, or domains fail it that did not.

        Where not all were named, one that is named now may have failed before: then the number
        has to grow.
        """
        known = self.checks.get(name)
        if known is None:
            return True
        if not self.unnamed.get(name, 0):
            return not set(now.checks[name]) <= set(known)
        return now.failing(name) > self.failing(name)

    def failing(self, name: str) -> int:
        """Return how many domains fail a check."""
        return len(self.checks[name]) + self.unnamed.get(name, 0)


class Alert(msgspec.Struct, frozen=True):
    """One thing to report: why it failed, what it is, and its page in the UI."""

    cause: str
    what: str
    page: str

    def __str__(self) -> str:
        """Return it as a message says it, the cause first."""
        cause = self.cause if len(self.cause) <= LONGEST else f"{self.cause[:LONGEST]}..."
        return f"{cause}\n{self.what}: {configuration.SETTINGS.ui_url.rstrip('/')}{self.page}"


@dg.sensor(
    description="Tells a webhook of failed runs and failed checks, each once.",
    minimum_interval_seconds=30,
)
def alerts_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report what has failed since the last evaluation, and at first the checks that fail now.

    Raises:
        AlertError: The message was not delivered; the next evaluation sends it again.
    """
    webhook = alert_webhook()
    if not webhook:
        return dg.SkipReason(f"{environment_name(ALERT_WEBHOOK)} is not set.")
    before = msgspec.json.decode(context.cursor or "{}", type=Reported)
    runs, alerts = _failed_runs(context.instance, before.runs)
    now = Reported(runs, dict(before.checks), dict(before.unnamed))
    alerts += _failed_checks(context.instance, before, now)
    if alerts:
        _send(webhook, alerts)
    context.update_cursor(msgspec.json.encode(now).decode())
    return dg.SkipReason(f"{len(alerts)} reported." if alerts else "Nothing new has failed.")


def _failed_runs(instance: dg.DagsterInstance, last: int | None) -> tuple[int, list[Alert]]:
    """Return the id of the last failure that was looked at after this one, and what to report."""
    failed = dg.DagsterEventType.RUN_FAILURE
    if last is None:
        newest = instance.fetch_run_status_changes(failed, limit=1).records
        return newest[0].storage_id if newest else 0, []
    later, alerts = dg.RunStatusChangeRecordsFilter(failed, after_storage_id=last), []
    for record in instance.fetch_run_status_changes(
        later, FAILURES_AT_ONCE, ascending=True
    ).records:
        run = instance.get_run_by_id(record.run_id)
        if run and instance.run_retries_enabled and WILL_RETRY not in run.tags:
            break  # Dagster is about to decide: it and those after it are for the next evaluation
        if run and run.tags.get(WILL_RETRY) != "true":
            alerts.append(_run_alert(instance, run))
        last = record.storage_id
    return last, alerts


def _failed_checks(
    instance: dg.DagsterInstance, before: Reported, now: Reported
) -> Iterator[Alert]:
    """Yield what to report of checks, and put what fails now into `now`."""
    for evaluation in _judged(instance):
        name = _name(evaluation)
        if not is_failure(evaluation):
            now.checks.pop(name, None)
            now.unnamed.pop(name, None)
            continue
        now.checks[name] = _failing_domains(evaluation)
        unnamed = evaluation.metadata.get(UNNAMED)
        now.unnamed[name] = int(str(unnamed.value)) if unnamed else 0
        if before.has_further(now, name):
            yield _check_alert(evaluation)


def _run_alert(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Alert:
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    causes = [_cause(entry.get_dagster_event()) for entry in steps]
    if not causes:
        ends = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        causes = [entry.get_dagster_event().message or "It ended." for entry in ends]
    return Alert("\n".join(causes), f"Run of {run.job_name} failed", f"/runs/{run.run_id}")


def _cause(event: dg.DagsterEvent) -> str:
    """Return what failed a step: the explanation, or the kind of an error that has none.

    The text of such an error may quote a row, and stays in Dagster.
    """
    if known := explained(event):
        return known
    error = event.step_failure_data.error
    error = error and (error.cause or error)
    kind = error.cls_name if error else "failure"
    return f"Unexpected {kind} in {event.step_key}: its text is in the run's log."


def _judged(instance: dg.DagsterInstance) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the last evaluation of each check, but of those under way or that could not judge."""
    keys = [key for step in CHECKS for key in step.check_keys]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for record in latest.values():
        evaluation = record.evaluation
        # of one that is only planned it is something else
        is_evaluated = isinstance(evaluation, dg.AssetCheckEvaluation)
        if is_evaluated and NOT_JUDGED not in evaluation.metadata:
            yield evaluation


def _failing_domains(evaluation: dg.AssetCheckEvaluation) -> list[str]:
    """Return the domains that fail a check, as far as it names them."""
    named = evaluation.metadata.get(PROBLEMS)
    return str(named.value).split(", ") if named else []


def _name(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"


def _check_alert(evaluation: dg.AssetCheckEvaluation) -> Alert:
    path = "/".join(evaluation.asset_key.path)
    page = f"/assets/{path}?view=checks&checkDetail={evaluation.check_name}"
    return Alert(evaluation.description or "", f"Check {_name(evaluation)} failed", page)


def _send(webhook: str, alerts: Sequence[Alert]) -> None:
    """Post one message; raise AlertError if it is not taken."""
    more = [f"And {len(alerts) - MOST} more."] if len(alerts) > MOST else []
    text = "\n\n".join([*map(str, alerts[:MOST]), *more])
    try:
        answer = _post(webhook, text)
    except (RequestException, HTTPError) as error:
        reason = f"could not be reached ({type(error).__name__})"
    else:
        if answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return
        reason = f"answered {answer.status_code}"
    raise AlertError(
        f"The webhook of {environment_name(ALERT_WEBHOOK)} {reason}: check its address. What was "
        "to be reported is sent again with the next evaluation."
    )


def _post(webhook: str, text: str) -> requests.Response:
    if configuration.SETTINGS.alert_format == "slack":
        # Slack reads these three as its own marks
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body, kind = msgspec.json.encode({"text": escaped}), "application/json"
    else:
        body, kind = text.encode(), "text/plain; charset=utf-8"
    # a redirected POST becomes a GET, which delivers nothing; what is answered is not read
    with requests.post(
        webhook,
        body,
        headers={"Content-Type": kind},
        timeout=TIMEOUT_SECONDS,
        allow_redirects=False,
        stream=True,
    ) as answer:
        return answer
