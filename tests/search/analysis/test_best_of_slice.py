"""What is said of the gain over the best configuration with a baseline's T, which nobody may have trained."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from search.analysis.job.best_of_slice import gains_over_best
from search.analysis.job.field import edged_points, edged_surface
from search.records import Trial
from search.spec.job import JobSpec
from search.states import BASELINE_ARMS, Arm, Stage
from tests import synthetic

SPEC = synthetic.spec(budget={"trials": 24})
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.002, np.random.default_rng(0)).job()


def contestant(arm: Arm, variant: str) -> Trial:
    return next(trial for trial in TRIALS if (trial.stage, trial.arm, trial.variant) == (Stage.ESTIMATE, arm, variant))


def test_over_the_best_of_a_slice_less_is_gained_than_over_its_tuned_baseline() -> None:
    whole = edged_surface(SPEC, TRIALS, members=2)
    assert whole is not None
    winner = contestant(Arm.JOINT, "winner").configuration or {}
    gains = gains_over_best(SPEC, TRIALS, winner, whole)
    assert set(gains) == set(BASELINE_ARMS)
    for arm, (mean, interval) in gains.items():
        tuned = contestant(arm, "tuned").configuration or {}
        draws = whole.draws(edged_points(SPEC, [(Arm.JOINT, winner), (arm, tuned)]), 1000, np.random.default_rng(0))
        assert mean < float((draws[:, 0] - draws[:, 1]).mean())
        assert interval.low < mean < interval.high
        assert interval.confidence == SPEC.confirmation.confidence
    assert gains_over_best(SPEC, TRIALS[::-1], winner, edged_surface(SPEC, TRIALS[::-1], members=2)) == gains


@pytest.mark.parametrize("changes", [{}, {"temperature": 4.0}, {"temperature": [1, 2, 4, 8]}])
def test_a_winner_that_lies_in_the_slice_gains_nothing_over_its_best(changes: dict[str, object]) -> None:
    of = synthetic.spec(budget={"trials": 24}, space=changes)
    winner = {**(contestant(Arm.JOINT, "winner").configuration or {}), "temperature": 4.0}
    mean, _ = gains_over_best(of, TRIALS, winner, edged_surface(of, TRIALS, members=1))[Arm.T4]
    assert mean <= 0


def test_of_another_terms_baselines_the_surface_says_nothing() -> None:
    of: JobSpec = synthetic.spec(budget={"trials": 24}, distillation={"method": "dkd"})
    trials = [
        dataclasses.replace(trial, configuration={**(trial.configuration or {}), "method": "kl"})
        if trial.arm in (Arm.T1, Arm.T4)
        else trial
        for trial in TRIALS
    ]
    winner = contestant(Arm.JOINT, "winner").configuration or {}
    assert set(gains_over_best(of, trials, winner, edged_surface(of, trials, members=1))) == {Arm.LABEL_ONLY}
    assert gains_over_best(of, trials, winner, None) == {}


def test_of_many_trials_the_best_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.analysis.job.best_of_slice._TRIED", 3)
    whole = edged_surface(SPEC, TRIALS, members=1)
    assert whole is not None
    counts: list[int] = []
    drawn = type(whole).draws
    monkeypatch.setattr(
        type(whole), "draws", lambda self, points, *given: (counts.append(len(points)), drawn(self, points, *given))[1]
    )
    gains_over_best(SPEC, TRIALS, contestant(Arm.JOINT, "winner").configuration or {}, whole)
    assert max(counts) <= 1 + 3 + sum(250 for _ in SPEC.space.optimizers())
