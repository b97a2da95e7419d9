"""A service with a proposer, agents beside it, and what is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.schema import migrate
from search.storage.db import Database, open_database
from tests.claimed import Program, program
from tests.processes import Processes
from tests.thermowell.agent.running import Agents


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Program]:
    db: Database = open_database(f"sqlite:///{tmp_path / 'thermowell.db'}")
    migrate(db)
    with program(db, tmp_path / "var") as one:
        yield one
    db.close()


@pytest.fixture
def agents(own: Program, processes: Processes, tmp_path: Path) -> Agents:
    return Agents(own, processes, tmp_path / "agent")
