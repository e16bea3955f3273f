"""Dagster's storage of this project: a folder that survives a restart."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = ".dagster_home"
INSTANCE = """\
python_logs:
  managed_python_loggers: [link_assets]
  python_log_level: INFO
run_retries:
  enabled: true
  max_retries: 2
telemetry:
  enabled: false
nux:
  enabled: false
"""


def use_dagster_home() -> Path:
    """Dagster's home for this process and its children, made if it is missing.

    DAGSTER_HOME wins where it is set; otherwise it is set to `.dagster_home` in the working folder.
    """
    home = Path(FOLDER).absolute()
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    os.environ["DAGSTER_HOME"] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(INSTANCE)
    return home
