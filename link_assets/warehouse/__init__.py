"""Where rows go: dlt pipelines that fetch side by side and write a warehouse one at a time.

The way of the data, from the source to the tables:

    pipeline of domain 1        pipeline of domain 2        pipeline "links"
      saved state  <- lock        saved state  <- lock        saved state  <- lock
      extract                     extract                     extract
      normalize                   normalize                   normalize
          |                           |                           |
          +---------------------------+---------------------------+
                                      |   files that are ready to load
                                      v
                     lock: one process, one thread at a time
                                      |
                    missing tables and columns are created
                                      v
                    staging: what this load brings, by itself
                                      |   merge on the keys
                                      v
         tables, and with them the state: where the next load starts

A load in chunks runs one such pipeline after the other; the next one extracts while the one before
it loads (`chunks.py`).

What each file is for:

    pipeline.py       a pipeline that holds the warehouse only while it has to
    chunks.py         many loads of one pipeline name, in order, one fetched ahead
    access.py         exclusive access to the warehouse, and what is said when it is not to be had
    lock.py           the lock across processes and threads behind it
    reader.py         queries
    row_counts.py     how many clicks a run added
    deleted_links.py  marking links that are gone from the API's listing
    link_join.py      the SQL by which clicks join links
    loaded_api.py     which API the rows come from
    utc_days.py       the SQL of a click's day
    daily_clicks.py   computing the days whose clicks or links have changed
    errors.py         exceptions, and what a database's error may be quoted as
    redaction.py      blanking quoted values in errors and logs
    process.py        what is set up in a process before dlt is used
    destinations/     which warehouse is configured, and what is particular to each kind

This package knows neither Dagster nor the source, and importing it changes nothing.
"""
