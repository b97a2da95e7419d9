"""A space becomes one configuration; what is fixed is no parameter."""

from __future__ import annotations

from typing import get_args

import optuna
import pytest
from pydantic import ValidationError

from search.samplers import space
from search.samplers.sampler_factory import build_sampler
from search.spec.job import Choices, Range, SamplerSpec, SpaceSpec
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
    choices = space.optimizers()
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
        temperature=3.0, kd_weight=0.4, label_weight=0.7, optimizer=Optimizer("sgd", 0.1, 1e-4, 0.8, True)
    )


def test_what_is_fixed_is_not_asked_for() -> None:
    trial = optuna.trial.FixedTrial({})
    assert space.suggest(trial, FIXED, Arm.JOINT) == Configuration(
        temperature=4.0, kd_weight=0.9, label_weight=pytest.approx(0.1), optimizer=Optimizer("adam", 0.01)
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


LISTED = {
    "temperature": [1, 2, 4, 40],
    "kd_weight": {"values": [0.5, 0.9, 1.0]},
    "optimizer": {
        "sgd": {"learning_rate": [0.01, 0.1], "weight_decay": {"values": [0, 5e-4], "log": False}},
        "adamw": {"learning_rate": {"low": 0.001, "high": 0.1}},
    },
}


@pytest.mark.parametrize("name", get_args(SamplerSpec.model_fields["name"].annotation))
def test_of_a_list_every_sampler_proposes_what_is_listed(name: str) -> None:
    listing = SpaceSpec.model_validate(LISTED)
    listed = space.listed_values(listing)
    assert listed == {
        "temperature": (1, 2, 4, 40), "kd_weight": (0.5, 0.9, 1.0),
        "sgd.learning_rate": (0.01, 0.1), "sgd.weight_decay": (0, 5e-4),
    }  # fmt: skip
    spec = SamplerSpec.model_validate({"name": name, "startup_trials": 4})
    study = optuna.create_study(direction="maximize")
    seen = set()
    for number in range(12):
        study.sampler = build_sampler(spec, listing, Arm.JOINT, 0, number)
        trial = study.ask()
        drawn = space.suggest(trial, listing, Arm.JOINT)
        assert (drawn.temperature, drawn.kd_weight) == (trial.params["temperature"], trial.params["kd_weight"])
        for parameter, value in trial.params.items():
            assert parameter not in listed or value in listed[parameter]
        seen.add(drawn.temperature)
        study.tell(trial, drawn.kd_weight)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        ([4], "at least 2"),
        ([4, 2], "must rise"),
        ([2, 2], "must rise"),
        ([-1, 2], "must be positive"),
        ({"values": [1, 2], "low": 1}, "low"),
        (["a", 2], "number"),
        ([1, 20_000], "must be in"),
    ],
)
def test_a_list_that_cannot_be_is_refused(part: object, refused: str) -> None:
    with pytest.raises(ValidationError, match=refused):
        SpaceSpec.model_validate({"temperature": part})


def test_a_list_comes_back_from_json_as_it_was() -> None:
    listing = SpaceSpec.model_validate(LISTED)
    assert SpaceSpec.model_validate_json(listing.model_dump_json(exclude_none=True)) == listing
    assert isinstance(listing.temperature, Choices)
    assert listing.temperature.log
