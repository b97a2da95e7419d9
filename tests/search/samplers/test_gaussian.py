"""Our Gaussian process: what it proposes depends on what it sees alone, and it finds what noise hides."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from search.samplers import gaussian_process, sampler_factory, space
from search.samplers.gaussian_process import MOST, GaussianSampler
from search.samplers.tpe import Columns
from search.spec.job import SamplerSpec, SpaceSpec
from search.states import Arm
from search.surrogate.encoding import Encoding
from trainers.spec import Configuration

LISTS = SpaceSpec.model_validate(
    {
        "temperature": [1, 1.5, 2, 3, 4, 6, 8, 11, 16, 20, 28, 40],
        "kd_weight": [0.5, 0.9, 1.0],
        "optimizer": {
            "sgd": {"learning_rate": [0.003, 0.01, 0.03, 0.1, 0.3], "weight_decay": [5e-4, 5e-3]},
            "adamw": {"learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1], "weight_decay": [0.01, 0.1]},
        },
    }
)
STARTUP = 8


def quality(found: Configuration) -> float:
    """Best at T = 6, the learning rate in the middle; AdamW is better by two points."""
    middle = 0.03 if found.optimizer.name == "sgd" else 0.01
    off = math.log(found.temperature / 6) ** 2 + 2 * math.log10(found.optimizer.learning_rate / middle) ** 2
    return 0.9 - 0.02 * off - 0.02 * (found.optimizer.name == "sgd") - 0.01 * found.kd_weight


def asked(study: optuna.Study, number: int, searched: SpaceSpec = LISTS, name: Any = "gp", seed: int = 0) -> Any:
    """The trial, which runs from now on, and its configuration."""
    spec = SamplerSpec(name=name, startup_trials=STARTUP)
    study.sampler = sampler_factory.build_sampler(spec, searched, Arm.JOINT, seed, number)
    trial = study.ask()
    return trial, space.suggest(trial, searched, Arm.JOINT)


def history(
    count: int,
    searched: SpaceSpec = LISTS,
    value: Callable[[Configuration, int], float] = lambda found, _: quality(found),
    direction: str = "maximize",
) -> optuna.Study:
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=1))
    for number in range(count):
        trial, found = asked(study, number, searched, "random")
        study.tell(trial, value(found, number))
    return study


@pytest.mark.parametrize("searched", [LISTS, SpaceSpec()], ids=["lists", "ranges"])
@pytest.mark.parametrize("count", [0, 3, 20])
def test_the_same_trials_give_the_same_proposal(count: int, searched: SpaceSpec) -> None:
    first, again = (asked(history(count, searched), count, searched)[1] for _ in range(2))
    assert first == again


def test_the_first_ones_walk_over_the_space_and_no_two_are_alike() -> None:
    study = history(0)
    found = [asked(study, number, SpaceSpec())[1] for number in range(16)]
    assert len({repr(one) for one in found}) == 16
    assert {one.optimizer.name for one in found} == {"sgd", "adamw"}
    octaves = {int(4 * math.log(one.temperature) / math.log(40)) for one in found}
    assert octaves == {0, 1, 2, 3}


@pytest.mark.parametrize("searched", [LISTS, SpaceSpec()], ids=["lists", "ranges"])
def test_what_is_under_way_is_not_asked_for_again(searched: SpaceSpec) -> None:
    study = history(24, searched)
    under_way = [asked(study, 24 + lane, searched)[1] for lane in range(8)]
    assert len({repr(one) for one in under_way}) >= 7  # a noisy place may be worth two runs


def test_a_metric_that_is_minimised_is_the_mirror_image() -> None:
    down = history(24, value=lambda found, _: -quality(found), direction="minimize")
    assert asked(down, 24)[1] == asked(history(24), 24)[1]


@pytest.mark.parametrize(
    "value",
    [lambda *_: 0.5, lambda found, _: 1e6 * quality(found), lambda _, number: float(number % 2), lambda _, n: 0.9**n],
    ids=["constant", "large", "two values", "shrinking"],
)
def test_any_values_are_learnt_from(value: Callable[[Configuration, int], float]) -> None:
    for searched in (LISTS, SpaceSpec()):
        asked(history(STARTUP + 4, searched, value), STARTUP + 4, searched)


def test_one_trial_is_enough_where_startup_says_so() -> None:
    study = history(1)
    study.sampler = sampler_factory.build_sampler(SamplerSpec(name="gp", startup_trials=1), LISTS, Arm.JOINT, 0, 1)
    space.suggest(study.ask(), LISTS, Arm.JOINT)


def test_stopped_trials_count_as_no_better_than_the_middle_and_failed_ones_not_at_all() -> None:
    study = history(20)
    plain = asked(history(20), 24)[1]
    for _ in range(2):
        study.tell(asked(study, 20, name="random")[0], state=OptunaState.FAIL)
    assert asked(study, 24)[1] == plain
    study = history(20)
    for number, seen in enumerate([{2: 1e9}, {2: 0.0}, {2: math.nan}, {}]):  # lucky, diverged, lost, stopped at once
        trial, _ = asked(study, 20 + number, name="random")
        for epoch, value in seen.items():
            trial.report(value, epoch)
        study.tell(trial, state=OptunaState.PRUNED)
    trial, found = asked(study, 24)
    assert quality(found) > np.median([one.value for one in study.trials if one.value is not None and one.value < 1])
    assert trial.params["optimizer"] == found.optimizer.name


def test_trials_of_another_space_are_left_out() -> None:
    study = history(20)
    other = SpaceSpec.model_validate({"optimizer": {"adam": {}}})
    trial, _ = asked(study, 20, other, "random")
    study.tell(trial, 99.0)
    lacking = SpaceSpec.model_validate({"temperature": 4})
    trial, _ = asked(study, 21, lacking, "random")
    study.tell(trial, 99.0)
    assert asked(study, 22)[1] == asked(history(20), 22)[1]


def test_the_settings_are_those_of_its_optimizer() -> None:
    study = history(20, SpaceSpec())
    for number in range(20, 26):
        trial, found = asked(study, number, SpaceSpec())
        own = {name.split(".")[0] for name in trial.params if "." in name}
        assert own == {found.optimizer.name}
        study.tell(trial, quality(found))


def test_beyond_what_it_bears_tpe_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    study, columns = history(12), Columns()
    columns.update(study.get_trials(deepcopy=False))
    spec = SamplerSpec(name="gp", startup_trials=STARTUP)

    def kind() -> type:
        return type(sampler_factory.build_sampler(spec, SpaceSpec(), Arm.JOINT, 0, 12, columns))

    assert kind() is GaussianSampler
    monkeypatch.setattr(sampler_factory, "MOST", 11)
    assert kind() is sampler_factory.ColumnsTPESampler
    assert MOST == 500


def test_several_hyperparameters_have_their_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them prefers another place, and all like the eighth second best: that is where the next trial goes."""
    noises: list[float] = []

    def apart(mean: Any, covariance: Any, noise: float, places: Any) -> Any:
        gains = 0.1 * (np.arange(len(places)) == 7)
        gains[len(noises)] += 0.15
        noises.append(noise)
        return gains

    monkeypatch.setattr(gaussian_process, "knowledge_gradient", apart)
    several = asked(history(20), 20)[1]
    assert len(set(noises)) == gaussian_process.MEMBERS > 1
    monkeypatch.setattr(gaussian_process, "knowledge_gradient", lambda *given: 1.0 * (np.arange(len(given[3])) == 7))
    assert several == asked(history(20), 20)[1]


@pytest.mark.slow
def test_it_finds_what_noise_hides_more_often_than_chance() -> None:
    """One run's deviation is half a point, and 6 of 720 configurations are within four tenths of the best."""
    cells = [quality(one) for one in _cells()]
    good = max(cells) - 0.004
    assert (len(cells), sum(one > good for one in cells)) == (720, 6)
    hits = {name: sum(_found(name, seed) > good for seed in range(8)) for name in ("gp", "random")}
    assert hits["gp"] >= 6
    assert hits["random"] <= 4


def _cells() -> list[Configuration]:
    joint = Encoding.of(LISTS)
    found = []
    for name in joint.settings:
        grid = joint.grid(name, 1000)
        assert grid is not None
        for point in joint.points(name, grid):
            values = joint.values(name, point)
            asked_for = optuna.trial.FixedTrial({"optimizer": name} | values)
            found.append(space.suggest(asked_for, LISTS, Arm.JOINT))
    return found


def _found(name: str, seed: int) -> float:
    """The true quality of the configuration with the best mean value within 40 runs."""
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {}
    truth: dict[str, float] = {}
    study = optuna.create_study(direction="maximize")
    for number in range(40):
        trial, found = asked(study, number, name=name, seed=seed)
        truth[repr(found)] = quality(found)
        values.setdefault(repr(found), []).append(quality(found) + 0.005 * rng.standard_normal())
        study.tell(trial, values[repr(found)][-1])
    return truth[max(values, key=lambda one: np.mean(values[one]))]
