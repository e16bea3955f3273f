"""How a table of the contract becomes an asset: its key, description, columns, owner, freshness.

The modules that define assets use it; everything that needs an asset's key takes it from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
from dagster_dlt import DagsterDltTranslator

# Private: the names under which `dlt_assets` puts metadata that the UI cannot show, and the type of
# what get_asset_spec is given, which dagster_dlt does not export
from dagster_dlt.constants import META_KEY_PIPELINE, META_KEY_SOURCE, META_KEY_TRANSLATOR
from dagster_dlt.translator import DltResourceTranslatorData

from link_assets.contract import (
    CLICKS,
    DAILY_CLICKS,
    DATASET,
    DOMAINS,
    LINKS,
    Field,
    Table,
)
from link_assets.defs import configuration
from link_assets.defs.descriptions import described
from link_assets.warehouse.destinations.configured import destination_type


def asset_key(table: Table) -> dg.AssetKey:
    """Return the key of a table's asset, which is the table's `dataset.table`."""
    return dg.AssetKey([DATASET, table.name])


DOMAINS_KEY = asset_key(DOMAINS)
LINKS_KEY = asset_key(LINKS)
CLICKS_KEY = asset_key(CLICKS)
DAILY_CLICKS_KEY = asset_key(DAILY_CLICKS)


def asset_spec(table: Table, deps: Iterable[dg.AssetKey], kind: str) -> dg.AssetSpec:
    """Return the description of a table's asset; `kind` is what fills the table."""
    window = timedelta(hours=configuration.fresh_hours(table))
    return dg.AssetSpec(
        key=asset_key(table),
        deps=deps,
        description=described(table),
        group_name=DATASET,
        owners=[configuration.SETTINGS.owner],
        kinds={kind, destination_type()},
        freshness_policy=dg.FreshnessPolicy.time_window(window),
        metadata={
            "dagster/table_name": f"{DATASET}.{table.name}",
            "dagster/column_schema": column_schema(table),
        },
    )


@dataclass
class LinkAssetsTranslator(DagsterDltTranslator):
    """Describes the assets that are loaded from a dlt source, one for each of its resources.

    `tables` are what the resources fill, of the same names, and `deps` are the assets that they are
    loaded after.
    """

    tables: Sequence[Table]
    deps: Sequence[dg.AssetKey] = ()

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Return the asset's description; dagster_dlt's own names an upstream asset of no use."""
        (table,) = (table for table in self.tables if table.name == data.resource.name)
        return asset_spec(table, self.deps, "dlt")


def with_shown_metadata(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset with names in place of the metadata that Dagster's UI cannot show.

    `dlt_assets` puts the source, the pipeline and the translator there as objects. Dagster merges
    metadata with what the asset was made with, so they cannot be left out.
    """

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        names = {
            META_KEY_SOURCE: spec.metadata[META_KEY_SOURCE].name,
            META_KEY_PIPELINE: spec.metadata[META_KEY_PIPELINE].pipeline_name,
            META_KEY_TRANSLATOR: type(spec.metadata[META_KEY_TRANSLATOR]).__name__,
        }
        return spec.merge_attributes(metadata=names)

    return asset.map_asset_specs(shown)


def column_schema(table: Table) -> dg.TableSchema:
    """Return the table's columns as Dagster shows them, with those tagged that need care."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.column,
                type=field.data_type,
                description=field.description or None,
                constraints=dg.TableColumnConstraints(nullable=field.column not in table.filled),
                tags=column_tags(table, field),
            )
            for field in table.columns
        ]
    )


def column_tags(table: Table, field: Field) -> dict[str, str]:
    """Return a column's tags: `key` for those of the merge key, `personal` with the group."""
    key = {"key": ""} if field.column in table.primary_key else {}
    return key | ({"personal": field.personal} if field.personal else {})
