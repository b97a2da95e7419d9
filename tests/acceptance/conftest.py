"""What whole runs with real workers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search.schema import migrate
from search.storage.db import Database, open_database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database of either kind."""
    opened = open_database(database_url)
    migrate(opened)
    yield opened
    opened.close()
