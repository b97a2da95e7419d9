"""What clients find in the database: a job in the midst of its search with thousands of trials, a job with an answer,
and a key for each client. Optuna's tables hold the same trials, so that its dashboard reads the same study.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import overhead_fill
from search.records import SCOPES, Principal
from search.requests.dashboard_queries import study_number
from search.requests.keys import create_key
from search.storage.db import open_database
from tests.service import server_fixtures

_ANSWERED_TRIALS = 24
_ADMIN = Principal("load", "load", frozenset(SCOPES))


@dataclass(frozen=True, slots=True)
class Filled:
    """What there is to ask for."""

    running: str  # id of the job with the many trials
    completed: str  # id of the job with an answer
    study: int  # Optuna's number of the first one's study
    keys: list[str]


def document() -> dict[str, Any]:
    """A spec for who submits."""
    return server_fixtures.document("load")


def fill(url: str, trials: int, keys: int) -> Filled:
    """Fills an empty database with so many trials; every key may read and submit, and sees all jobs."""
    database = open_database(url)
    try:
        running = overhead_fill.ours(database, trials)
        with tempfile.TemporaryDirectory() as folder:
            completed = server_fixtures.complete(database, Path(folder), budget={"trials": _ANSWERED_TRIALS}).id
        study = study_number(database, running, _ADMIN)
        assert study is not None
        made = [create_key(database, f"client-{number}", SCOPES)[1] for number in range(keys)]
        return Filled(running, completed, study, made)
    finally:
        database.close()
