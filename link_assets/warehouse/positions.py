"""Where the load of each domain stands: rows of a table of the loader's own.

A position travels in the same dlt load as the rows that come before it. dlt does not load the
tables of a load in one transaction, so a position counts only if its load is complete in
`_dlt_loads`. Positions of a domain are numbered; the next load writes the number that follows, and
only if nobody else has. Earlier versions kept positions in dlt's pipeline state, one pipeline for
each domain; `read_positions` goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import dlt_load_id_column
from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.extract import DltResource

from link_assets.contract import CLICKS, DATASET
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.errors import ConcurrentWriteError
from link_assets.warehouse.reader import Reader

TABLE = "_positions"
COLUMNS: list[TColumnSchema] = [
    {"name": "domain_id", "data_type": "bigint", "nullable": False},
    {"name": "number", "data_type": "bigint", "nullable": False},
    {"name": "state", "data_type": "text", "nullable": False},
    dlt_load_id_column(),
]
FORMER_PIPELINE = f"{DATASET}_{CLICKS.name}_"
"""What the names of the pipelines began with that kept positions in their state."""


@dataclass(frozen=True)
class Position:
    """Where the load of a domain stands.

    `number` is 0 before the first one of the table. `state` is the source's to read, and JSON.
    """

    number: int = 0
    state: Mapping[str, Any] = field(default_factory=dict)


def read_positions(reader: Reader, domains: Collection[int]) -> dict[int, Position]:
    """Return where the loads of these domains stand, by id; in one query once all are known.

    Domains that were never loaded are not in it.
    """
    found = _current(reader, domains)
    return {**_former(reader, set(domains) - found.keys()), **found}


def api_of_positions(reader: Reader) -> str | None:
    """Return the name of the API that a domain's clicks come from; None if that is not known."""
    with suppress(DatabaseUndefinedRelation):
        query = f"SELECT p.state FROM {{dataset}}.{TABLE} p WHERE {_complete('p')} LIMIT 1"
        return next((json.loads(state).get("api") for (state,) in reader.rows(query)), None)
    return None


def _current(reader: Reader, domains: Collection[int]) -> dict[int, Position]:
    query = f"SELECT p.domain_id, p.number, p.state {_believed(domains)}"
    with suppress(DatabaseUndefinedRelation):
        return {
            domain: Position(number, json.loads(state))
            for domain, number, state in sorted(map(tuple, reader.rows(query)))
        }
    return {}


def _former(reader: Reader, domains: Collection[int]) -> dict[int, Position]:
    """Return the positions that the state of the domains' former pipelines has."""
    names = ", ".join(f"'{FORMER_PIPELINE}{domain}'" for domain in domains) or "NULL"
    query = (
        "SELECT s.pipeline_name, s.state FROM {dataset}._dlt_pipeline_state s"
        f" WHERE s.pipeline_name IN ({names}) AND {_complete('s')} ORDER BY s._dlt_load_id"
    )
    with suppress(DatabaseUndefinedRelation):
        states = dict(map(tuple, reader.rows(query)))
        return {
            int(name.removeprefix(FORMER_PIPELINE)): Position(state=_state_of_clicks(state))
            for name, state in states.items()
        }
    return {}


def _state_of_clicks(state: str) -> dict[str, Any]:
    """Return what a former pipeline's state, as dlt stores it, keeps of the clicks."""
    sources: Any = decompress_state(state).get("sources", {})
    return sources.get(DATASET, {}).get("resources", {}).get(CLICKS.name, {})


def positions_resource(positions: Mapping[int, Position]) -> DltResource:
    """Return a resource that adds these positions, by domain, to the table."""

    def rows() -> Iterable[Any]:
        import pyarrow as pa

        fields = [("domain_id", pa.int64()), ("number", pa.int64()), ("state", pa.string())]
        rows = [
            {"domain_id": domain, "number": position.number, "state": json.dumps(position.state)}
            for domain, position in positions.items()
        ]
        schema = pa.schema([pa.field(*field, nullable=False) for field in fields])
        yield pa.Table.from_pylist(rows, schema)

    return dlt.resource(rows, name=TABLE, write_disposition="append", columns=COLUMNS)


def require_positions(reader: Reader, expected: Mapping[int, int]) -> None:
    """Make sure that the domains stand at these numbers, and delete positions before them.

    So the table has two positions of a domain at most. Call it with the warehouse held, once the
    tables are there.

    Raises:
        ConcurrentWriteError: Another run has written a position since.
    """
    query = f"SELECT p.domain_id, p.number, p._dlt_load_id {_believed(expected)}"
    found = {domain: rest for domain, *rest in sorted(map(tuple, reader.rows(query)))}
    moved = [d for d, number in expected.items() if found.get(d, [0])[0] != number]
    if moved:
        raise ConcurrentWriteError(moved)
    kept = [f"(domain_id = {d} AND _dlt_load_id = '{load}')" for d, (_, load) in found.items()]
    reader.run(
        f"DELETE FROM {{dataset}}.{TABLE} WHERE {of_domains(expected)}"
        f" AND NOT ({' OR '.join(kept) or '1 = 0'})"
    )


def _believed(domains: Collection[int]) -> str:
    """Return the rest of a query of all positions `p` of these domains whose load is complete."""
    return f"FROM {{dataset}}.{TABLE} p WHERE {of_domains(domains, 'p')} AND {_complete('p')}"


def _complete(row: str) -> str:
    loads = f"SELECT 1 FROM {{dataset}}._dlt_loads l WHERE l.load_id = {row}._dlt_load_id"
    return f"EXISTS ({loads} AND l.status = 0)"
