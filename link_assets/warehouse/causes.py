"""What an error was caused by."""

from __future__ import annotations

from typing import TypeVar

_E = TypeVar("_E", bound=BaseException)


def find_cause(error: BaseException | None, kind: type[_E]) -> _E | None:
    """The first exception of `kind` among `error` and what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
