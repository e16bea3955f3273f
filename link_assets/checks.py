"""Every check. Each result says what was found and what to do."""

from link_assets import data_checks, load_checks

CHECKS = [
    load_checks.links_fresh,
    load_checks.links_no_rejected_rows,
    load_checks.links_no_mass_disappearance,
    data_checks.LINKS_DATA_CHECKS,
    load_checks.clicks_fresh,
    load_checks.clicks_no_rejected_rows,
    data_checks.CLICKS_DATA_CHECKS,
    load_checks.clicks_usual_volume,
]
