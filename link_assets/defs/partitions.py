"""The domain partitions: which there are, how new ones are found, what a partition key is.

A partition is added for each domain, with links or without, and none is ever removed: its history
stays.
The allow-list `LINK_ASSETS__DOMAINS` is read each time, so that it takes effect without a reload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from link_assets.settings import is_domain_id, location_settings
from link_assets.warehouse.domains import listed_domains

if TYPE_CHECKING:
    from dagster import DagsterInstance

PARTITIONS_NAME = "domain"
domain_partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS_NAME)


def domain_id(partition_key: str) -> int:
    """Return the domain id that a partition key spells.

    An id has one spelling, or two partitions could load the same domain.

    Raises:
        dg.Failure: The key is not the id of a domain.
    """
    if not is_domain_id(partition_key):
        raise dg.Failure(
            f"The partition key {partition_key!r} is not a domain id: ids are whole numbers of "
            "64 bits, not negative, without leading zeros. "
            f"Delete it from the dynamic partitions '{PARTITIONS_NAME}' in the Dagster UI.",
            allow_retries=False,
        )
    return int(partition_key)


def known_domains(instance: DagsterInstance) -> Sequence[str]:
    """Return the registered domains that the allow-list admits, the oldest partition first."""
    allowed = location_settings().allowed_domains
    keys = instance.get_dynamic_partitions(PARTITIONS_NAME)
    return [key for key in keys if not allowed or key in allowed]


def register_domains(instance: DagsterInstance) -> Sequence[str]:
    """Register a partition for each loaded domain that has none; return the new ones.

    Only domains that the allow-list admits are registered.
    """
    allowed = location_settings().allowed_domains
    found = [str(domain) for domain in listed_domains() if not allowed or str(domain) in allowed]
    known = set(instance.get_dynamic_partitions(PARTITIONS_NAME))
    new = [key for key in found if key not in known]
    if new:
        instance.add_dynamic_partitions(PARTITIONS_NAME, new)
    return new


def show_on_partitions(
    context: dg.AssetExecutionContext, asset: dg.AssetKey, shown: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add metadata, by key, to the materializations of partitions that the run is named by."""
    # private to Dagster: its `add_asset_metadata` does no more, but first reads the partitions from
    # the instance, and so for each domain what takes longer than to load a small one
    step = context.get_step_execution_context()
    for key, metadata in shown.items():
        step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
            asset, key, metadata
        )
