"""A whole job over recorded runs: the same front door, the same worker, and nothing trained."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.table.spec import spec
from search.requests import jobs, results, trials
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import JobState, TrialState
from search.storage.db import Database
from search.worker import process as worker
from tests.search import factories
from tests.trainers import tables
from trainers.replay.world import World


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(
        var=tmp_path, data_root=tmp_path / "data", database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1
    )


def test_a_job_is_answered_from_the_table(db: Database, settings: Settings) -> None:
    recorded = tables.lay(settings.data_root)
    document = spec(recorded.context, recorded.grid, budget={"trials": 24}, seed=3)
    job, _ = jobs.submit(db, JobSpec.model_validate(document), factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    known = World(recorded)
    for trial in trials.iter_trials(db, job.id, factories.ME):
        assert trial.state is TrialState.COMPLETED
        assert trial.configuration is not None
        assert trial.value is not None
        temperature = trial.configuration["temperature"]
        assert any(math.isclose(temperature, one) for one in recorded.grid.temperatures)
    result = results.get_result(db, job.id, factories.ME)
    assert result.winner.validation.mean is not None
    assert result.winner.validation.mean > known.truth[:, -1].max() - 0.05


def test_what_the_table_does_not_know_fails_the_job_with_the_way_out(db: Database, settings: Settings) -> None:
    recorded = tables.lay(settings.data_root)
    document = spec(recorded.context, recorded.grid, budget={"trials": 4})
    document["space"] |= {"temperature": [1.5, 4.5]}
    job, _ = jobs.submit(db, JobSpec.model_validate(document), factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    failed = jobs.get_job(db, job.id, factories.ME)
    assert failed.state is JobState.FAILED
    assert failed.problem is not None
    assert failed.problem.type == "off-grid"
    assert "must be one of" in failed.problem.detail
