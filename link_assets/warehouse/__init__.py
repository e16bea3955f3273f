"""Where rows go: dlt pipelines that fetch side by side and write a warehouse one at a time.

The way of the data, from the source to the tables:

    chunk of domain 1     chunk of domain 2     ...     pipeline "links"
          |                     |                         saved state  <- lock
          +---------------------+                         extract
             those that wait                              normalize
             when a load ends                                |
                    |                                        |
             extract, normalize                              |
                    +----------------------------------------+
                                      |   files that are ready to load
                                      v
                     lock: one process, one thread at a time
                                      |
                    missing tables and columns are created
             does each domain still stand where its chunk begins?
                                      v
                    staging: what this load brings, by itself
                                      |   merge on the keys
                                      v
         tables, and with them the positions: where the next load starts

What each file is for:

    pipeline.py       a pipeline that holds the warehouse only while it has to
    group_commit.py   which chunks share a load: in order, one fetched ahead
    group_load.py     one load of many domains, and what becomes of the others if one fails
    former_names.py   columns that earlier versions named otherwise
    positions.py      where each domain stands, and whether that may be believed
    access.py         exclusive access to the warehouse, and what is said when it is not to be had
    backup.py         copies of a warehouse that is a file
    lock.py           the lock across processes and threads behind it
    reader.py         queries
    row_counts.py     how many clicks a run added
    deleted_links.py  marking links that are gone from the API's listing
    link_join.py      the SQL by which clicks join links
    loaded_api.py     which API the rows come from
    domain_filter.py  the SQL that rows are of some domains
    utc_days.py       the SQL of a click's day
    daily_clicks.py   computing the days whose clicks or links have changed
    old_clicks.py     deleting clicks that are not kept, whose days stay
    old_loads.py      deleting dlt's records of old loads
    errors.py         exceptions, and what a database's error may be quoted as
    redaction.py      blanking quoted values in errors and logs
    process.py        what is set up in a process before dlt is used
    destinations/     which warehouse is configured, and what is particular to each kind

This package knows neither Dagster nor the source, and importing it changes nothing.
"""
