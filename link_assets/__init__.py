"""Links and clicks of a link-analytics API, as Dagster assets in a warehouse."""
