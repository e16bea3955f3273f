"""DuckLake as the warehouse: the tests of the others, and those of its own.

They need DuckDB's extensions for it, which the extra `ducklake` brings (see `lake.py`).
"""
