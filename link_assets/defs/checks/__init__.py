"""The checks: one file for each question, and what they share.

    question                                         file
    was it loaded, and recently enough?              freshness
    could every row be read?                         rejected_rows
    are links missing that were not marked?          missing_rows
    are there far fewer clicks than usual?           volume
    has each day the clicks that the API counts?     agreement
    are columns filled and known, and keys unique?   row_checks
    do redirects go through known links?             known_links, link_paths
    do the daily clicks add up to the clicks?        totals

`check` is what a check and its result are. `scope` says what a run's checks look at, `last_loads`
and `judged_rows` read it: from Dagster, and from the warehouse. `all_checks` lists the checks of
each table, `table_checks` runs them as one step, and `failed_loads` runs them where a load fails. A
new check is its own file and a line in `all_checks`.
"""
