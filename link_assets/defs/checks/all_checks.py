"""Which checks each table has. A new check is its own module and one line here.

`definitions` registers CHECKS, a step for each table.
"""

from __future__ import annotations

from link_assets.contract import CLICKS, DAILY_CLICKS, DOMAINS, LINKS
from link_assets.defs.checks.agreement import AGREES_WITH_SERVICE
from link_assets.defs.checks.freshness import (
    CLICKS_FRESH,
    DAILY_CLICKS_FRESH,
    DOMAINS_FRESH,
    LINKS_FRESH,
)
from link_assets.defs.checks.known_links import KNOWN_LINKS
from link_assets.defs.checks.last_loads import last_load_of_table, last_loads_by_domain
from link_assets.defs.checks.missing_rows import NO_MASS_DISAPPEARANCE
from link_assets.defs.checks.rejected_rows import (
    NO_REJECTED_CLICKS,
    NO_REJECTED_DOMAINS,
    NO_REJECTED_LINKS,
)
from link_assets.defs.checks.row_checks import NO_UNKNOWN_COLUMNS, REQUIRED_COLUMNS, UNIQUE_KEYS
from link_assets.defs.checks.table_checks import TableChecks
from link_assets.defs.checks.totals import TOTALS_AGREE
from link_assets.defs.checks.volume import USUAL_VOLUME

TABLES = (
    TableChecks(
        LINKS,
        last_load_of_table,
        (
            LINKS_FRESH,
            NO_REJECTED_LINKS,
            NO_MASS_DISAPPEARANCE,
            REQUIRED_COLUMNS,
            UNIQUE_KEYS,
            NO_UNKNOWN_COLUMNS,
        ),
    ),
    TableChecks(
        CLICKS,
        last_loads_by_domain,
        (
            CLICKS_FRESH,
            NO_REJECTED_CLICKS,
            REQUIRED_COLUMNS,
            UNIQUE_KEYS,
            NO_UNKNOWN_COLUMNS,
            KNOWN_LINKS,
            USUAL_VOLUME,
            AGREES_WITH_SERVICE,
        ),
        loaded_after=(DOMAINS, LINKS),
    ),
    TableChecks(
        DOMAINS,
        last_load_of_table,
        (
            DOMAINS_FRESH,
            NO_REJECTED_DOMAINS,
            REQUIRED_COLUMNS,
            UNIQUE_KEYS,
            NO_UNKNOWN_COLUMNS,
        ),
    ),
    TableChecks(
        DAILY_CLICKS,
        last_loads_by_domain,
        (DAILY_CLICKS_FRESH, UNIQUE_KEYS, TOTALS_AGREE),
        loaded_after=(DOMAINS, LINKS, CLICKS),
    ),
)
CHECKS = [table.step() for table in TABLES]
