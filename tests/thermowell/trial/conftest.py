"""A real service for scripts that train, and what concludes its jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.schema import migrate
from search.storage.db import open_database
from tests.claimed import Program, program
from thermowell.trial import transport


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    for name in ("THERMOWELL_TRIAL", "THERMOWELL_KEY", "THERMOWELL_CLIENT", "THERMOWELL_CLAIM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transport, "PAUSES", (0.01, 0.05))
    db = open_database(f"sqlite:///{tmp_path / 'thermowell.db'}")
    migrate(db)
    with program(db, tmp_path / "var", artifact_limit=4096) as one:
        monkeypatch.setenv("THERMOWELL_URL", str(one.client.base_url))
        yield one
    db.close()


@pytest.fixture
def concluding(own: Program) -> Iterator[None]:
    """Chooses finalists and closes jobs, as the process beside the API does."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            own.proposer.answer({"conclude": {}})

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()
