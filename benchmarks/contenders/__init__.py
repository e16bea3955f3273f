"""What is measured, a module each way of loading, so that a process imports no other's."""

API_KEY = "benchmark"
FILE = "benchmark.duckdb"
"""The warehouse, in the folder that a contender runs in."""
CLICKS_PATH, LINKS_PATH = "/v1/domain/{}/link_clicks", "/v1/links"
