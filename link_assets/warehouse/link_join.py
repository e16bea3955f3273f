"""Which link a click belongs to, in plain SQL that every warehouse runs.

The check `known_links` uses it, and so does whatever else joins clicks to links; docs/loading.md
shows it to users ("Joining clicks to links"), and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Collection

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from link_assets.contract import CLICKS, DOMAINS, LINK_SPELLINGS, LINKS
from link_assets.warehouse.reader import Reader

SPELLINGS_TABLE = f"{LINKS.name}__{LINK_SPELLINGS}"
STAND_INS = {
    DOMAINS.name: "(SELECT 0 AS id, FALSE AS case_sensitive) AS none",
    SPELLINGS_TABLE: "(SELECT '' AS _dlt_parent_id, '' AS value) AS none",
}
"""What stands for a table that an earlier version of this project did not make."""
NO_LINKS = (
    "(SELECT '' AS id, '' AS _dlt_id, '' AS path, 0 AS domain_id, CURRENT_TIMESTAMP AS created_at,"
    " CURRENT_TIMESTAMP AS deleted_at WHERE FALSE)"
)
"""What stands for the table of links before it is loaded, for those who ask for it."""

_SQL = """\
WITH cases AS (
    SELECT id AS domain_id, case_sensitive
    FROM {domains}
),
spellings AS (
    SELECT _dlt_parent_id AS link, value AS path
    FROM {spellings}
),
spelled AS (
    SELECT l.id, l.domain_id, l.path, l.created_at, l.deleted_at, 0 AS other
    FROM {links} AS l
    UNION ALL
    SELECT l.id, l.domain_id, s.path, l.created_at, l.deleted_at, 1 AS other
    FROM {links} AS l JOIN spellings AS s ON s.link = l._dlt_id
),
trimmed AS (
    SELECT s.*, trim(CASE WHEN d.case_sensitive THEN s.path ELSE lower(s.path) END, '/')
        AS link_path
    FROM spelled AS s LEFT JOIN cases AS d ON d.domain_id = s.domain_id
),
known AS (
    SELECT id AS link_id, domain_id, link_path, row_number() OVER (
        PARTITION BY domain_id, link_path
        ORDER BY (deleted_at IS NOT NULL), other, (created_at IS NULL), created_at DESC, id
    ) AS place
    FROM trimmed
    WHERE link_path NOT IN ('', '*')
),
clicked AS (
    SELECT c.*, CASE WHEN c.st = 404 THEN NULL ELSE trim(split_part(split_part(
        CASE WHEN d.case_sensitive THEN c.path ELSE lower(c.path) END, '?', 1), '#', 1), '/')
    END AS link_path
    FROM {clicks} AS c LEFT JOIN cases AS d ON d.domain_id = c.domain_id
)
SELECT c.*, k.link_id
FROM clicked AS c LEFT JOIN known AS k
    ON k.domain_id = c.domain_id AND k.link_path = c.link_path AND k.place = 1"""


def clicks_with_links(
    clicks: str = f"{{dataset}}.{CLICKS.name}", missing: Collection[str] = ()
) -> str:
    """Return the SQL of clicks with two more columns; each click comes once.

    `link_id` is the id of the click's link, null if it has none. `link_path` is what the link's
    path has to be, without slashes at its ends; null for an answer 404, which belongs to no link.

    A click belongs to the link of its domain id that has its path. Hosts are not compared: clicks
    are fetched by domain, and a host may be spelled in two ways. Paths are compared in lower case
    unless the domain tells case apart. The front page and `/*` have no link. Of several links with
    the path one that is not deleted comes first, then one that spells it so, then the newest.

    Args:
        clicks: The table of clicks, or a subquery in parentheses with their columns `domain_id`,
            `path` and `st` and any others.
        missing: Those of the STAND_INS' tables that are not there (see `missing_tables`), and
            `links` to have no link instead of an error.
    """
    domains, spellings = (
        stand_in if table in missing else f"{{dataset}}.{table}"
        for table, stand_in in STAND_INS.items()
    )
    links = NO_LINKS if LINKS.name in missing else f"{{dataset}}.{LINKS.name}"
    return _SQL.format(domains=domains, spellings=spellings, links=links, clicks=clicks)


def missing_tables(reader: Reader, *others: str) -> Collection[str]:
    """Return which of the STAND_INS' tables, and of others, are not in the warehouse."""
    return [table for table in (*STAND_INS, *others) if not _exists(reader, table)]


def _exists(reader: Reader, table: str) -> bool:
    try:
        reader.columns(table)
    except DatabaseUndefinedRelation:
        return False
    return True
