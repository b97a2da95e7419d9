"""Migrations of our tables: Alembic's scripts, which `search.schema.migrate` runs."""
