"""How do our tables come to be? Alembic's scripts; `search.schema.migrate` runs them, with a connection at hand."""
