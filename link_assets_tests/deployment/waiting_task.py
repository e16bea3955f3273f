"""A Celery app with one task, which a worker of the tests runs: `celery -A` names this module."""

from __future__ import annotations

import time
from pathlib import Path

from dagster_celery.make_app import make_app

app = make_app()


@app.task(name="wait_for", track_started=True)
def wait_for(file: str) -> None:
    """Ends when there is such a file."""
    while not Path(file).exists():
        time.sleep(0.05)
