"""Do redirects go through links that the table `links` has? The check `known_links`.

The database joins clicks to links (warehouse.link_join); of what is left, the paths with most
clicks are compared in every spelling by `link_paths`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg

from link_assets.contract import DOMAINS, LINKS
from link_assets.defs.checks.check import CheckResult, counted
from link_assets.defs.checks.judged_rows import Rows, RowsCheck
from link_assets.defs.checks.link_paths import DomainPath, shown_path, unknown_paths
from link_assets.defs.domain_names import DomainNames, names_in
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.link_join import clicks_with_links, missing_tables
from link_assets.warehouse.reader import Reader

COMPARED_PATHS = 10_000
"""How many paths that the join finds no link for are compared in every spelling."""
EXAMPLES = 3
"""How many unknown paths a message names."""


def unknown_links(reader: Reader, rows: Rows) -> CheckResult:
    """Find redirects whose path belongs to no link of their domain, however it is spelled."""
    missing = missing_tables(reader)
    by_path = _redirects(rows, missing)
    ((total, unmatched),) = reader.rows(
        "SELECT coalesce(sum(clicks), 0), coalesce(sum(CASE WHEN link IS NULL THEN clicks END), 0)"
        f" FROM ({by_path}) AS p"
    )
    without_link, not_judged = (
        _without_link(reader, by_path, unmatched, missing) if unmatched else ({}, 0)
    )
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
        f"{_examples(without_link, names_in(reader))}.",
        "Materialize link_assets/links; if they stay, the API does not list these links any more, "
        "or the domain redirects paths without a link, too.",
        numbers,
        looked_at,
    )


def _redirects(rows: Rows, missing: Collection[str]) -> str:
    """Return the SQL of redirects by domain and path, with the link that the path joins.

    The front page and the catch-all redirect (`/*`) have no link.
    """
    redirects = (
        "(SELECT domain_id, path, max(st) AS st, count(*) AS clicks"
        f" FROM {{dataset}}.{rows.table.name} AS r"
        f" WHERE st BETWEEN 300 AND 399 AND {rows.are('r')} GROUP BY domain_id, path)"
    )
    joined = clicks_with_links(redirects, missing)
    return (
        "SELECT domain_id, path, clicks, link_id AS link"
        f" FROM ({joined}) AS j WHERE link_path NOT IN ('', '*')"
    )


def _without_link(
    reader: Reader, by_path: str, unmatched: int, missing: Collection[str]
) -> tuple[dict[DomainPath, int], int]:
    """Return the paths that are no link's in any spelling, and the number of redirects left out."""
    paths = {
        (domain, path): clicks
        for domain, path, clicks in reader.rows(
            f"SELECT domain_id, path, clicks FROM ({by_path}) AS p WHERE link IS NULL"
            f" ORDER BY clicks DESC, domain_id, path LIMIT {COMPARED_PATHS}"
        )
    }
    domains = sorted({domain for domain, _ in paths})
    links = reader.each(
        f"SELECT domain_id, path FROM {{dataset}}.{LINKS.name}"
        f" WHERE path IS NOT NULL AND {of_domains(domains)}"
    )
    not_compared = int(unmatched) - sum(paths.values())
    exact = _case_sensitive(reader, missing)
    return unknown_paths(paths, ((domain, path) for domain, path in links), exact), not_compared


def _case_sensitive(reader: Reader, missing: Collection[str]) -> set[int]:
    """Return the domains whose paths are told apart by case."""
    if DOMAINS.name in missing:
        return set()
    query = f"SELECT id FROM {{dataset}}.{DOMAINS.name} WHERE case_sensitive"
    return {domain for (domain,) in reader.rows(query)}


def _examples(paths: Mapping[DomainPath, int], names: DomainNames) -> str:
    """Return the paths with most clicks, without their queries, which may be personal."""
    most = sorted(paths, key=lambda path: -paths[path])[:EXAMPLES]
    shown = [f"{shown_path(path)} of domain {names.of(domain)}" for domain, path in most]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


KNOWN_LINKS = RowsCheck(
    "known_links",
    "Redirects go through known links.",
    unknown_links,
    dg.AssetCheckSeverity.WARN,
)
