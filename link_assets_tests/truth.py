"""What the warehouse must hold, worked out from what the API serves and the guide's fields.

Nothing of the package is asked: neither how it reads a value nor which columns it makes.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from link_assets.sandbox import Sandbox, World
from link_assets.sandbox.short_io import served_clicks, served_domains
from link_assets_tests.guide import CLICK_FIELDS, LINK_FIELDS
from link_assets_tests.support import rows

Row = tuple[Any, ...]
CLICK_COLUMNS = [column for _, column, _, _ in CLICK_FIELDS]

DAY_COLUMNS = (
    *("domain_id", "day", "link_id", "link_path", "clicks", "clicks_by_people", "visitors"),
    *("first_click", "last_click", "top_country", "top_referrer"),
)


def world_clicks(world: World, domain: int) -> list[dict[str, Any]]:
    """Every click of a domain as the API sends it, oldest first."""
    return [world.click(domain, number) for number in range(world.click_count(domain))]


def expected_clicks(clicks: Mapping[int, Iterable[dict[str, Any]]]) -> list[Row]:
    """Readable clicks by domain as the rows that must be there, in the order of `loaded_clicks`."""
    return sorted(
        (
            (domain, *(_stored(click.get(name), kind) for name, _, kind, _ in CLICK_FIELDS))
            for domain, listed in clicks.items()
            for click in listed
        ),
        key=repr,
    )


def expected_world(world: World, *domains: int) -> list[Row]:
    """The rows of some of a world's domains, or of all."""
    return expected_clicks({d: world_clicks(world, d) for d in domains or world.domain_ids()})


def expected_short_io(sandbox: Sandbox, *domains: int) -> list[Row]:
    """The rows of some domains of a sandbox that serves Short.io's contract, or of all."""
    wanted = domains or [domain["id"] for domain in served_domains(sandbox)]
    return expected_clicks({d: map(_by_the_guide, served_clicks(sandbox, d)) for d in wanted})


def _by_the_guide(click: dict[str, Any]) -> dict[str, Any]:
    """A click with its goal as text, which is what the guide's column is."""
    goal = click.get("goal_completed")
    return {**click, "goal_completed": None if goal is None else str(goal).lower()}


def loaded_clicks() -> list[Row]:
    """The domain and every documented field of every click in the warehouse."""
    return _select("domain_id", *CLICK_COLUMNS)


def loaded_clicks_with_keys() -> list[Row]:
    """The same with the click's id."""
    return _select("domain_id", "click_id", *CLICK_COLUMNS)


def expected_days(
    clicks: Mapping[int, Iterable[dict[str, Any]]], links: Iterable[dict[str, Any]]
) -> list[Row]:
    """The rows of `daily_clicks`, of domains that do not tell case apart, like `loaded_days`.

    No two links may have the same path, and no path may need an escape.
    """
    known = {(link["DomainId"], link["path"].lower().strip("/")): link["id"] for link in links}
    groups: defaultdict[Row, list[dict[str, Any]]] = defaultdict(list)
    for domain, listed in clicks.items():
        for click in listed:
            path = (click.get("path") or "").lower().partition("?")[0].strip("/")
            link = None if click.get("st") == 404 else known.get((domain, path))
            day = _stored(click["dt"], "timestamp").date()
            groups[domain, day, link, path if link else None].append(click)
    return sorted((key + _day(listed) for key, listed in groups.items()), key=repr)


def _day(clicks: list[dict[str, Any]]) -> Row:
    times = [_stored(click["dt"], "timestamp") for click in clicks]
    return (
        len(clicks),
        sum(click.get("human") is True for click in clicks),
        len({(click.get("ip"), click.get("ua")) for click in clicks}),
        min(times),
        max(times),
        _most(click.get("country") for click in clicks),
        _most(click.get("refhost") for click in clicks),
    )


def _most(values: Iterable[str | None]) -> str | None:
    counts = Counter(filter(None, values))
    return min(counts, key=lambda value: (-counts[value], value.encode()), default=None)


def loaded_days() -> list[Row]:
    """Every column of every row of the warehouse's `daily_clicks` but the technical ones."""
    return _select(*DAY_COLUMNS, table="daily_clicks")


def expected_links(links: Iterable[dict[str, Any]]) -> list[Row]:
    """Links as the rows that must be there, in the order of `loaded_links`."""
    return sorted(
        (tuple(_at(link, name, kind) for name, _, kind, _ in LINK_FIELDS) for link in links),
        key=repr,
    )


def loaded_links() -> list[Row]:
    """Every documented field of every link in the warehouse."""
    return _select(*(column for _, column, _, _ in LINK_FIELDS), table="links")


def expected_tags(links: Iterable[dict[str, Any]]) -> list[Row]:
    """Link id, place and text of every tag of the links."""
    return sorted((link["id"], i, tag) for link in links for i, tag in enumerate(link["tags"]))


def loaded_tags() -> list[Row]:
    """The same of the warehouse's tags; the id of a tag whose link is not there is None."""
    found = rows(
        "SELECT l.id, t._dlt_list_idx, t.value FROM {dataset}.links__tags AS t"
        " LEFT JOIN {dataset}.links AS l ON l._dlt_id = t._dlt_parent_id"
    )
    return sorted(found, key=repr)


def expected_rejections(domain: int | None, payloads: Iterable[Any]) -> list[Row]:
    """Domain and payload of rejected rows."""
    return sorted(((domain, json.dumps(row, sort_keys=True)) for row in payloads), key=repr)


def loaded_rejections() -> list[Row]:
    """The same of the warehouse's."""
    found = rows("SELECT domain_id, payload FROM {dataset}.rejected_rows")
    payloads = ((domain, json.dumps(json.loads(row), sort_keys=True)) for domain, row in found)
    return sorted(payloads, key=repr)


def _select(*columns: str, table: str = "clicks") -> list[Row]:
    found = rows(f"SELECT {', '.join(columns)} FROM {{dataset}}.{table}")
    return sorted((tuple(map(_utc, row)) for row in found), key=repr)


def _at(row: dict[str, Any], name: str, data_type: str) -> Any:
    outer, _, inner = name.partition(".")
    value = (row.get(outer) or {}).get(inner) if inner else row.get(outer)
    return _stored(value, data_type)


def _stored(value: Any, data_type: str) -> Any:
    return _utc(datetime.fromisoformat(value)) if value and data_type == "timestamp" else value


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
