"""Finalists are those that are truly good, not those that were lucky; the choice is told with the answer."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from search import configurations
from search.analysis.job.finalists import best_set, by_value, choose_finalists
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage
from tests import synthetic
from thermowell.api.answers import ArmFinalists, Finalists

SPEC = synthetic.spec(budget={"trials": 32})


def searched(spec: JobSpec, seed: int, noise: float = 0.01) -> list[Trial]:
    """What a job has trained before its finalists are chosen."""
    trials = synthetic.Builder(spec, synthetic.ridge, noise, np.random.default_rng(seed)).job()
    return [trial for trial in trials if trial.stage in (Stage.SEARCH, Stage.BASELINE)]


TRIALS = searched(SPEC, 0)
FOUND = choose_finalists("j", SPEC, TRIALS, 0, synthetic.NOW)


def of(found: Finalists, arm: Arm) -> ArmFinalists:
    [each] = [each for each in found.arms if each.arm == arm.value]
    return each


def truth(trial: Trial) -> float:
    return synthetic.ridge(configurations.from_json(trial.configuration or {}))


def test_every_arm_has_finalists_of_its_own() -> None:
    by_number = {trial.number: trial for trial in TRIALS}
    assert [each.arm for each in FOUND.arms] == [arm.value for arm in Arm]
    for each in FOUND.arms:
        assert 1 <= len(each.finalists) <= SPEC.confirmation.finalists
        assert {by_number[one.trial].arm.value for one in each.finalists} == {each.arm}
        assert len({one.trial for one in each.finalists}) == len(each.finalists)
    joint = of(FOUND, Arm.JOINT)
    assert joint.candidates == 32
    assert all(one.deviation is not None and 0 < one.deviation < 0.02 for one in joint.finalists)
    assert 0 < sum(one.best or 0.0 for one in joint.finalists) <= 1


def test_luck_is_not_chosen() -> None:
    """Two points below the best, as its neighbours show, but one seed has the best value of all: no first choice."""
    fixed = {"learning_rate": 0.01, "weight_decay": 0.0}
    spec = synthetic.spec(space={"kd_weight": 0.7, "optimizer": {"adamw": fixed}}, budget={"trials": 40})
    joint = [trial for trial in searched(spec, 0, 0.005) if trial.arm is Arm.JOINT]
    poor = min(joint, key=lambda trial: abs((trial.configuration or {})["temperature"] - 25))
    lucky = dataclasses.replace(poor, value=max(trial.value or 0.0 for trial in joint) + 0.001)
    trials = [lucky if trial is poor else trial for trial in joint]
    assert by_value("j", spec, trials, 0, synthetic.NOW).arms[0].finalists[0].trial == lucky.number
    chosen = of(choose_finalists("j", spec, trials, 0, synthetic.NOW), Arm.JOINT).finalists
    assert chosen[0].trial != lucky.number
    assert truth(next(trial for trial in joint if trial.number == chosen[0].trial)) > truth(poor) + 0.01


def test_they_are_better_than_the_best_values() -> None:
    regrets = []
    for seed in range(8):
        trials = searched(SPEC, seed, 0.02)
        best = max(truth(trial) for trial in trials if trial.arm is Arm.JOINT)
        true = {trial.number: truth(trial) for trial in trials}
        both = [
            choose_finalists("j", SPEC, trials, 0, synthetic.NOW, members=1),
            by_value("j", SPEC, trials, 0, synthetic.NOW),
        ]
        regrets.append([best - true[of(found, Arm.JOINT).finalists[0].trial] for found in both])
    fitted, lucky = np.mean(regrets, axis=0)
    assert fitted < 0.8 * lucky


def test_the_same_trials_give_the_same_choice_in_whatever_order_they_are_read() -> None:
    shuffled = random.Random(3).sample(TRIALS, len(TRIALS))
    again = choose_finalists("j", SPEC, shuffled, 0, synthetic.NOW)
    assert again == FOUND


def test_stopped_trials_are_left_out_and_diverged_ones_count_as_the_worst() -> None:
    extra = [dataclasses.replace(trial, number=trial.number + 1000) for trial in TRIALS[:10]]
    assert choose_finalists("j", SPEC, [*TRIALS, *map(synthetic.pruned, extra)], 0, synthetic.NOW) == FOUND
    with_diverged = choose_finalists("j", SPEC, [*TRIALS, *map(synthetic.diverged, extra)], 0, synthetic.NOW)
    assert with_diverged != FOUND
    assert of(with_diverged, Arm.JOINT).candidates == 32


def test_few_trials_are_ranked_by_value() -> None:
    few = [trial for trial in TRIALS if trial.arm is Arm.JOINT][:4]
    [joint] = choose_finalists("j", SPEC, few, 0, synthetic.NOW).arms
    ranked = sorted(few, key=lambda trial: -(trial.value or 0.0))
    assert [one.trial for one in joint.finalists] == [trial.number for trial in ranked[:3]]
    assert all(one.deviation is None for one in joint.finalists)


def test_a_metric_that_is_minimised_is_the_mirror_image() -> None:
    spec = synthetic.spec(budget={"trials": 32}, objective={"metric": "nll"})
    mirrored = [dataclasses.replace(trial, value=1 - (trial.value or 0.0)) for trial in TRIALS]
    found = choose_finalists("j", spec, mirrored, 0, synthetic.NOW)
    for each, other in zip(found.arms, FOUND.arms, strict=True):
        assert [one.trial for one in each.finalists] == [one.trial for one in other.finalists]
    assert of(found, Arm.JOINT).finalists[0].mean == pytest.approx(1 - of(FOUND, Arm.JOINT).finalists[0].mean)


def test_a_set_holds_what_may_be_best_and_not_twice_the_same() -> None:
    rng = np.random.default_rng(0)
    sure = rng.normal(0.90, 0.001, 4000)
    draws = np.column_stack([sure, sure - 0.0001, rng.normal(0.89, 0.02, 4000), rng.normal(0.5, 0.001, 4000)])
    assert best_set(draws, 3, 1e-5) == [0, 2]  # the second is the first again, the last is never the best
    assert best_set(draws, 1, 0.0) == [0]
    assert best_set(draws[:, :1], 5, 0.0) == [0]


def test_the_answer_tells_how_its_winner_was_chosen() -> None:
    spec = synthetic.spec(budget={"trials": 24})
    told = synthetic.documents(spec, synthetic.few())["result"]
    assert [one.arm for one in told.selection] == [arm.value for arm in Arm]
    joint = told.selection[0]
    assert joint.by == "value"  # nothing was stored when they were chosen
    assert [one.trial for one in joint.finalists if one.winner] == [told.winner.origin_trial]
    assert all(one.mean is not None and one.seeds == 3 for one in joint.finalists)
    before = [trial for trial in synthetic.few() if trial.stage in (Stage.SEARCH, Stage.BASELINE)]
    stored = choose_finalists("j", spec, before, 0, synthetic.NOW)
    with_choice = synthetic.documents(spec, synthetic.few(), finalists=stored)["result"].selection[0]
    assert (with_choice.by, with_choice.candidates) == ("surface", 24)
    assert [one.trial for one in with_choice.finalists] == [one.trial for one in of(stored, Arm.JOINT).finalists]
    late = synthetic.documents(spec, synthetic.few(), finalists=stored.model_copy(update={"round": 1}))["result"]
    assert late.selection == told.selection
