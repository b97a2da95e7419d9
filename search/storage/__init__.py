"""The database and the files: tables, rows, events, artifacts, migrations."""
