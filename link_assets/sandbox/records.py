"""What the sandbox notes of each request, and the page tokens by which a listing goes on."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Position:
    """A page of a path, and where in its listing it begins: at its newest row if None."""

    path: str
    page: int = 1
    at: int | None = None

    def token(self) -> str:
        """Return an opaque text that `read` turns back, in this process or another."""
        text = json.dumps([self.path, self.page, self.at])
        return base64.urlsafe_b64encode(text.encode()).decode()

    @staticmethod
    def read(token: str, path: str) -> Position | None:
        """Return the position that a token of this path stands for; None for any other text."""
        try:
            _, page, at = json.loads(base64.urlsafe_b64decode(token.encode()))
        except (binascii.Error, ValueError, TypeError):
            return None
        position = Position(path, page, at)
        numbered = isinstance(page, int) and isinstance(at, int)
        return position if numbered and position.token() == token else None


@dataclass
class RequestRecord:
    """One request as it arrived.

    `position` is None if its page token is unreadable. `time` is monotonic. `body` is what its JSON
    says, None if it has none. `status` is that of the answer meant for it, None before there is
    one.
    """

    path: str
    params: dict[str, str]
    position: Position | None
    authorized: bool
    time: float
    status: int | None = None
    method: str = "GET"
    body: Any = None

    @property
    def page(self) -> int | None:
        """Return the number of the page that it asks for, from 1."""
        return self.position.page if self.position else None
