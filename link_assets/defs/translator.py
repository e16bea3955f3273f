"""What Dagster is told of each table: key, description, columns, owners, freshness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
from dagster_dlt import DagsterDltTranslator
from dagster_dlt.constants import META_KEY_PIPELINE, META_KEY_SOURCE, META_KEY_TRANSLATOR
from dagster_dlt.translator import DltResourceTranslatorData

from link_assets.contract import CLICKS, DATASET, LINKS, Table
from link_assets.settings import LocationSettings
from link_assets.warehouse.destinations.configured import destination_type

TABLES = {table.name: table for table in (LINKS, CLICKS)}
LINKS_KEY = dg.AssetKey([DATASET, LINKS.name])
CLICKS_KEY = dg.AssetKey([DATASET, CLICKS.name])


@dataclass
class LinkAssetsTranslator(DagsterDltTranslator):
    """Describes a resource by the contract; the asset key is the table's `dataset.table`."""

    settings: LocationSettings

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        table = TABLES[data.resource.name]
        return dg.AssetSpec(
            key=dg.AssetKey([DATASET, table.name]),
            deps=[LINKS_KEY] if table is CLICKS else [],
            description=table.description,
            group_name=DATASET,
            owners=[self.settings.owner],
            kinds={"dlt", destination_type().split(".")[-1]},
            freshness_policy=dg.FreshnessPolicy.time_window(timedelta(hours=self._hours(table))),
            metadata={
                "dagster/table_name": f"{DATASET}.{table.name}",
                "dagster/column_schema": column_schema(table),
            },
        )

    def _hours(self, table: Table) -> float:
        links = table is LINKS
        return self.settings.links_fresh_hours if links else self.settings.clicks_fresh_hours


def with_shown_metadata(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Give the metadata of dlt_assets that the UI cannot show a text that it can.

    Dagster merges metadata with what the asset was made with, so it cannot be left out.
    DagsterDltResource looks there for the source, pipeline and translator that it is not given.
    """

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        texts = {
            META_KEY_SOURCE: spec.metadata[META_KEY_SOURCE].name,
            META_KEY_PIPELINE: spec.metadata[META_KEY_PIPELINE].pipeline_name,
            META_KEY_TRANSLATOR: type(spec.metadata[META_KEY_TRANSLATOR]).__name__,
        }
        return spec.merge_attributes(metadata=texts)

    return asset.map_asset_specs(shown)


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns as Dagster shows them, described where the contract does."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.column,
                type=field.data_type,
                description=field.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=field.column not in table.primary_key
                ),
            )
            for field in table.columns
        ]
    )
