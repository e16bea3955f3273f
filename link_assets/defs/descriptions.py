"""What an asset's page says first: what a row is, and the SQL that a user needs first."""

from __future__ import annotations

from link_assets.contract import Table

NOTES = {
    "clicks": "A partition is a domain. Partitions appear after domains and links are loaded.",
    "daily_clicks": "A partition is a domain. Days are computed after the clicks of the same run.",
}
QUERIES = {
    "domains": """\
SELECT id, hostname, state, created_at
FROM link_assets.domains ORDER BY hostname""",
    "links": """\
SELECT l.short_url, l.original_url, sum(d.clicks) AS clicks
FROM link_assets.links l
JOIN link_assets.daily_clicks d ON d.domain_id = l.domain_id AND d.link_id = l.id
WHERE l.deleted_at IS NULL
GROUP BY 1, 2 ORDER BY clicks DESC LIMIT 10""",
    "clicks": """\
SELECT d.hostname, c.dt, c.path, c.country, c.browser
FROM link_assets.clicks c
LEFT JOIN link_assets.domains d ON d.id = c.domain_id
WHERE c.human ORDER BY c.dt DESC LIMIT 100""",
    "daily_clicks": """\
SELECT day, sum(clicks) AS clicks, sum(clicks_by_people) AS by_people
FROM link_assets.daily_clicks
GROUP BY day ORDER BY day DESC LIMIT 28""",
}
"""By table, a query that runs in every warehouse as it stands."""


def described(table: Table) -> str:
    """Return the markdown of a table's asset: its description, a note, and a query."""
    query = QUERIES.get(table.name)
    parts = [table.description, NOTES.get(table.name), query and f"```sql\n{query}\n```"]
    return "\n\n".join(filter(None, parts))
