"""Dagster's home: the folder in which it keeps runs, events and schedules between commands.

`demo`, `dev`, `load` and `status` use it, `dev` for one process at a time. Plain `dagster dev`
finds the same folder through the project's dagster.yaml.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER = ".dagster_home"
INSTANCE_SETTINGS = Path(__file__).with_name("dagster.yaml")
"""How an instance that the commands make is set; the project's dagster.yaml says the same."""


class HomeError(Exception):
    """Dagster's home cannot be used; the message says why and what to do."""


def use_dagster_home() -> Path:
    """Return Dagster's home for this process and its children; make it if it is missing.

    DAGSTER_HOME wins where it is set, and is left as it is. Otherwise it is set to `.dagster_home`
    in the working folder.
    """
    home = Path(FOLDER).absolute()
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given).expanduser()
    os.environ["DAGSTER_HOME"] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(INSTANCE_SETTINGS, home / "dagster.yaml")
    return home


def use_existing_home() -> Path:
    """Return Dagster's home likewise, but make nothing.

    Raises:
        HomeError: There is none.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or Path(FOLDER).absolute()).expanduser()
    if not (home.is_absolute() and home.is_dir()):
        raise HomeError(
            f"There is no folder {home}, in which Dagster would keep its runs: go to the folder in "
            "which link_assets loads, or set DAGSTER_HOME to an absolute path."
        )
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def in_use(home: Path, by: str) -> Iterator[None]:
    """Hold the home for this process alone; it is free again even if that is killed.

    Args:
        home: The folder, which must exist.
        by: Where this process can be found, as others that want the home are shown it.

    Raises:
        HomeError: Another process has it, or it cannot be used.
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
    """Return who has the home, as that process wrote it down."""
    unknown = "an unknown process"
    try:
        return file.read_text(encoding="utf-8") or unknown
    except (OSError, UnicodeDecodeError):
        return unknown
