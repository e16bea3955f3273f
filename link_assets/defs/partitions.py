"""The domain partitions and how they are discovered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from link_assets.rows.convert import INT64
from link_assets.settings import location_settings
from link_assets.source.dialects import dialect_type
from link_assets.warehouse.reader import reading

if TYPE_CHECKING:
    from dagster import DagsterInstance

PARTITIONS_NAME = "domain"
domain_partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS_NAME)


def domain_id(partition_key: str) -> int:
    """The domain's id that a partition key spells; raises dg.Failure if it is no such id.

    An id has one spelling, or two partitions could load the same domain.
    """
    if not is_domain_id(partition_key):
        raise dg.Failure(
            f"The partition key {partition_key!r} is not a domain id: ids are whole numbers of "
            "64 bits, not negative, without leading zeros. "
            f"Delete it from the dynamic partitions '{PARTITIONS_NAME}' in the Dagster UI.",
            allow_retries=False,
        )
    return int(partition_key)


def is_domain_id(key: str) -> bool:
    """Whether a partition key spells a domain's id."""
    return bool(re.fullmatch(r"0|[1-9][0-9]{0,18}", key)) and int(key) in INT64


def known_domains(instance: DagsterInstance) -> Sequence[str]:
    """The registered domains that the allow-list admits, oldest first."""
    allowed = location_settings().allowed_domains
    keys = instance.get_dynamic_partitions(PARTITIONS_NAME)
    return [key for key in keys if not allowed or key in allowed]


def register_domains(instance: DagsterInstance) -> Sequence[str]:
    """Registers a partition for each domain of the loaded links that has none; returns the new.

    The allow-list narrows what is registered. Partitions are never removed.
    """
    table, column = dialect_type().domains_column
    with reading() as reader:
        rows = reader.rows(
            f"SELECT DISTINCT {column} FROM {{dataset}}.{table}"
            f" WHERE {column} >= 0 ORDER BY {column}"
        )
    allowed = location_settings().allowed_domains
    found = [str(domain) for (domain,) in rows if not allowed or str(domain) in allowed]
    known = set(instance.get_dynamic_partitions(PARTITIONS_NAME))
    new = [key for key in found if key not in known]
    if new:
        instance.add_dynamic_partitions(PARTITIONS_NAME, new)
    return new
