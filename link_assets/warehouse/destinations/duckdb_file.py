"""Where the DuckDB file is, by dlt's settings; a setting that cannot work is refused at once.

`duckdb.py` asks for the path. Nothing here opens or creates a file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dlt

from link_assets.settings import SettingsError, environment_name

DEFAULT_FILE = "warehouse.duckdb"
FORMER_FILE = "link_assets.duckdb"
"""The default of earlier versions: where this file exists it is the warehouse, so that rows stay in
one file. Since file and schema have the same name, DuckDB wants its tables named by three parts."""
SETTINGS = (
    # dlt would try more, but a variable such as CREDENTIALS alone is meant for something else
    "destination.duckdb.credentials",
    "destination.duckdb.credentials.database",
    "destination.credentials",
)


def duckdb_path() -> Path:
    """Return the file's absolute path: from the first of SETTINGS that is given, or the default.

    Raises:
        SettingsError: The setting is not the path of a file; the message says what to give.
    """
    for setting in SETTINGS:
        given: Any = dlt.config.get(setting)  # type: ignore[arg-type]
        # in dlt's TOML files it may be a table, whose `database` comes next in SETTINGS
        if isinstance(given, str) and given.strip():
            return _path(given.strip(), environment_name(setting))
    former = Path(FORMER_FILE).absolute()
    return former if former.exists() else Path(DEFAULT_FILE).absolute()


def _path(text: str, variable: str) -> Path:
    file = _from_url(text, variable) if re.match(r"[A-Za-z][\w+.-]+:|{", text) else text
    if not file or file.startswith(":"):
        raise _unusable(variable, "the path of a file, since rows have to outlast a run")
    try:
        path = Path(file).expanduser().absolute()
        is_folder = path.is_dir() or file.endswith(("/", "\\"))
    except (RuntimeError, ValueError):
        raise _unusable(variable, "a path, such as ~/warehouse.duckdb") from None
    if is_folder:
        raise _unusable(variable, f"the path of a file, and {path} is a folder")
    return path


def _from_url(text: str, variable: str) -> str:
    scheme, _, rest = text.partition(":")
    url = urlsplit(text)
    if scheme.lower() in ("md", "motherduck"):
        raise _unusable(
            variable,
            "the path of a file. For MotherDuck set DESTINATION_TYPE=motherduck and "
            "DESTINATION__MOTHERDUCK__CREDENTIALS",
        )
    if scheme == "duckdb" and rest.startswith("///") and not (url.query or url.fragment):
        return rest.removeprefix("///")
    if scheme == "file" and url.netloc in ("", "localhost") and not (url.query or url.fragment):
        return unquote(url.path)
    raise _unusable(variable, "a path, or a URL such as duckdb:////folder/warehouse.duckdb")


def _unusable(variable: str, what: str) -> SettingsError:
    return SettingsError(f"{variable} must be {what}.")
