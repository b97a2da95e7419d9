"""An adaptive study whose workers are killed while they decide what is handed out, and while they train it."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from search.requests import studies
from search.requests.trials import iter_trials
from search.states import Allotting, JobState, Stage
from search.storage.db import Database
from search.storage.tables import jobs
from search.studies.spec import StudySpec
from tests.acceptance.test_whole_job import spec, until, worker
from tests.processes import Processes
from tests.search.factories import ME

SHARE, FIRST, LEASE_SECONDS = 14, 8, 3.0
SMALL = {"dataset": {"name": "digits", "train_size": 100}, "student": {"name": "mlp", "arguments": {"width": 4}}}


def submitted(db: Database) -> str:
    """Two cells, each of which brings 14 trials and begins with 8."""
    base = spec(
        SHARE, space={"optimizer": {"sgd": {}}}, pruner={"name": "none"}, baselines={"share": 0},
        confirmation={"level": "none"}, **SMALL,
    ).model_dump(mode="json", exclude_none=True, exclude={"name"})  # fmt: skip
    trials = {"name": "adaptive", "temperatures": [1, 4], "settings": 2}
    document = {"name": "killed", "base": base, "factors": {"training.epochs": [1, 2]}, "trials": trials}
    return studies.submit_study(db, StudySpec.model_validate(document), ME)[0].id


def rows_of(db: Database, study: str) -> list[Row[Any]]:
    with db.read() as connection:
        return list(connection.execute(select(jobs).where(jobs.c.study == study)))


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nothing_is_lost_or_trained_twice_where_workers_are_killed(
    processes: Processes, database: Database, database_url: str, tmp_path: Path
) -> None:
    study = submitted(database)
    first = worker(processes, database_url, tmp_path, LEASE_SECONDS)
    until(lambda: all(row.allotting == Allotting.DUE for row in rows_of(database, study)), [first])
    first.signal(signal.SIGKILL)  # it was deciding
    first.wait()
    assert [row.budget_trials for row in rows_of(database, study)] == [FIRST, FIRST]
    second, third = (worker(processes, database_url, tmp_path, LEASE_SECONDS) for _ in range(2))
    until(lambda: sum(row.search_trials for row in rows_of(database, study)) > 2 * FIRST, [second, third])
    second.signal(signal.SIGKILL)  # what was handed out is being trained
    second.wait()
    assert third.wait(60) == 0
    found = rows_of(database, study)
    assert {(row.state, row.allotting) for row in found} == {(JobState.COMPLETED, None)}
    total = 0
    for row in found:
        searched = [trial for trial in iter_trials(database, row.id, ME) if trial.stage is Stage.SEARCH]
        runs = Counter((trial.seed, repr(sorted((trial.configuration or {}).items(), key=repr))) for trial in searched)
        assert set(runs.values()) == {1}
        assert row.budget_trials == len(searched)
        assert sorted(trial.optuna_number or 0 for trial in searched) == list(range(len(searched)))
        total += len(searched)
    assert 2 * FIRST < total <= 2 * SHARE
