"""What is read: links and clicks, page by page, from an API over HTTP.

    rest        builds a dlt source of the parts below
    dialects/   which paths, parameters and positions an API has; one module for each API
    http        sends requests: connections, pace, timeouts, retries
    limited_connections   the pace, where one is set
    pages       lets valid pages through (salvage: text that is JSON but for some strings;
                refusals: what is said of an answer that is no page)
    paging      goes from page to page (endless: notices listings without end)
    resume      where a domain's read begins, pauses and goes on (rejected_ids, load_stats)
    transforms  turns pages of clicks into Arrow tables with `link_assets.rows`
    link_pages  the same for links, without those that are known (links_read, load_ids)
    click_chunks
                holds a domain's chunk until it is loaded with those of others (table_store)

The way of a page of clicks:

    request -> http -> pages -> paging -> transforms -> resume: does the chunk end here?
                                               |
                                               +-> rows, in another thread -> click_chunks,
                                                   with the position to go on from

Nothing here knows Dagster or the warehouse; `link_assets.domain_loads` and `link_assets.defs` bring
them together.
"""
