"""How many clicks the warehouse has of each domain and day, for the checks that compare them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from link_assets.contract import CLICKS
from link_assets.settings import is_domain_id
from link_assets.warehouse.domain_filter import of_domains
from link_assets.warehouse.reader import Reader
from link_assets.warehouse.utc_days import DAY, date_of


def clicks_by_day(
    reader: Reader, first: date, domains: Iterable[str] | None = None, condition: str = "TRUE"
) -> Mapping[str, Mapping[date, int]]:
    """Count clicks by domain and day (UTC).

    Args:
        reader: That of the warehouse.
        first: The day to begin with.
        domains: Those whose clicks are counted; None for all.
        condition: The SQL condition that a click is counted.
    """
    among = "TRUE" if domains is None else of_domains(filter(is_domain_id, domains))
    rows = reader.rows(
        f"SELECT domain_id, {DAY}, count(*)"
        f" FROM {{dataset}}.{CLICKS.name}"
        f" WHERE dt >= '{first} 00:00:00+00' AND {among} AND {condition} GROUP BY 1, 2"
    )
    counts: defaultdict[str, dict[date, int]] = defaultdict(dict)
    for domain, day, clicks in rows:
        counts[str(domain)][date_of(day)] = clicks
    return counts
