"""The kinds of warehouse: which one is configured, and what is particular to each.

    configured.py                              the choice: a dict from dlt's type to a class
    refused.py                                 which of dlt's destinations are none, and why
    base.py                                    what a warehouse says, true of any of dlt's
    duckdb.py     duckdb_client.py             a DuckDB file, and dlt's client as it is changed
                  duckdb_file.py               where the file is
                  duckdb_memory.py             how much memory it gets
    postgres.py   postgres_client.py           PostgreSQL, and dlt's client as it is changed
    ducklake.py   ducklake_client.py           DuckLake with a catalog in PostgreSQL, likewise
                  ducklake_storage.py          where its files are, and by whose keys
    layouts.py                                 how warehouses that were never run store clicks

Another kind is a new file with a subclass of `Warehouse` and a line in `configured.py`. If dlt's
destination needs no change, that is all; classes that change it import a driver, and so stand in a
module that `destination()` imports when it is called.
"""
