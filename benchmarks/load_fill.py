"""What do clients find there? A job in the midst of its search with thousands of trials, a job with an answer, and a
key for each client; Optuna's tables hold the same trials, so that its dashboard reads the same study.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import overhead_fill
from search import public
from search.public import Principal
from tests.service import server_fixtures

_ANSWERED_TRIALS = 24
_ADMIN = Principal("load", "load", frozenset(public.SCOPES))


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
    database = public.open_database(url)
    try:
        running = overhead_fill.ours(database, trials)
        with tempfile.TemporaryDirectory() as folder:
            completed = server_fixtures.complete(database, Path(folder), budget={"trials": _ANSWERED_TRIALS}).id
        study = public.study_number(database, running, _ADMIN)
        assert study is not None
        made = [public.create_key(database, f"client-{number}", public.SCOPES)[1] for number in range(keys)]
        return Filled(running, completed, study, made)
    finally:
        database.close()
