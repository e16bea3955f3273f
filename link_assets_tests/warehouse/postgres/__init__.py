"""PostgreSQL as the warehouse: tests of the others. Its own are in `destinations`."""
