"""A migrated SQLite database for each test of this room; what holds on every database is told in tests/contracts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.schema import migrate
from search.storage.db import Database, open_database


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "thermowell.db"
    db = open_database(f"sqlite:///{path}")
    migrate(db)
    db.close()
    return path


@pytest.fixture
def db(migrated_file: Path, sqlite_url: str) -> Iterator[Database]:
    """This test's own database, with all tables and no rows."""
    opened = open_database(sqlite_url)
    shutil.copy(migrated_file, str(opened.engine.url.database))
    yield opened
    opened.close()
