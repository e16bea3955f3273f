"""From the JSON text of rows to typed rows, by pure functions.

`source` calls them. Nothing here sends a request, keeps state or reads a setting. A row passes
the files in this order:

    raw_json        the row as JSON text, or damaged; parsed to Python objects where needed
    personal        personal fields are kept, hashed or dropped
    convert         a value is read as the type of its column, or refused with a reason
    column_names    a field's column; undocumented fields get one of their own
    arrow_types     the type of each column in Arrow
    columns         a field of many rows as an Arrow column
    links           a link as a dict, or a rejection
    links_arrow     pages of links as one Arrow table, and their rejections
    link_versions   a link's version, by which it is known if it comes again
    clicks          pages of clicks as one Arrow table, and their rejections
    clicks_arrow    the same straight from the JSON text, for pages that Arrow can read
    click_ids       the id by which a click replaces its earlier version
    rejected        rows that cannot be loaded, kept whole with the reason
    rejected_arrow  the same as an Arrow table

A reader starts with `links` or `clicks`: they call the rest.
"""
