"""Pages of clicks, parsed to Python objects, as Arrow tables.

`clicks_arrow` calls it for the pages that Arrow cannot read from their text. Many pages are
converted at once, column by column (`columns`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow.compute import call_function

from link_assets.contract import CLICKS
from link_assets.rows.arrow_types import arrow_schema
from link_assets.rows.click_ids import click_ids
from link_assets.rows.column_names import column_names
from link_assets.rows.columns import Column, read_column
from link_assets.rows.convert import as_text, convert_value
from link_assets.rows.rejected import Rejection, reject, unusable

DOCUMENTED = frozenset(f.name for f in CLICKS.fields)
"""The fields that the guide lists."""
_SCHEMA = arrow_schema(CLICKS)


@dataclass(frozen=True)
class ClickBatch:
    """Clicks of one or more pages: each row is either in `table` or in `rejections`.

    Attributes:
        table: The accepted rows: the contract's columns, then one text column for each
            undocumented field.
        rejections: The other rows, in their order.
        accepted: For each row of `table`, its number among all rows of the pages.
        versions: For each row of `table`, a hash of its JSON text: whether a click has changed
            since it came before. Empty unless `ClickReader` made the batch.
    """

    table: pa.Table
    rejections: list[Rejection]
    accepted: list[int]
    versions: list[int] = field(default_factory=list, compare=False)

    def since(self, time: datetime) -> ClickBatch:
        """Return the batch without the clicks before a time."""
        kept = call_function("greater_equal", [self.table.column("dt"), pa.scalar(time)])
        places = [place for place, is_kept in enumerate(kept.to_pylist()) if is_kept]
        if len(places) == len(self.table):
            return self
        return replace(
            self,
            table=self.table.filter(kept),
            accepted=[self.accepted[place] for place in places],
            versions=[self.versions[place] for place in places if self.versions],
        )


def click_batches(pages: Sequence[Sequence[Any]], domain_id: int) -> list[ClickBatch]:
    """Return one batch of all the pages, or one of each page if some row is rejected.

    So a batch with rejections is one page: identical rejected rows are numbered within it.
    """
    batch = _batch(pages, domain_id)
    whole = len(pages) == 1 or not batch.rejections
    return [batch] if whole else [_batch([page], domain_id) for page in pages]


def click_batch(rows: Sequence[Any], domain_id: int) -> ClickBatch:
    """Return a page of parsed rows as a batch.

    Undocumented fields are text (other values as their JSON text), because a column's type must
    not depend on which page or domain came first. A field that is null in every accepted row
    makes no column.
    """
    return _batch([rows], domain_id)


def click_span(table: pa.Table) -> tuple[datetime | None, datetime | None]:
    """Return the first and the last time in a table of clicks; None for an empty table."""
    ends = call_function("min_max", [table.column("dt")]).as_py()
    return ends["min"], ends["max"]


def _batch(pages: Sequence[Sequence[Any]], domain_id: int) -> ClickBatch:
    rows = [row for page in pages for row in page]
    page_of_row = [number for number, page in enumerate(pages) for _ in page]
    objects = [row if isinstance(row, dict) else {} for row in rows]
    columns = [*_documented(objects), *_undocumented(objects)]
    reasons = _reasons(rows, columns)
    table = pa.table({column.column: column.values for column in columns})
    accepted = [i for i in range(len(rows)) if i not in reasons]
    if reasons:
        table = table.take(pa.array(accepted, pa.int64()))
        page_of_row = [page_of_row[i] for i in accepted]
    rejections = [reject(rows[i], problems) for i, problems in sorted(reasons.items())]
    return ClickBatch(completed(table, domain_id, page_of_row), rejections, accepted)


def _documented(objects: list[dict[str, Any]]) -> Iterator[Column]:
    for f in CLICKS.fields:
        read = partial(convert_value, data_type=f.data_type)
        column = read_column(f.name, f.column, objects, f.data_type, read)
        yield _required(column) if f.column in CLICKS.primary_key else column


def _undocumented(objects: list[dict[str, Any]]) -> list[Column]:
    filled = [
        name
        for name in set().union(*objects) - DOCUMENTED
        if any(row.get(name) is not None for row in objects)
    ]
    columns = sorted(column_names(filled, CLICKS).items(), key=lambda item: item[1])
    return [read_column(name, column, objects, "text", as_text) for name, column in columns]


def _required(column: Column) -> Column:
    """Return the column with a problem wherever it has no value."""
    if not column.values.null_count:
        return column
    missing = [i for i, null in enumerate(column.values.is_null().to_pylist()) if null]
    problems = dict.fromkeys(missing, "is missing") | column.problems
    return Column(column.name, column.column, column.values, problems)


def _reasons(rows: Sequence[Any], columns: Iterable[Column]) -> dict[int, list[str]]:
    """Return by row number everything that keeps the row out of the table."""
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for column in columns:
        for i, problem in column.problems.items():
            reasons[i].append(f"{column.name}: {problem}")
    return reasons | {i: [unusable(row)] for i, row in enumerate(rows) if not isinstance(row, dict)}


def completed(
    table: pa.Table, domain_id: int, page_of_row: list[int], *, plain: bool = False
) -> pa.Table:
    """Return accepted rows with the domain and ids, without undocumented columns of nulls.

    Args:
        table: The documented columns and those of undocumented fields.
        domain_id: The domain that was clicked on.
        page_of_row: The number of the page that each row came on.
        plain: Whether it is known that JSON escapes no character of the texts.
    """
    domains = pa.repeat(pa.scalar(domain_id, pa.int64()), table.num_rows)
    ids = click_ids(table, domain_id, page_of_row, plain=plain)
    added = zip((f.column for f in CLICKS.added), (domains, ids), strict=True)
    kept = {
        name: values
        for name, values in zip(table.column_names, table.columns, strict=True)
        if name in _SCHEMA.names or values.null_count < len(values)
    }
    columns = dict(added) | kept
    unknown = (pa.field(name, pa.string()) for name in columns if name not in _SCHEMA.names)
    return pa.table(columns, schema=pa.schema([*_SCHEMA, *unknown]))
