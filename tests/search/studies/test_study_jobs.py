"""A study's jobs are trained as any others: one cell is the plain job to its last figure, and a teacher is shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.table.spec import spec as of_table
from search.records import Job, Trial
from search.requests import jobs, results, studies, trials
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import JobState, Stage
from search.storage.db import Database
from search.studies.records import StudyDetail
from search.studies.spec import StudySpec
from search.worker import process as worker
from tests.search import factories
from tests.trainers import tables
from trainers.teaching import teacher


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(
        var=tmp_path, data_root=tmp_path / "data", database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1
    )


def submitted(db: Database, base: dict[str, Any], name: str = "crossed", **changes: Any) -> StudyDetail:
    document = {"name": name, "base": {key: value for key, value in base.items() if key != "name"}} | changes
    return studies.submit_study(db, StudySpec.model_validate(document), factories.ME)[0]


def trained(db: Database, job_id: str) -> tuple[Job, list[Trial]]:
    job = jobs.get_job(db, job_id, factories.ME)
    assert job.state is JobState.COMPLETED, job.problem
    return job, list(trials.iter_trials(db, job_id, factories.ME))


def said(trial: Trial) -> tuple[object, ...]:
    """All that a trial is, but for who trained it and when."""
    return (
        trial.number,
        trial.stage,
        trial.arm,
        trial.seed,
        trial.configuration,
        trial.value,
        trial.metrics,
        trial.state,
    )


@pytest.mark.slow
def test_a_study_of_one_cell_answers_what_the_plain_job_answers(db: Database, settings: Settings) -> None:
    recorded = tables.lay(settings.data_root)
    base = of_table(recorded.context, recorded.grid, budget={"trials": 6}, seed=3)
    plain, _ = jobs.submit(db, JobSpec.model_validate(base), factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    study = submitted(db, base)
    worker.run_worker(settings, exit_when_idle=True)
    [cell] = studies.get_study(db, study.id, factories.ME).cells
    (_, expected), (_, found) = trained(db, plain.id), trained(db, cell.job_id)
    assert [said(trial) for trial in found] == [said(trial) for trial in expected]
    changing = {"job_id", "computed_at", "wall_seconds"}
    answers = [
        results.get_result(db, one, factories.ME).model_dump(exclude=changing) for one in (plain.id, cell.job_id)
    ]
    assert answers[0] == answers[1]
    assert cell.quality is not None
    assert cell.quality.mean is not None


def test_two_studies_that_share_a_teacher_train_it_once(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    train = teacher._trained

    def counted(*arguments: Any) -> Any:
        times.append(1)
        return train(*arguments)

    monkeypatch.setattr(teacher, "_trained", counted)
    base = factories.spec(
        dataset={"name": "digits", "train_size": 60},
        student={"name": "mlp", "arguments": {"width": 4}},
        training={"epochs": 1},
        budget={"trials": 1},
        baselines={"share": 0},
        confirmation={"finalists": 1, "estimate_seeds": 2},
    ).model_dump(mode="json", exclude_none=True)
    made = [
        submitted(db, base, "by length", factors={"training.epochs": [2]}),
        submitted(db, base, "by width", factors={"student.arguments.width": [3]}),
    ]
    worker.run_worker(settings, exit_when_idle=True)
    ended = [studies.get_study(db, study.id, factories.ME) for study in made]
    assert [study.state for study in ended] == ["completed"] * 2
    teachers = {trained(db, cell.job_id)[0].teacher["fingerprint"] for study in ended for cell in study.cells}  # type: ignore[index]
    assert len(teachers) == 1
    assert len(times) == 1


def test_a_grid_is_trained_to_its_answer_and_optuna_hears_of_every_trial(db: Database, settings: Settings) -> None:
    base = factories.spec(
        dataset={"name": "digits", "train_size": 60},
        student={"name": "mlp", "arguments": {"width": 4}},
        training={"epochs": 1},
        space={"optimizer": {"sgd": {}}},
        budget={"trials": 4},
        baselines={"share": 0.0625},
        confirmation={"level": "none"},
    ).model_dump(mode="json", exclude_none=True)
    study = submitted(db, base, trials={"name": "grid", "temperatures": [1, 4], "settings": 1})
    worker.run_worker(settings, exit_when_idle=True)
    [cell] = studies.get_study(db, study.id, factories.ME).cells
    _, found = trained(db, cell.job_id)
    searched = [trial for trial in found if trial.stage is Stage.SEARCH]
    alone = [trial for trial in found if trial.stage is Stage.BASELINE]
    assert [(trial.configuration or {})["temperature"] for trial in searched] == [1.0, 4.0, 1.0, 4.0]
    assert [trial.seed for trial in searched[::2]] == [trial.seed for trial in searched[1::2]]
    assert {trial.seed for trial in alone} == {trial.seed for trial in searched}
    assert [trial.optuna_number for trial in [*searched, *alone]] == [0, 1, 2, 3, 0, 1]
    assert all(trial.value is not None for trial in found)


def test_an_adaptive_study_comes_to_its_end_by_a_worker_alone(db: Database, settings: Settings) -> None:
    base = factories.spec(
        dataset={"name": "digits", "train_size": 60},
        student={"name": "mlp", "arguments": {"width": 4}},
        training={"epochs": 1},
        space={"optimizer": {"sgd": {}}},
        budget={"trials": 14},
        baselines={"share": 0},
        confirmation={"level": "none"},
    ).model_dump(mode="json", exclude_none=True)
    trials = {"name": "adaptive", "temperatures": [1, 4], "settings": 2}
    study = submitted(db, base, trials=trials, factors={"training.epochs": [1, 2]})
    worker.run_worker(settings, exit_when_idle=True)
    counts = []
    for cell in studies.get_study(db, study.id, factories.ME).cells:
        job, found = trained(db, cell.job_id)
        searched = [trial for trial in found if trial.stage is Stage.SEARCH]
        counts.append(len(searched))
        assert job.budget_trials == len(searched) >= 8
        assert [trial.optuna_number for trial in searched] == list(range(len(searched)))
        pairs = [(first.seed, second.seed) for first, second in zip(searched[::2], searched[1::2], strict=True)]
        assert all(one == other for one, other in pairs)
    assert 16 <= sum(counts) <= 28
