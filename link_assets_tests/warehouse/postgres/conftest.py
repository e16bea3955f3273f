"""An empty database for each test of this folder."""

from __future__ import annotations

from link_assets_tests.warehouse.destinations.test_postgres import destination as destination
from link_assets_tests.warehouse.destinations.test_postgres import port as port
from link_assets_tests.warehouse.destinations.test_postgres import server as server
