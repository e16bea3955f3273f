"""Blanks the values that databases and logs quote, which may be personal data.

`errors.py` uses it on what a database says, `process.py` puts it on dlt's log. It works on text
only: personal fields of rows are treated in `rows/personal.py`, before anything is written.
"""

from __future__ import annotations

import logging
import re

from link_assets.contract import (
    CLICKS,
    DAILY_CLICKS,
    DATASET,
    LINK_SPELLINGS,
    LINK_TAGS,
    LINKS,
    REJECTED_ROWS,
)

_TABLES = [CLICKS, DAILY_CLICKS, LINKS, REJECTED_ROWS]
_CHILDREN = [f"{LINKS.name}__{child}" for child in (LINK_TAGS, LINK_SPELLINGS)]
_NAMES = "|".join(
    {
        *(f"(?:{DATASET}[.])?{name}" for name in (*(t.name for t in _TABLES), *_CHILDREN)),
        *(field.column for table in _TABLES for field in table.columns),
    }
)
_BETWEEN = r"(?:\b(?:and|column|for|from|in|is|of|on|relation|table|to)\b|[ ,.])*"
_QUOTED_NAMES = re.compile(
    # a value may have quotes in it: a name is only sure to be one as long as names alone are quoted
    rf"""[^'"]*(?:(['"])(?:{_NAMES})\1{_BETWEEN}(?=['"]))*(?:(['"])(?:{_NAMES})\2(?=[^'"]*\Z))?"""
)
"""Matches the beginning of a text, as far as only names of tables and columns are quoted in it."""


def without_quoted(text: str) -> str:
    """Return the text with `'...'` in place of what it quotes.

    Names of the contract's tables and columns stay, as long as nothing but such names is quoted
    before them. Everything from PostgreSQL's `DETAIL:` on is left out: it shows values of rows
    without quoting them.
    """
    text, details, _ = text.partition("\nDETAIL:")
    names = _QUOTED_NAMES.match(text)
    end = names.end() if names else 0
    # a value that was cut off together with the details has lost its closing quote
    quoted = r"""['"].*""" if details else r"""['"].*['"]"""
    return text[:end] + re.sub(quoted, "'...'", text[end:], flags=re.DOTALL)


class WithoutQuoted(logging.Filter):
    """A log filter that blanks what errors and warnings quote."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record passes. Drop an error's traceback, which would quote again."""
        if record.exc_info or record.levelno >= logging.WARNING:
            record.msg, record.args = without_quoted(record.getMessage()), ()
            record.exc_info = record.exc_text = None
        return True
