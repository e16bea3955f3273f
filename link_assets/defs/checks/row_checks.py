"""Checks on the rows of the tables.

A run that loads a table looks only at what was loaded since the last look: tables grow, and runs
should not cost more for it. A run without a load looks at every row; if that finds something,
other runs do, too, until it is mended.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from link_assets.contract import LINKS, Table
from link_assets.defs.checks.check import Check, CheckResult, checked_in_tables, counted, listed
from link_assets.defs.checks.link_paths import DomainPath, plain_sql, shown_path, unknown_paths
from link_assets.defs.checks.scope import Scope, began, evaluations
from link_assets.warehouse.reader import Reader

ROWS_SINCE = "rows_loaded_since"
REMEMBERED = 100
"""How many evaluations back a look at all rows may be before there has to be one again."""
COMPARED_PATHS = 10_000
"""How many paths that match no link as they are spelled are compared in every spelling."""
EXAMPLES = 3


@dataclass(frozen=True)
class Rows:
    """Rows of a table: all, or those of loads that began at `since` (Unix time) or later."""

    table: Table
    since: int | None = None

    def are(self, row: str) -> str:
        """The SQL condition that `row`, an alias of the table, is one of them."""
        # a load's id is the time at which it began, as text
        return "TRUE" if self.since is None else f"{row}._dlt_load_id >= '{self.since}'"

    def told(self, finding: CheckResult) -> CheckResult:
        """The finding, with the rows that were looked at."""
        if self.since is None:
            return finding.adding("Looked at all rows.")
        since = datetime.fromtimestamp(self.since, UTC)
        shown = {ROWS_SINCE: dg.MetadataValue.timestamp(since)}
        return finding.adding(f"Looked at the rows loaded since {since:%Y-%m-%d %H:%M} UTC.", shown)


def missing_values(reader: Reader, rows: Rows) -> CheckResult:
    """Required columns that are null in some row."""
    table = rows.table
    columns = [c for c in table.required if c not in table.primary_key] + list(table.primary_key)
    counts = ", ".join(f"count(*) - count({column})" for column in columns)
    ((total, *missing),) = reader.rows(
        f"SELECT count(*), {counts} FROM {{dataset}}.{table.name} AS r WHERE {rows.are('r')}"
    )
    empty = {column: count for column, count in zip(columns, missing, strict=True) if count}
    looked_at = f"{counted(total, 'row')} judged."
    if not empty:
        return CheckResult(metadata={"judged": total}, looked_at=looked_at)
    columns = ", ".join(f"{column} ({count} rows)" for column, count in empty.items())
    return CheckResult(
        f"Columns that the API's guide calls required are empty: {columns}.",
        "Ask the API's provider, or treat these columns as optional in what you build on them.",
        {"judged": total, **empty},
        looked_at,
    )


def repeated_keys(reader: Reader, rows: Rows) -> CheckResult:
    """Keys of the rows that stand in more than one row of the whole table."""
    name, columns = rows.table.name, rows.table.primary_key
    key = ", ".join(columns)
    among = "TRUE"
    if rows.since is not None:
        same = " AND ".join(f"r.{column} = t.{column}" for column in columns)
        among = f"EXISTS (SELECT 1 FROM {{dataset}}.{name} AS r WHERE {rows.are('r')} AND {same})"
    ((total, repeated),) = reader.rows(
        "SELECT count(*), count(CASE WHEN times > 1 THEN 1 END) FROM (SELECT count(*) AS times"
        f" FROM {{dataset}}.{name} AS t WHERE {among} GROUP BY {key}) AS counted"
    )
    numbers = {"judged": total, "repeated_keys": repeated}
    looked_at = f"{counted(total, 'key')} judged."
    if not repeated:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    return CheckResult(
        f"{repeated} keys ({key}) stand in more than one row of {name}.",
        "Rows were written past the loader: delete them and materialize the asset again.",
        numbers,
        looked_at,
    )


def unknown_columns(reader: Reader, rows: Rows) -> CheckResult:
    """Columns that the guide does not list, whatever is in them."""
    known = {column.column for column in rows.table.columns}
    found = [c for c in reader.columns(rows.table.name) if not c.startswith("_dlt_")]
    unknown = sorted(set(found) - known)
    numbers = {"judged": len(found), "unknown": len(unknown)}
    looked_at = f"{counted(len(found), 'column')} judged."
    if not unknown:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    return CheckResult(
        f"The API sends fields that its guide does not list: {listed(unknown)}.",
        "They are loaded as they come; add those you rely on to link_assets/contract.py.",
        {**numbers, "unknown_columns": unknown},
        looked_at,
    )


def unknown_links(reader: Reader, rows: Rows) -> CheckResult:
    """Redirecting clicks whose path belongs to no link of their domain, however it is spelled."""
    by_path = _redirects(rows)
    ((total, unmatched),) = reader.rows(
        "SELECT coalesce(sum(clicks), 0), coalesce(sum(CASE WHEN link IS NULL THEN clicks END), 0)"
        f" FROM ({by_path}) AS p"
    )
    without_link, not_judged = _without_link(reader, by_path, unmatched) if unmatched else ({}, 0)
    judged, unknown = int(total) - not_judged, sum(without_link.values())
    numbers = {"redirects": judged, "without_link": unknown}
    looked_at = f"{counted(judged, 'redirect')} judged."
    if not_judged:
        numbers["not_judged"] = not_judged
        looked_at += f" Not judged: {not_judged} through many more paths."
    if not unknown:
        return CheckResult(metadata=numbers, looked_at=looked_at)
    return CheckResult(
        f"{unknown} of {judged} redirects went through links that are not in the links table: "
        f"{_examples(without_link)}.",
        "Materialize link_assets/links; if they stay, the API does not list these links any more, "
        "or the domain redirects paths without a link, too.",
        numbers,
        looked_at,
    )


def _redirects(rows: Rows) -> str:
    """The SQL of redirects by domain and path, with a link's path that is plainly the same.

    The front page and the catch-all redirect (`/*`) have no link.
    """
    table = f"{{dataset}}.{rows.table.name}"
    return (
        "SELECT c.domain_id, c.path, c.clicks, l.path AS link"
        f" FROM (SELECT domain_id, path, count(*) AS clicks FROM {table} AS r"
        f" WHERE st BETWEEN 300 AND 399 AND {rows.are('r')} GROUP BY domain_id, path) AS c"
        f" LEFT JOIN (SELECT DISTINCT domain_id, {plain_sql('path')} AS path"
        f" FROM {{dataset}}.{LINKS.name}) AS l"
        f" ON l.domain_id = c.domain_id AND l.path = {plain_sql('c.path')}"
        f" WHERE {plain_sql('c.path')} NOT IN ('', '*')"
    )


def _without_link(
    reader: Reader, by_path: str, unmatched: int
) -> tuple[dict[DomainPath, int], int]:
    """The paths that are no link's in any spelling, and how many redirects were not compared."""
    paths = {
        (domain, path): clicks
        for domain, path, clicks in reader.rows(
            f"SELECT domain_id, path, clicks FROM ({by_path}) AS p WHERE link IS NULL"
            f" ORDER BY clicks DESC, domain_id, path LIMIT {COMPARED_PATHS}"
        )
    }
    domains = ", ".join(sorted({str(domain) for domain, _ in paths}))
    links = reader.each(
        f"SELECT domain_id, path FROM {{dataset}}.{LINKS.name}"
        f" WHERE path IS NOT NULL AND domain_id IN ({domains})"
    )
    not_compared = int(unmatched) - sum(paths.values())
    return unknown_paths(paths, ((domain, path) for domain, path in links)), not_compared


def _examples(paths: Mapping[DomainPath, int]) -> str:
    """The paths with most clicks, without their queries, which may be personal."""
    most = sorted(paths, key=lambda path: -paths[path])[:EXAMPLES]
    shown = [f"{shown_path(path)} of domain {domain}" for domain, path in most]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


WARN = dg.AssetCheckSeverity.WARN
RowsCheck = Check[[Reader, Rows]]
LINKS_DATA_CHECKS = (
    Check("required_columns", "Required columns are filled.", missing_values, WARN),
    Check("unique_keys", "No key stands in two rows.", repeated_keys),
    Check("no_unknown_columns", "Every column is in the guide.", unknown_columns, WARN),
)
CLICKS_DATA_CHECKS = (
    *LINKS_DATA_CHECKS,
    Check("known_links", "Redirects go through known links.", unknown_links, WARN),
)


def in_rows(
    instance: dg.DagsterInstance,
    scope: Scope,
    table: Table,
    asset_key: dg.AssetKey,
    checks: Sequence[RowsCheck],
) -> dict[str, Callable[[Reader], CheckResult]]:
    """By name of a check, what it finds in the rows that it has to look at in this scope."""
    keys = {check: dg.AssetCheckKey(asset_key, check.name) for check in checks}
    rows = {check: Rows(table, _since(instance, key, scope)) for check, key in keys.items()}
    return {check.name: partial(_find, check, rows[check]) for check in checks}


def _find(check: RowsCheck, rows: Rows, reader: Reader) -> CheckResult:
    found = checked_in_tables(partial(check.find, reader, rows), rows.table.name)
    return rows.told(found)


def _since(instance: dg.DagsterInstance, key: dg.AssetCheckKey, scope: Scope) -> int | None:
    """From when on loads are to be looked at; None: all.

    Also what was loaded since the last evaluation's run began: a run that failed may not have been
    checked.
    """
    known = evaluations(instance, key, REMEMBERED)
    whole = next((n for n, (_, e) in enumerate(known) if ROWS_SINCE not in e.metadata), None)
    if scope.began is None or whole is None or not all(e.passed for _, e in known[: whole + 1]):
        return None
    last_run, _ = known[0]
    last_began = began(instance, last_run)
    return None if last_began is None else min(scope.began, last_began)
