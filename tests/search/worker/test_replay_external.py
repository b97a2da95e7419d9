"""A job through the door, by one program, is the job that our own worker trains: seed for seed, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.table.spec import spec
from search.records import Report, Trial
from search.requests import jobs, results, trials
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import Database
from search.worker import process as worker
from tests.claimed import Program, held_of, program
from tests.search import factories
from tests.trainers import tables

METRICS = ("accuracy", "nll", "ece", "teacher_agreement", "teacher_entropy")


@pytest.mark.slow
def test_the_same_job_has_the_same_trials_and_the_same_answer(db: Database, tmp_path: Path) -> None:
    settings = Settings(
        var=tmp_path, data_root=tmp_path / "data", database_url=db.url, lease_seconds=30, poll_seconds=0.05,
        threads=1, lanes=1,
    )  # fmt: skip
    recorded = tables.lay(settings.data_root)
    changes: dict[str, Any] = {"budget": {"trials": 16}, "seed": 3, "sampler": {"name": "gp", "startup_trials": 6}}
    document = spec(recorded.context, recorded.grid, **changes)
    first, _ = jobs.submit(db, JobSpec.model_validate(document), factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    known = {trial.number: trials.get_trial(db, first.id, trial.number, factories.ME) for trial in of(db, first.id)}
    external = JobSpec.model_validate(document | {"trainer": {"external": {"queue": "q"}}})
    second, _ = jobs.submit(db, external, factories.ME)
    with program(db, tmp_path / "var") as own:
        while claims := _claims(own):
            _train(own, claims[0], *known[claims[0]["trial"]])
        own.proposer.answer({"conclude": {}})
    assert jobs.get_job(db, second.id, factories.ME).state is JobState.COMPLETED
    assert [_trained(trial) for trial in of(db, second.id)] == [_trained(trial) for trial in of(db, first.id)]
    one, two = (results.get_result(db, job.id, factories.ME) for job in (first, second))
    for part in ("winner", "baselines", "gains", "selection", "shortfall"):
        assert _plain(getattr(two, part)) == _plain(getattr(one, part)), part
    curves = [results.get_response(db, job.id, factories.ME).overall for job in (first, second)]
    assert curves[0] == curves[1]


def of(db: Database, job_id: str) -> list[Trial]:
    return list(trials.iter_trials(db, job_id, factories.ME))


def _claims(own: Program) -> list[dict[str, Any]]:
    answer = own.claim()
    if not answer["claims"] and "being chosen" in answer["why"]:
        own.proposer.answer({"conclude": {}})
        answer = own.claim()
    return list(answer["claims"])


def _train(own: Program, claim: dict[str, Any], trial: Trial, curve: list[Report]) -> None:
    """Says of a trial what our own worker has measured; the sooner it is another trial, the sooner it is told."""
    assert (claim["configuration"], claim["seed"], claim["stage"]) == (trial.configuration, trial.seed, trial.stage)
    held = held_of(claim)
    reports = [
        {"epoch": one.epoch, "metrics": {name: getattr(one, name) for name in METRICS}, "seconds": one.seconds}
        for one in curve
    ]
    own.say(held, "reports", {"reports": reports})
    result = {"epoch": trial.epoch, "metrics": trial.metrics}
    own.say(held, "complete", result | ({"test": trial.test_metrics} if claim["test"] else {}))


def _trained(trial: Trial) -> tuple[Any, ...]:
    names = ("number", "stage", "arm", "variant", "round", "origin", "configuration", "seed", "optuna_number", "value")
    return (*(getattr(trial, name) for name in names), trial.epoch, trial.metrics, trial.test_metrics)


def _plain(part: Any) -> Any:
    """As JSON has it, without the intervals over test images: which of them were right a program does not say."""
    if hasattr(part, "model_dump"):
        part = part.model_dump(mode="json")
    if isinstance(part, dict):
        return {name: _plain(inner) for name, inner in part.items() if not name.endswith("interval_images")}
    return [_plain(inner) for inner in part] if isinstance(part, list) else part
