"""A space becomes one configuration; what is fixed is no parameter."""

from __future__ import annotations

import optuna
import pytest

from search import space
from search.spec import Range, SpaceSpec
from search.states import Arm
from trainers.spec import Configuration, Optimizer

WHOLE = SpaceSpec.model_validate({"label_weight": {"low": 0, "high": 1}, "optimizer": {"sgd": {"momentum": {
    "low": 0.5, "high": 0.99}, "nesterov": True}, "adam": {}, "adamw": {}}})  # fmt: skip
FIXED = SpaceSpec.model_validate(
    {"temperature": 4, "kd_weight": 0.9, "optimizer": {"adam": {"learning_rate": 0.01, "weight_decay": 0}}}
)


def announced(space: SpaceSpec, arm: Arm) -> list[str]:
    """What an arm's study should search, told from the spec alone, the settings of all optimizers included."""
    names = ["temperature"] if arm is Arm.JOINT and isinstance(space.temperature, Range) else []
    if arm is not Arm.LABEL_ONLY:
        names += ["kd_weight"] if isinstance(space.kd_weight, Range) else []
        names += ["label_weight"] if isinstance(space.label_weight, Range) else []
    choices = space.optimizer.choices()
    names += ["optimizer"] if len(choices) > 1 else []
    for name, settings in choices.items():
        searched = [key for key, value in settings if isinstance(value, Range)]
        names += [f"{name}.{key}" for key in ("learning_rate", "weight_decay", "momentum") if key in searched]
    return names


def test_every_setting_is_searched_under_its_name() -> None:
    trial = optuna.trial.FixedTrial(
        {
            "temperature": 3.0, "kd_weight": 0.4, "label_weight": 0.7, "optimizer": "sgd",
            "sgd.learning_rate": 0.1, "sgd.weight_decay": 1e-4, "sgd.momentum": 0.8,
        }
    )  # fmt: skip
    assert space.suggest(trial, WHOLE, Arm.JOINT) == Configuration(
        3.0, 0.4, 0.7, Optimizer("sgd", 0.1, 1e-4, 0.8, True)
    )


def test_what_is_fixed_is_not_asked_for() -> None:
    trial = optuna.trial.FixedTrial({})
    assert space.suggest(trial, FIXED, Arm.JOINT) == Configuration(
        4.0, 0.9, pytest.approx(0.1), Optimizer("adam", 0.01)
    )
    assert announced(FIXED, Arm.JOINT) == []


@pytest.mark.parametrize(
    ("arm", "temperature", "weights"), [(Arm.LABEL_ONLY, 1.0, (0.0, 1.0)), (Arm.T1, 1.0, None), (Arm.T4, 4.0, None)]
)
def test_an_arm_fixes_its_temperature(arm: Arm, temperature: float, weights: tuple[float, float] | None) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        trial = study.ask()
        found = space.suggest(trial, SpaceSpec(), arm)
        assert found.temperature == temperature
        assert "temperature" not in trial.params
        assert ("kd_weight" in trial.params) is (weights is None)
        if weights is not None:
            assert (found.kd_weight, found.label_weight) == weights


@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("spec", [WHOLE, SpaceSpec(), FIXED])
def test_the_parameters_are_those_that_were_announced(spec: SpaceSpec, arm: Arm) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen: set[str] = set()
    for _ in range(60):
        trial = study.ask()
        space.suggest(trial, spec, arm)
        seen |= set(trial.params)
    assert seen == set(announced(spec, arm))
