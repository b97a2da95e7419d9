"""An advised trial is Optuna's as any other, with exactly what was advised, and samplers learn of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from search import configurations
from search.claims import leases, reporting
from search.claims.claiming import Claim
from search.optuna_bridge import proposals, study
from search.optuna_bridge.repair import Repairer
from search.requests import jobs, results, trials
from search.samplers import advised, sampler_factory, space
from search.settings import Settings
from search.spec.job import SamplerSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from search.worker import process as worker
from tests.search import factories

BEGINS = {"budget": {"trials": 16}, "warm_start": {"mode": "literature", "share": 0.25}}
SPACES = [
    {},
    {"kd_weight": 0.9, "optimizer": {"adamw": {}}},
    {"temperature": [1, 2, 4, 8, 20], "optimizer": {"sgd": {"learning_rate": [0.01, 0.1]}, "adamw": {}}},
    {"kd_weight": {"low": 1, "high": 6}, "label_weight": {"low": 0.1, "high": 2}},
    {"temperature": 4.0, "optimizer": {"sgd": {"momentum": {"low": 0.0, "high": 0.95}}}},
]


@pytest.fixture
def storage(db: Database) -> Iterator[study.Storage]:
    opened = study.optuna_storage(db)
    yield opened
    study.close_storage(opened)


def told(storage: study.Storage, claim: Claim) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=optuna_study_name(claim.job_id, claim.arm), storage=storage).get_trials()


@pytest.mark.parametrize("searched", SPACES)
@pytest.mark.parametrize("sampler", ["gp", "tpe", "qmc", "random"])
def test_optuna_hears_of_what_was_advised(
    db: Database, storage: study.Storage, sampler: str, searched: dict[str, object]
) -> None:
    job = factories.submitted(db, **BEGINS, sampler={"name": sampler}, space=searched)
    assert job.advice is not None
    points = job.advice["points"]
    for number in range(len(points)):
        claim = factories.taken(db)
        assert claim.advice is not None
        asked, configuration = proposals.ask(storage, claim, "w")
        assert (asked, configuration) == (number, claim.configuration)
        reporting.attach(db, claim.token, claim.trial_id, asked, configuration)
        trial = told(storage, claim)[number]
        assert trial.user_attrs["advice"] == f"{claim.advice['origin']}: {claim.advice['source']}"
        expected = advised.parameters(configuration)
        assert trial.params == {name: expected[name] for name in trial.params}
        seen = space.suggest(optuna.trial.FixedTrial(expected), claim.spec.space, Arm.JOINT)
        assert seen == configuration
    free = factories.taken(db)
    assert free.advice is None
    _, configuration = proposals.ask(storage, free, "w")
    assert "advice" not in told(storage, free)[len(points)].user_attrs


def test_a_lost_one_is_asked_again_and_stands_once(db: Database, storage: study.Storage) -> None:
    """The first worker died after asking and before attaching."""
    factories.submitted(db, **BEGINS)
    lost = factories.taken(db, "lost", factories.EXPIRED)
    proposals.ask(storage, lost)
    leases.reap(db)
    again = factories.taken(db)
    assert (again.trial_id, again.attempt, again.optuna_number) == (lost.trial_id, 2, None)
    assert proposals.ask(storage, again) == (1, lost.configuration)
    assert [trial.state for trial in told(storage, again)] == [OptunaState.FAIL, OptunaState.RUNNING]


def test_the_sampler_learns_from_it(db: Database, storage: study.Storage) -> None:
    """As from any other trial: with as many as it begins with, a Gaussian process leaves its even spread."""
    job = factories.submitted(db, **BEGINS, sampler={"name": "gp", "startup_trials": 2})
    assert job.advice is not None
    points = job.advice["points"]
    for _ in points:
        claim = factories.taken(db)
        number, configuration = proposals.ask(storage, claim, "w")
        reporting.attach(db, claim.token, claim.trial_id, number, configuration)
        reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.5)
    Repairer(db, storage, 10.0).run()
    assert [trial.state for trial in told(storage, claim)] == [OptunaState.COMPLETE] * len(points)
    for trial, point in zip(told(storage, claim), points, strict=True):
        expected = advised.parameters(configurations.from_json(point["configuration"]))
        assert trial.params == {name: expected[name] for name in trial.params}
    free = factories.taken(db)
    _, proposed = proposals.ask(storage, free, "w")
    spread = sampler_factory.build_sampler(
        SamplerSpec(name="gp"), free.spec.space, free.arm, free.spec.seed, free.number
    )
    assert proposed != space.suggest(optuna.create_study(sampler=spread).ask(), free.spec.space, free.arm)


def test_a_worker_trains_what_was_advised_and_its_answer_advises_the_next(db: Database, tmp_path: Path) -> None:
    """The whole way: the literature's points, the job's answer, and the next job that begins with it."""
    small: dict[str, Any] = {
        "dataset": {"name": "digits", "train_size": 100},
        "student": {"name": "mlp", "arguments": {"width": 8}},
        "budget": {"trials": 6},
        "warm_start": {"mode": "literature", "share": 0.5},
        "baselines": {"share": 0.0},
    }
    settings = Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1)
    job = factories.submitted(db, **small)
    worker.run_worker(settings, exit_when_idle=True)
    seen = jobs.get_job(db, job.id, factories.ME)
    assert seen.state is JobState.COMPLETED
    assert seen.advice is not None
    searched = [one for one in trials.iter_trials(db, job.id, factories.ME) if one.stage is Stage.SEARCH]
    points = seen.advice["points"]
    assert [one.configuration for one in searched[: len(points)]] == [point["configuration"] for point in points]
    assert [one.advice["origin"] if one.advice else None for one in searched] == [
        *(point["origin"] for point in points),
        *[None] * (6 - len(points)),
    ]
    assert sorted(one.optuna_number or 0 for one in searched) == list(range(6))
    winner = results.get_result(db, job.id, factories.ME).winner.configuration
    following = factories.submitted(db, **(small | {"warm_start": {"mode": "history", "share": 0.5}})).advice
    assert following is not None
    assert [point["origin"] for point in following["points"]][-1] == "space"
    assert following["points"][0]["distance"] == pytest.approx(0.0)
    assert following["points"][0]["configuration"]["optimizer"] == winner.stored()["optimizer"]
