"""Simulated jobs of benchmarks and a real one, by worker and database, of the same seed: trial by trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.searching import whole_jobs as judged
from benchmarks.searching import worlds
from benchmarks.searching.cost import jobs as simulated
from benchmarks.searching.cost.ground import Ground
from benchmarks.table.spec import spec
from search.requests import jobs, trials
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage
from search.storage.db import Database
from search.surrogate.surface import MEMBERS
from search.worker import process as worker
from tests.search import factories
from tests.trainers import tables
from trainers.replay import runs
from trainers.replay.world import World


@pytest.mark.timeout(300)
@pytest.mark.parametrize("by", ["surface", pytest.param("arm", marks=pytest.mark.slow)])
def test_a_simulated_job_is_the_real_one(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    settings = Settings(
        var=tmp_path, data_root=tmp_path / "data", database_url=db.url, poll_seconds=0.05, threads=1, lanes=1
    )
    recorded = tables.lay(settings.data_root)
    parts = {"budget": {"trials": 16}, "baselines": {"share": 0.125, "by": by}, "seed": 5}
    asked = JobSpec.model_validate(spec(recorded.context, recorded.grid, **parts))
    job, _ = jobs.submit(db, asked, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    real = sorted(trials.iter_trials(db, job.id, factories.ME), key=lambda trial: trial.number)
    assert sum(trial.stage is Stage.BASELINE for trial in real) == 3 * 2

    monkeypatch.setattr(simulated, "MEMBERS", MEMBERS)  # as many as a worker takes
    monkeypatch.setattr(judged, "MEMBERS", MEMBERS)
    ground = Ground(World(runs.read_runs(settings.data_root / "synthetic.parquet")))  # rounded, as the worker reads it
    monkeypatch.setattr(worlds, "open_ground", lambda _: ground)
    of_cost = simulated.Job(ground, asked, simulated.Search(ground, asked, Arm.JOINT)).run()
    of_verdict = judged.Job(worlds.Recorded("synthetic"), asked).run()
    for run in (of_cost, of_verdict):
        assert [(t.stage, t.arm, t.variant, t.origin, t.configuration, t.seed) for t in run.trials] == [
            (t.stage, t.arm, t.variant, t.origin, t.configuration, t.seed) for t in real
        ]
        assert [t.value for t in run.trials] == pytest.approx([t.value for t in real], abs=1e-9)
        assert [t.epoch for t in run.trials] == [t.epoch for t in real]
