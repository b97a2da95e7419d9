"""The winner is judged by fresh seeds alone, seed against seed, with the interval that a textbook gives."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from search import configurations
from search.analysis.job.gains import Finals, estimate
from search.analysis.job.verdict import spent
from search.records import Trial
from search.states import Arm, Stage, TrialState
from tests import synthetic
from trainers.spec import Configuration, Optimizer

CONFIGURATION = Configuration(
    temperature=6.0, kd_weight=0.7, label_weight=0.3, optimizer=Optimizer("adamw", 0.01, 1e-4)
)


def finals(arm: Arm, variant: str, values: dict[int, float | None], round_: int = 0) -> list[Trial]:
    """One contestant's estimate trials by seed; None where the trial failed."""
    builder = synthetic.Builder(synthetic.spec(), lambda _: 0.0, 0.0, np.random.default_rng(0))
    trials = []
    for seed, value in values.items():
        configuration = configurations.in_arm(CONFIGURATION, arm)
        trial = builder.trial(Stage.ESTIMATE, arm, variant, 7, configuration, seed)
        state = TrialState.FAILED if value is None else TrialState.COMPLETED
        test = None if value is None else {"accuracy": value + 0.001, "nll": 0.3}
        trials.append(dataclasses.replace(trial, value=value, state=state, round=round_, test_metrics=test))
    return trials


def test_the_interval_is_students() -> None:
    values = {1: 0.91, 2: 0.93, 3: 0.925, 4: 0.92, 5: 0.905}
    found = estimate(values, 0.9)
    expected = stats.t.interval(0.9, 4, np.mean(list(values.values())), stats.sem(list(values.values())))
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(0.918)
    assert found.seeds == [1, 2, 3, 4, 5]


def test_an_interval_ends_where_the_metric_does() -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.97, 2: 0.99})
    winner = Finals(trials).contestant(Arm.JOINT, "winner", "accuracy", 0.9)
    assert winner is not None
    assert winner.validation.interval is not None
    assert winner.validation.interval.low < 0.97
    assert winner.validation.interval.high == 1.0
    assert estimate({1: 0.97, 2: 0.99}, 0.9).interval.high > 1.0  # type: ignore[union-attr]


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate({3: 0.9}, 0.9).interval is None
    assert estimate({3: 0.9}, 0.9).mean == 0.9
    assert estimate({}, 0.9).mean is None


def test_gains_are_paired_by_seed_so_that_common_luck_cancels() -> None:
    luck = {1: 0.0, 2: 0.05, 3: -0.04, 4: 0.02}
    trials = finals(Arm.JOINT, "winner", {seed: 0.9 + shift for seed, shift in luck.items()})
    trials += finals(Arm.T4, "tuned", {seed: 0.89 + shift for seed, shift in reversed(luck.items())})
    [gain] = Finals(trials).gains(synthetic.spec())
    assert gain.over == "t4"
    assert gain.headline
    assert gain.mean == pytest.approx(0.01)
    assert gain.interval is not None
    assert gain.interval.high - gain.interval.low == pytest.approx(0, abs=1e-12)
    assert gain.test_mean == pytest.approx(0.01)


def test_seeds_that_failed_for_either_are_left_out_and_named() -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.9, 2: None, 3: 0.92, 4: 0.93})
    trials += finals(Arm.T1, "same_settings", {1: 0.8, 2: 0.5, 3: None, 4: 0.9})
    both = Finals(trials)
    [gain] = both.gains(synthetic.spec())
    assert gain.pairs == 2
    assert gain.mean == pytest.approx((0.1 + 0.03) / 2)
    assert not gain.headline
    winner = both.contestant(Arm.JOINT, "winner", "accuracy", 0.9)
    assert winner is not None
    assert winner.failed_seeds == [2]


def test_less_is_better_turns_the_gain() -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.30, 2: 0.32}) + finals(Arm.T4, "tuned", {1: 0.35, 2: 0.38})
    [gain] = Finals(trials).gains(synthetic.spec(objective={"metric": "nll"}))
    assert gain.mean == pytest.approx(0.055)


def test_only_the_newest_confirmation_decides() -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.5, 2: 0.5}) + finals(Arm.T1, "tuned", {1: 0.4, 2: 0.4})
    trials += finals(Arm.JOINT, "winner", {11: 0.9, 12: 0.92}, round_=1)
    newest = Finals(trials)
    winner = newest.contestant(Arm.JOINT, "winner", "accuracy", 0.9)
    assert winner is not None
    assert winner.validation.seeds == [11, 12]
    assert newest.baselines("accuracy", 0.9) == []


def test_baselines_keep_the_configuration_of_their_arm() -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.9, 2: 0.9}) + finals(Arm.LABEL_ONLY, "same_settings", {1: 0.8, 2: 0.8})
    [baseline] = Finals(trials).baselines("accuracy", 0.9)
    assert (baseline.configuration.temperature, baseline.configuration.kd_weight) == (1.0, 0.0)
    assert baseline.test is not None
    assert baseline.test["nll"].mean == pytest.approx(0.3)


def test_a_confirmation_that_has_not_ended_is_no_answer() -> None:
    with pytest.raises(ValueError, match="confirmation has not ended"):
        Finals(finals(Arm.T4, "tuned", {1: 0.9}))


def test_a_value_that_is_not_finite_counts_as_failed() -> None:
    winner = Finals(finals(Arm.JOINT, "winner", {1: 0.9, 2: math.nan})).contestant(Arm.JOINT, "winner", "accuracy", 0.9)
    assert winner is not None
    assert winner.failed_seeds == [2]


@pytest.mark.parametrize("round_", [0, 1, 3])
def test_headlines_hold_together_at_every_look_and_the_other_intervals_each_by_itself(round_: int) -> None:
    values = {1: 0.91, 2: 0.93, 3: 0.925, 4: 0.92, 5: 0.905}
    trials = finals(Arm.JOINT, "winner", dict(values))
    for arm in (Arm.LABEL_ONLY, Arm.T1, Arm.T4):
        trials += finals(arm, "tuned", dict.fromkeys(values, 0.9))
        trials += finals(arm, "same_settings", dict.fromkeys(values, 0.9))
    for gain in Finals([dataclasses.replace(trial, round=round_) for trial in trials]).gains(synthetic.spec()):
        assert gain.headline == (gain.variant == "tuned")
        if not gain.headline:
            assert gain.together is None
            continue
        expected = stats.t.interval(1 - (1 - spent(0.9, 1 + round_)) / 3, 4, 0.018, stats.sem(list(values.values())))
        assert gain.together is not None
        assert (gain.together.low, gain.together.high) == pytest.approx(expected)
        assert gain.together.confidence == 0.9


@pytest.mark.parametrize(
    ("temperature", "headlines"), [(4.0, {"t1"}), (4.2, {"t1"}), (1.05, {"t4"}), (9.0, {"t1", "t4"})]
)
def test_a_winner_is_no_better_than_a_baseline_of_its_own_temperature(temperature: float, headlines: set[str]) -> None:
    trials = finals(Arm.JOINT, "winner", {1: 0.95, 2: 0.96})
    configuration = configurations.to_json(dataclasses.replace(CONFIGURATION, temperature=temperature))
    trials = [dataclasses.replace(trial, configuration=configuration) for trial in trials]
    trials += [trial for arm in (Arm.T1, Arm.T4) for trial in finals(arm, "tuned", {1: 0.9, 2: 0.9})]
    gains = Finals(trials).gains(synthetic.spec())
    assert {gain.over for gain in gains if gain.headline} == headlines
    fixed = Finals(trials).gains(synthetic.spec(space={"temperature": temperature}))
    assert {gain.over for gain in fixed} == headlines, "where T is fixed, that comparison is not made at all"
