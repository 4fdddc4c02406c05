"""Postgres, the memory: one module per aggregate, its named queries in a .sql file beside it."""
