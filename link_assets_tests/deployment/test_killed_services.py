"""Services are killed during a backfill over two workers: every row is there, once, and true.

`ROUNDS=10 DOMAINS=40` is what docs/deploy.md has the figures of; they are printed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from link_assets.sandbox import Sandbox, World
from link_assets_tests.dagster_dev import until
from link_assets_tests.deployment.backfill import UNDER_WAY, Backfill
from link_assets_tests.deployment.redis_server import needs_redis
from link_assets_tests.deployment.services import (
    CODE_SERVER_IS_UP,
    DAEMON_IS_UP,
    Deployment,
    deployment,
)
from link_assets_tests.truth import (
    expected_days,
    expected_links,
    expected_tags,
    expected_world,
    loaded_clicks,
    loaded_days,
    loaded_links,
    loaded_rejections,
    loaded_tags,
    world_clicks,
)
from link_assets_tests.warehouse.destinations.postgres_server import needs_postgres

pytestmark = [pytest.mark.deployment, needs_postgres, needs_redis]

ROUNDS, FIRST = int(os.environ.get("ROUNDS", "1")), int(os.environ.get("FIRST_ROUND", "0"))
KILLS = 3
"""How many a round has; each begins with the kind that the last one ended before."""
WORLD = World(
    domains=int(os.environ.get("DOMAINS", "20")), links_per_domain=3, clicks_per_domain=120
)
STARTED, FAILURE, SUCCESS = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.SUCCESS,
)
BEGUN = (STARTED, FAILURE, SUCCESS)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Domains of 12 pages that take some seconds, and are committed in pieces."""
    monkeypatch.setenv("SOURCES__LINK_ASSETS__CHUNK_ROWS", "40")
    monkeypatch.setenv("LINK_ASSETS__DOMAINS_PER_RUN", "5")
    return Sandbox(world=WORLD, page_size=10, latency=0.5)


@pytest.fixture
def backfill(
    api: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Deployment, Backfill]]:
    """A backfill that has begun, and the deployment that does it."""
    with (
        deployment(workdir, monkeypatch) as (services, ui),
        dg.DagsterInstance.from_config(str(services["daemon"].folder)) as instance,
    ):
        backfill = Backfill(ui, instance, WORLD.domain_ids())
        backfill.start()
        yield services, backfill


@dataclass(frozen=True)
class Death:
    """A run that died, and on which worker."""

    run: dg.DagsterRun
    worker: str
    noticed_after: float


class Kills:
    """What may happen to a deployment."""

    def __init__(self, services: Deployment, backfill: Backfill) -> None:
        self._services, self._backfill = services, backfill
        self.deaths: list[Death] = []

    def worker(self) -> str:
        return self._run_dies(lambda name: self._services[name].kill(stay_away=True))

    def child(self) -> str:
        return self._run_dies(lambda name: self._services[name].kill_child())

    def _run_dies(self, kill: Callable[[str], None]) -> str:
        """Kills what has a run, amid it, and waits until Dagster knows."""
        run = self._backfill.amid(WORLD.clicks_per_domain)
        worker = self._backfill.worker_of(run)
        kill(worker)
        begun = time.monotonic()
        until(lambda: self._backfill.run(run.run_id).status == FAILURE)
        self.deaths.append(Death(run, worker, time.monotonic() - begun))
        return f"noticed after {self.deaths[-1].noticed_after:.0f} s"

    def let_back(self) -> bool:
        """Lets workers back whose run another one has begun again; True, to be waited with."""
        for death in self.deaths:
            if any(retry.status in BEGUN for retry in self._backfill.retries(death.run)):
                self._services[death.worker].let_back()
        return True

    def daemon(self) -> str:
        self._services["daemon"].kill_and_wait(DAEMON_IS_UP)
        return "started again"

    def code_server(self) -> str:
        self._services["code-server"].kill_and_wait(CODE_SERVER_IS_UP)
        return "started again"

    def postgres(self) -> str:
        return self._away(self._services.postgres.stop, self._services.postgres.start)

    def redis(self) -> str:
        return self._away(self._services.redis.kill, self._services.redis.start)

    def _away(self, stop: Callable[[], None], start: Callable[[], None]) -> str:
        stop()
        time.sleep(5)
        start()
        return "away for 5 s"


KINDS = ("worker", "child", "postgres", "redis", "daemon", "code_server")


@pytest.mark.parametrize("number", range(FIRST, FIRST + ROUNDS))
def test_a_backfill_is_finished_whatever_is_killed(
    number: int, backfill: tuple[Deployment, Backfill]
) -> None:
    services, runs = backfill
    dice, kills, begun = random.Random(number), Kills(services, runs), time.monotonic()
    kinds = [KINDS[(KILLS * number + place) % len(KINDS)] for place in range(KILLS)]
    for kind in kinds:
        until(lambda: kills.let_back() and runs.runs(STARTED), 120)
        time.sleep(dice.uniform(0, 4))
        print(f"round {number}: {kind}: {getattr(kills, kind)()}", flush=True)
    until(lambda: kills.let_back() and runs.is_complete(), 600)
    failed = {run.run_id for run in runs.runs(FAILURE)}
    print(f"round {number}: {len(failed)} runs failed, {time.monotonic() - begun:.0f} s in all")
    assert not runs.runs(*UNDER_WAY)
    # only without its storage do runs fail beside those that died
    assert "postgres" in kinds or failed == {death.run.run_id for death in kills.deaths}
    for death in kills.deaths:
        assert_another_worker_went_on(runs, death)
    assert_everything_is_true()


def assert_another_worker_went_on(runs: Backfill, death: Death) -> None:
    """The run was retried until it succeeded, from positions that had been committed."""
    (retry,) = runs.retries(death.run)
    pages = runs.resumed_pages(retry)
    while retry.status != SUCCESS:
        (retry,) = runs.retries(retry)
        pages += runs.resumed_pages(retry)
    print(f"  {death.worker}'s run was finished by {runs.worker_of(retry)} from pages {pages}")
    assert max(pages) > 1


def assert_everything_is_true() -> None:
    """Every table is what the API serves, field by field."""
    assert loaded_clicks() == expected_world(WORLD)
    assert loaded_links() == expected_links(WORLD.links())
    assert loaded_tags() == expected_tags(WORLD.links())
    clicks = {domain: world_clicks(WORLD, domain) for domain in WORLD.domain_ids()}
    assert loaded_days() == expected_days(clicks, WORLD.links())
    assert loaded_rejections() == []
