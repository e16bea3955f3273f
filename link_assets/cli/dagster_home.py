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
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from dagster import DagsterInstance

FOLDER = ".dagster_home"
INSTANCE_SETTINGS = Path(__file__).with_name("dagster.yaml")
"""How an instance that the commands make is set; the project's dagster.yaml says the same."""


DATABASES = "history"
"""The folder in a home in which Dagster keeps its records, unless dagster.yaml says otherwise."""


class HomeError(Exception):
    """Dagster's home cannot be used; the message says why and what to do."""


def use_dagster_home() -> Path:
    """Return Dagster's home for this process and its children; make it if it is missing.

    DAGSTER_HOME wins where it is set, and is left as it is. Otherwise it is set to `.dagster_home`
    in the working folder.

    Raises:
        HomeError: It cannot be made.
    """
    home = Path(FOLDER).absolute()
    if given := os.environ.get("DAGSTER_HOME"):
        return _used(Path(given).expanduser())
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(INSTANCE_SETTINGS, home / "dagster.yaml")
    except OSError as error:
        raise HomeError(
            f"{home}, in which Dagster is to keep its runs, cannot be made: {error.strerror}. Make "
            "room for that folder, or set DAGSTER_HOME to the absolute path of another."
        ) from None
    return _used(home)


def use_existing_home() -> Path:
    """Return Dagster's home likewise, but make nothing.

    Raises:
        HomeError: There is none, or nothing is in it yet.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or Path(FOLDER).absolute()).expanduser()
    if not (home.is_absolute() and home.is_dir()):
        raise HomeError(
            f"There is no folder {home}, in which Dagster would keep its runs: go to the folder in "
            "which link_assets loads, or set DAGSTER_HOME to an absolute path."
        )
    if not ((home / DATABASES).is_dir() or _is_kept_elsewhere(home)):
        raise HomeError(f"Dagster has no runs in its home {home} yet: load first.")
    return _used(home)


def _used(home: Path) -> Path:
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _is_kept_elsewhere(home: Path) -> bool:
    """Return whether dagster.yaml may say that records are not in the home."""
    from yaml import YAMLError, safe_load

    file = home / "dagster.yaml"
    try:
        settings = safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, UnicodeDecodeError, YAMLError):
        return True  # Dagster says what is wrong with it
    return any("storage" in str(setting) for setting in settings or ())


@contextmanager
def home_instance(home: Path) -> Iterator[DagsterInstance]:
    """Give the block Dagster's instance of a home, which `use_dagster_home` or another returned.

    Raises:
        HomeError: The home, its dagster.yaml or the databases in it cannot be used.
    """
    from dagster import DagsterError, DagsterInstance
    from sqlalchemy.exc import DBAPIError
    from yaml import YAMLError

    _require_folder(home)
    try:
        instance = DagsterInstance.get()
    except (DagsterError, YAMLError, OSError) as error:
        raise HomeError(
            f"Dagster's home {home} cannot be used: {' '.join(str(error).split())}"
        ) from None
    except DBAPIError as error:
        raise _unreadable(home, error.orig) from None
    try:
        with instance:
            yield instance
    except DBAPIError as error:
        raise _unreadable(home, error.orig) from None


def _unreadable(home: Path, reason: BaseException | None) -> HomeError:
    return HomeError(
        f"Dagster's records in its home {home} cannot be used ({reason}). Restore them, or move "
        "the folder away: the rows in the warehouse stay, and so does where each load goes on."
    )


@contextmanager
def in_use(home: Path, by: str) -> Iterator[None]:
    """Hold the home for this process alone; it is free again even if that is killed.

    Args:
        home: The folder, which must exist.
        by: Where this process can be found, as others that want the home are shown it.

    Raises:
        HomeError: Another process has it, or it cannot be used.
    """
    _require_folder(home)
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


def _require_folder(home: Path) -> None:
    if not (home.is_absolute() and home.is_dir()):
        raise HomeError(
            f"DAGSTER_HOME is {home}, which is not the absolute path of a folder: make the folder, "
            "or unset DAGSTER_HOME."
        )


def _owner(file: Path) -> str:
    """Return who has the home, as that process wrote it down."""
    unknown = "an unknown process"
    try:
        return file.read_text(encoding="utf-8") or unknown
    except (OSError, UnicodeDecodeError):
        return unknown
