"""What a warehouse says about itself, with answers that hold for any destination of dlt.

The rest of `warehouse/` asks a `Warehouse` instead of comparing types. To add one, subclass it in a
new file of this folder, override what is particular to it, and add a line to `configured.py`. That
module is imported at start-up, so it imports drivers and dlt's clients only within methods.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import dlt
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    LookupTraces,
)
from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltSource

from link_assets.contract import DATASET
from link_assets.settings import SettingsError, environment_name
from link_assets.warehouse.errors import root_cause
from link_assets.warehouse.redaction import without_quoted

OWN_EXTRAS = {f"dlt[{extra}]": f"link-assets[{extra}]" for extra in ("postgres", "s3")}
"""What to install instead of dlt's own extras."""
LOCAL_FOLDER = "local_dir"
"""A field that dlt fills in later, which it counts as missing if another one is."""

_T = TypeVar("_T")


class OpenWarehouse:
    """The warehouse while this process uses it."""

    def run(self, purpose: str, action: Callable[[], _T]) -> _T:
        """Return what `action` returns; a subclass may repeat it with more resources.

        Args:
            purpose: What the action is for, as log lines say it.
            action: Reads or writes the warehouse; repeating it does no harm.
        """
        return action()

    def complete_file(self) -> None:
        """Have the file of a warehouse hold all that was written. By default do nothing."""

    def drop_staging(self) -> None:
        """Drop what earlier loads staged. By default do nothing: dlt empties its staging tables."""

    def has_tables_of(self, schema_hash: str) -> bool:
        """Return whether the tables of this version of a schema are known to be there."""
        return False

    def remember_tables_of(self, schema_hash: str) -> None:
        """Note that the tables of this version of a schema are there. By default do nothing."""


@dataclass(frozen=True)
class Warehouse:
    """A place that dlt loads into; two of the same settings are equal."""

    type: str
    """dlt's name of the destination, such as `duckdb`."""

    loader_file_format: ClassVar[Any] = None
    """Format of the files that dlt loads; None for the one that dlt prefers."""
    readers_need_lock: ClassVar[bool] = False
    """Whether a reader keeps writers of other processes out, and so has to hold the lock."""

    @property
    def address(self) -> str:
        """Return where users find the rows; empty where that may contain a password."""
        return ""

    @property
    def uri(self) -> str:
        """Return the address as a URI without user and password; empty where it is not known."""
        return ""

    @property
    def name(self) -> str:
        """Return what messages call the warehouse, at the beginning of a sentence."""
        return f"The warehouse {self.address or f'({self.type})'}"

    def require_settings(self) -> None:
        """Raise SettingsError if dlt cannot use the settings or lacks a package; open nothing."""
        section = f"destination.{self.type}"
        try:
            self.dataset().destination_client  # noqa: B018 - dlt reads them to make it
        except ConfigFieldMissingException as error:
            lacking = [environment_name(f"{section}.{key}") for key in _missing(error.traces)]
            raise SettingsError(
                f"{self.name} cannot be used: set {' and '.join(lacking)}."
            ) from None
        except MissingDependencyException as error:
            packages = " and ".join(OWN_EXTRAS.get(name, name) for name in error.dependencies)
            raise SettingsError(f"{self.name} cannot be used: install {packages}.") from None
        except ConfigurationException as error:
            raise SettingsError(
                f"{self.name} cannot be used: its settings, {environment_name(section)}__..., are "
                f"none of such a warehouse ({type(error).__name__})."
            ) from None

    def exists(self) -> bool:
        """Return whether reading is safe; False if it would make an empty warehouse."""
        return True

    @property
    def file_to_copy(self) -> Path:
        """Return the file that is the whole warehouse while nobody has it open.

        Raises:
            SettingsError: The warehouse is more than a file.
        """
        raise SettingsError(
            f"{self.name} is no file that could be copied: back it up, and restore it, by the "
            "means of its database."
        )

    def is_copy(self, file: Path) -> bool:
        """Return whether a file is such a warehouse, and has the dataset."""
        return False

    def add_in_copy(self, file: Path, table: str, column: str, number: int) -> None:
        """Add a number to a column of a copy, in all rows, if it has the table."""

    @property
    def machine(self) -> str:
        """Return a name for this machine, which is no domain's id, for staging datasets."""
        return "m" + hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()

    def destination(self, staging: str) -> Destination[Any, Any]:
        """Return dlt's destination for loads that stage under this name."""
        layout = self.staging_layout(staging)
        found = Destination.from_reference(self.type, staging_dataset_name_layout=layout)
        return cast(Destination[Any, Any], found)

    def staging_layout(self, staging: str) -> str:
        """Return dlt's pattern for the name of a staging dataset.

        Loads that run at the same time and share a staging dataset lose each other's rows.
        """
        return f"%s_staging_{staging}"

    def dataset(self) -> dlt.Dataset:
        """Return the dataset to read."""
        # a schema is given so that dlt does not read it from the warehouse first
        return dlt.dataset(self.destination("reader"), DATASET, dlt.Schema(DATASET))

    def lock_file(self) -> Path:
        """Return the file that processes lock to use the warehouse alone; its folder is made.

        By default it is a file for this machine: such a warehouse takes several writers, but first
        loads must not create the same tables at once.
        """
        return Path(tempfile.gettempdir()) / f"{DATASET}_{self._location_hash()}.lock"

    @contextmanager
    def open(self) -> Iterator[OpenWarehouse]:
        """Open the warehouse for this process, with the lock held. By default nothing is opened.

        Raises:
            OpenElsewhere: Another program has it open; it is worth trying again.
        """
        yield OpenWarehouse()

    @contextmanager
    def loading_alone(
        self, pipeline: dlt.Pipeline, parts: Sequence[str], seconds: float
    ) -> Iterator[None]:
        """Keep other machines from staging where this pipeline does, and from loading its `parts`.

        By default do nothing.

        Raises:
            TimeoutError: Another machine was still at it after `seconds`.
            HeldElsewhere: Other machines are loading some of several parts; that is not waited for.
        """
        yield

    @contextmanager
    def loads_kept_out(self, seconds: float) -> Iterator[None]:
        """Keep other machines from loading within the block, unless `writing_alone` does.

        By default do nothing.

        Raises:
            TimeoutError: Another machine was still at it after `seconds`.
        """
        yield

    def writing_alone(self, client: SqlClientBase[Any], table: str, seconds: float) -> None:
        """Keep other machines from replacing rows of a table until the client's transaction ends.

        By default do nothing: the lock file is enough where all writers share it.

        Raises:
            TimeoutError: Another machine was still at it after `seconds`.
        """

    def adapt_source(self, source: DltSource) -> None:
        """Change a source's hints to what suits this warehouse. By default do nothing."""

    def reason(self, error: BaseException) -> str:
        """Return the first line of what the database said, without values of rows.

        `error` is the driver's own or one that was raised from it.
        """
        cause = root_cause(error)
        text = self.message_without_values(cause) or without_quoted(str(cause))
        (line, *_) = text.splitlines() or [type(cause).__name__]
        return line.rstrip(".")

    def message_without_values(self, error: BaseException) -> str | None:
        """Return what a driver's error says if it quotes no value of a row; None if it may.

        By default it may, and what the message quotes is left out.
        """
        return None

    def advice(self, error: BaseException) -> str | None:
        """Return what to do about a refusal; None if there is nothing particular to say."""
        return None

    def _location_hash(self) -> str:
        """Return a text that differs between warehouses and gives no secret away."""
        config = self.dataset().destination_client.config
        location = (self.type, config.data_location(), DATASET)
        return hashlib.blake2b(repr(location).encode(), digest_size=8).hexdigest()


def _missing(fields: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Yield the names of the fields that dlt did not find, each with those it is a part of."""
    for name, traces in fields.items():
        nested = [trace.traces for trace in traces if isinstance(trace, LookupTraces)]
        yield from (f"{name}.{part}" for inner in nested[:1] for part in _missing(inner))
        if not nested and name != LOCAL_FOLDER:
            yield name
