"""Dagster's storage of this project: a folder that survives a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

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


class HomeError(Exception):
    """Dagster's home cannot be used; the message says why and what to do."""


def use_dagster_home() -> Path:
    """Returns Dagster's home for this process and its children, made if it is missing.

    DAGSTER_HOME wins where it is set; otherwise it is set to `.dagster_home` in the working folder.
    """
    home = Path(FOLDER).absolute()
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given).expanduser()
    os.environ["DAGSTER_HOME"] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(INSTANCE)
    return home


@contextmanager
def in_use(home: Path, by: str) -> Iterator[None]:
    """Keeps the home for one process, and gives it back even if that is killed.

    `by` is what others see of it. Raises HomeError if another process has it.
    """
    if not (home.is_absolute() and home.is_dir()):
        raise HomeError(
            f"DAGSTER_HOME is {home}, which is not the absolute path of a folder: make the folder, "
            "or unset DAGSTER_HOME."
        )
    lock, owner = FileLock(home / "dev.lock", timeout=0), home / "dev.owner"
    try:
        lock.acquire()
        owner.write_text(f"process {os.getpid()}, {by}", encoding="utf-8")
    except Timeout:
        raise HomeError(
            f"Dagster already runs on {home}: {_owner(owner)}. Use that one, stop it first, or "
            "start this one in another folder."
        ) from None
    except OSError as error:
        raise HomeError(f"{home} cannot be used as Dagster's home: {error.strerror}.") from None
    try:
        yield
    finally:
        lock.release()


def _owner(file: Path) -> str:
    unknown = "an unknown process"
    try:
        return file.read_text(encoding="utf-8") or unknown
    except (OSError, UnicodeDecodeError):
        return unknown
