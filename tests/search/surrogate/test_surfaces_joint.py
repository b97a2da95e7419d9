"""A configuration comes back from its point, whichever optimizer it has; of lists, their numbers alone are proposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from search.samplers import space
from search.spec.job import SpaceSpec
from search.states import Arm
from search.surrogate.encoding import Encoding

SPACES: dict[str, dict[str, Any]] = {
    "default": {},
    "three optimizers": {"optimizer": {"sgd": {"momentum": {"low": 0.5, "high": 0.99}}, "adam": {}, "adamw": {}}},
    "label weight": {"label_weight": {"low": 0, "high": 2}, "optimizer": {"adamw": {}}},
    "lists": {"temperature": [1, 2, 4, 40], "optimizer": {"sgd": {"learning_rate": [0.01, 0.1], "weight_decay": 0}}},
    "nothing": {"temperature": 4, "kd_weight": 1, "optimizer": {"adamw": {"learning_rate": 0.1, "weight_decay": 0}}},
}


@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("name", SPACES)
def test_it_has_the_settings_that_a_trial_is_asked_for_and_gives_them_back(name: str, arm: Arm) -> None:
    searched = SpaceSpec.model_validate(SPACES[name])
    joint = Encoding.of(searched, arm)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(12):
        trial = study.ask()
        optimizer = space.suggest(trial, searched, arm).optimizer.name
        values = {setting: value for setting, value in trial.params.items() if setting != "optimizer"}
        assert {setting.name for setting in joint.settings[optimizer]} == values.keys()
        if name != "lists":  # which Optuna's own sampler knows nothing of
            back = joint.values(optimizer, joint.point(optimizer, values))
            assert back == pytest.approx(values)


def test_no_two_optimizers_share_a_point() -> None:
    joint = Encoding.of(SpaceSpec.model_validate(SPACES["three optimizers"]))
    middles = [joint.points(name, np.full((1, len(joint.settings[name])), 0.5))[0] for name in joint.settings]
    assert len({tuple(point) for point in middles}) == 3
    assert joint.lengths.shape == (joint.dimensions, 2)


def test_of_lists_there_is_a_grid_and_all_goes_to_the_nearest_number() -> None:
    joint = Encoding.of(SpaceSpec.model_validate(SPACES["lists"] | {"kd_weight": [0.5, 1.0]}))
    grid = joint.grid("sgd", 16)
    assert grid is not None
    found = [joint.values("sgd", point) for point in joint.points("sgd", grid)]
    assert {(each["temperature"], each["kd_weight"], each["sgd.learning_rate"]) for each in found} == {
        (t, weight, rate) for t in (1, 2, 4, 40) for weight in (0.5, 1.0) for rate in (0.01, 0.1)
    }
    assert joint.grid("sgd", 15) is None
    anywhere = np.random.default_rng(0).uniform(-0.2, 1.2, (50, 3))
    near = joint.snapped("sgd", anywhere)
    assert {tuple(row) for row in near} <= {tuple(row) for row in grid}
    assert joint.values("sgd", joint.points("sgd", np.array([[0.55, 0.0, 1.0]]))[0])["temperature"] == 4


def test_a_range_has_no_grid_and_its_ends_are_kept() -> None:
    joint = Encoding.of(SpaceSpec())
    assert joint.grid("sgd", 10**6) is None
    beyond = joint.snapped("sgd", np.array([[-0.1, 1.2, 0.3, 5.0]]))
    assert beyond == pytest.approx(np.array([[0.1, 0.8, 0.3, 0.0]]))  # reflected, and never outside
    for end in (0.0, 1.0):
        values = joint.values("adamw", joint.points("adamw", np.full((1, 4), end))[0])
        assert values["adamw.learning_rate"] == (1e-4, 1e-1)[int(end)]
