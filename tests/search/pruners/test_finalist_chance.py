"""`auto` stops what has no chance to be a finalist, and nobody else: too few to know, the leader, a good configuration
with bad luck, a late one of its kind, a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from structlog.testing import capture_logs

from search.pruners import pruner_factory
from search.pruners.finalist_chance import ENOUGH, FinalistPruner, chance
from search.spec.job import JobSpec
from search.states import Arm
from search.surrogate.gp import GaussianProcess
from tests.search import factories

EPOCHS, RUNGS = 40, (12, 20, 28)
TEMPERATURE = FloatDistribution(1.0, 40.0, log=True)
OPTIMIZER = {"adamw": {"learning_rate": 0.001, "weight_decay": 0.0}}
LENGTHS = np.array([[math.log(0.8), 0.8]])
RNG = np.random.default_rng(0)


def spec_of(**changes: Any) -> JobSpec:
    """T alone is searched."""
    space = {"temperature": {"low": 1, "high": 40}, "kd_weight": 0.9, "optimizer": OPTIMIZER}
    return factories.spec(training={"epochs": EPOCHS}, pruner={"name": "auto"}, space=space, **changes)


def trial_of(
    temperature: float, values: Sequence[float], end: float | None = None, state: TrialState | None = None
) -> FrozenTrial:
    """A trial that reported at the first rungs, and has ended if there is an end."""
    return create_trial(
        state=state or (TrialState.RUNNING if end is None else TrialState.COMPLETE),
        value=end,
        params={"temperature": temperature},
        distributions={"temperature": TEMPERATURE},
        intermediate_values=dict(zip(RUNGS, values, strict=False)),
    )


def worth(temperature: float) -> float:
    """Best at T = 3, and a tenth less at T = 40."""
    return 0.9 - 0.015 * math.log(temperature / 3) ** 2


def finished(count: int = 24) -> list[FrozenTrial]:
    """Trials over all of T with a little noise, whose curves tell their ends."""
    trials = []
    for temperature in np.geomspace(1, 40, count):
        end = worth(temperature) + RNG.normal(0, 0.002)
        trials.append(trial_of(float(temperature), [end - gap for gap in (0.2, 0.1, 0.05)], end))
    return trials


def stops(spec: JobSpec, others: Sequence[FrozenTrial], trial: FrozenTrial, arm: Arm = Arm.JOINT) -> bool:
    study = optuna.create_study(direction=spec.objective.direction)
    study.add_trials(others)
    trial.number = len(others)
    return pruner_factory.build_pruner(spec, arm).prune(study, trial)


def test_a_clear_loser_is_stopped_and_who_may_win_goes_on() -> None:
    others = finished()
    assert stops(spec_of(), others, trial_of(35.0, [worth(35.0) - 0.2]))
    assert not stops(spec_of(), others, trial_of(3.1, [worth(3.1) - 0.2]))
    assert not stops(spec_of(), others, trial_of(35.0, [0.95]))  # it leads


def test_bad_luck_stops_no_good_configuration() -> None:
    """A run three deviations of noise below, near the best T: its configuration is worth what its neighbours are."""
    assert not stops(spec_of(), finished(), trial_of(2.9, [worth(2.9) - 0.206]))


def test_where_curves_tell_nothing_nobody_new_is_stopped() -> None:
    """Ends that no value at the rung foretells, among configurations alike: no surface tells them apart either."""
    others = [trial_of(4.0 + place / 100, [RNG.random()], 0.9 + RNG.normal(0, 0.01)) for place in range(24)]
    assert not stops(spec_of(), others, trial_of(4.05, [0.0]))


def test_large_temperatures_that_are_late_are_known_to_be() -> None:
    """Above T = 8 trials lie behind at the rung, and end as well as the others."""
    others, rng = [], np.random.default_rng(1)
    for temperature in np.geomspace(1, 40, 30):
        late, end = temperature > 8, 0.9 + rng.normal(0, 0.003)
        others.append(trial_of(float(temperature), [end - (0.4 if late else 0.1)], end))
    assert not stops(spec_of(), others, trial_of(20.0, [0.49]))


@pytest.mark.parametrize("count", [0, 1, ENOUGH - 1, ENOUGH])
def test_nobody_is_stopped_before_enough_have_ended(count: int) -> None:
    hopeless = trial_of(35.0, [0.1])
    assert stops(spec_of(), finished(count), hopeless) is (count >= ENOUGH)


def test_trials_that_were_stopped_or_are_from_elsewhere_tell_no_end() -> None:
    """What was stopped has no end, what somebody else has trained no value at a rung."""
    stopped = [trial_of(trial.params["temperature"], [0.7], state=TrialState.PRUNED) for trial in finished()]
    foreign = [trial_of(trial.params["temperature"], [], trial.value) for trial in finished()]
    assert not stops(spec_of(), [*stopped, *foreign], trial_of(35.0, [0.1]))


def test_as_many_configurations_are_spared_as_there_are_finalists() -> None:
    """Third best of T = 1, 10 and 40, many times over, is one of three finalists, and not of two, nor the best."""
    rng, others = np.random.default_rng(2), []
    for temperature, level in ((1.0, 0.9), (10.0, 0.88), (40.0, 0.8)):
        for _ in range(8):
            end = level + rng.normal(0, 0.002)
            others.append(trial_of(temperature, [end - 0.2], end))

    def stopped(**confirmation: Any) -> bool:
        return stops(spec_of(confirmation=confirmation), others, trial_of(40.0, [0.6]))

    assert [stopped(finalists=count) for count in (1, 2, 3, 4)] == [True, True, False, False]
    assert stopped(level="none", finalists=3)


def test_baselines_are_never_stopped() -> None:
    assert not stops(spec_of(), finished(), trial_of(35.0, [0.1]), Arm.T4)


def test_a_loss_is_as_good_as_an_accuracy() -> None:
    """Upside down, without any ends of what the metric may be: the same decisions."""
    spec = spec_of(objective={"metric": "nll"})

    def upside_down(trial: FrozenTrial) -> FrozenTrial:
        end = None if trial.value is None else 100 - trial.value
        return trial_of(trial.params["temperature"], [100 - value for value in trial.intermediate_values.values()], end)

    others = [upside_down(trial) for trial in finished()]
    assert stops(spec, others, upside_down(trial_of(35.0, [worth(35.0) - 0.2])))
    assert not stops(spec, others, upside_down(trial_of(3.1, [worth(3.1) - 0.2])))


def test_without_numerics_nobody_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an API that was installed without them."""
    monkeypatch.setattr(pruner_factory, "find_spec", lambda _: None)
    with capture_logs() as logs:
        assert not stops(spec_of(), finished(), trial_of(35.0, [0.1]))
    assert "install thermowell[analysis]" in logs[0]["event"]


def test_chances_are_those_of_many_truths() -> None:
    """Drawn from the process itself, with curves that tell the noise halfway: of those with small chances few, and of
    those with large ones most are worth as much as the third best.
    """
    rng = np.random.default_rng(3)
    told, true = [], []
    for _ in range(60):
        points = rng.random((25, 1))
        prior = GaussianProcess(np.log([1.0, 0.3, 0.1]), np.zeros((1, 1)), np.zeros(1))
        drawn = np.linalg.cholesky(prior.kernel(points, points) + 1e-6 * np.eye(25)) @ rng.standard_normal(25)
        ends = drawn + rng.normal(0, 0.3, 25)
        values = ends + rng.normal(0, 0.3, 25)
        told.append(chance(points, ends[:-1], values, LENGTHS, 3))
        true.append(drawn[-1] >= np.sort(drawn[:-1])[-3])
    small, large = np.array(told) < 0.02, np.array(told) > 0.5
    assert small.sum() >= 15
    assert np.array(true)[small].mean() <= 0.1
    assert np.array(true)[large].mean() > 0.5


def test_a_target_left_out_is_expected_as_by_a_process_without_it() -> None:
    points, targets, theta = RNG.random((6, 2)), RNG.standard_normal(6), np.log([1.3, 0.4, 0.9, 0.2])
    each = [
        GaussianProcess(theta, np.delete(points, place, 0), np.delete(targets, place)).mean(points[place : place + 1])
        for place in range(6)
    ]
    assert GaussianProcess(theta, points, targets).left_out() == pytest.approx(np.concatenate(each))


def test_it_looks_at_its_rungs_alone() -> None:
    assert isinstance(pruner_factory.build_pruner(spec_of()), FinalistPruner)
    trial = trial_of(35.0, [])
    trial.intermediate_values = {11: 0.1}
    assert not stops(spec_of(), finished(), trial)
