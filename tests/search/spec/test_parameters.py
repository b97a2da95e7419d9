"""Named parameters and metrics of one's own: what a spec may say, what samplers propose, and the cube of both."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from search import configurations, units
from search.analysis.priors import points
from search.samplers import sampler_factory
from search.samplers.advised import AdvisedSampler
from search.samplers.space import checked, suggest
from search.spec import parameters as named
from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.spec.markup import LocatedDocument
from search.spec.objective import ObjectiveSpec
from search.spec.optimizers import OWN
from search.spec.parameters import OF_ALL_STUDENTS
from search.spec.validation_errors import explain
from search.states import Arm
from search.studies.cells import expand
from search.studies.spec import StudySpec
from search.surrogate.encoding import Encoding
from tests.search.specs_strategy import parameters as drawn_parameters
from trainers.spec import Configuration, Optimizer, digest, to_jsonable

PARAMETERS: dict[str, Any] = {
    "learning_rate": {"low": 1e-5, "high": 5e-4, "log": True, "default": 1e-4},
    "layers": {"low": 2, "high": 12, "integer": True},
    "width": {"low": 8, "high": 4096, "log": True, "integer": True},
    "batch_size": {"values": [16, 32, 64], "integer": True},
    "t_hidden": {"low": 1, "high": 10, "temperature": True},
    "pooling": {"choices": ["cls", "mean", "max"]},
    "prenorm": {"choices": [True, False]},
    "dropout": 0.1,
}
OWN_TRAINING: dict[str, Any] = {
    "name": "own",
    "dataset": {"name": "replay", "path": "table.parquet"},
    "teacher": {"source": "logits", "artifact": "0" * 64},
    "student": {"name": "mlp"},
    "space": {"optimizer": None, "parameters": PARAMETERS},
    "objective": {"metric": "eval_f1", "direction": "maximize", "low": 0, "high": 1, "unit": "%"},
    "confirmation": {"delta": 0.003},
}


def spec(**changes: Any) -> JobSpec:
    return JobSpec.model_validate(OWN_TRAINING | changes, context=DOOR)


def space(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"space": {"optimizer": None, "parameters": parameters}}


def refused(**changes: Any) -> tuple[str, str]:
    """The path and the message of the one problem."""
    document = OWN_TRAINING | changes
    with pytest.raises(ValidationError) as refusal:
        JobSpec.model_validate(document, context=DOOR)
    [problem] = explain(refusal.value, LocatedDocument(document, {}))
    return problem.path, problem.message


def test_what_is_stored_is_what_was_sent() -> None:
    stored = json.loads(json.dumps(spec().model_dump(mode="json", exclude_none=True)))
    assert stored["space"]["optimizer"] is None
    assert JobSpec.model_validate(stored) == spec()
    assert list(JobSpec.model_validate(stored).space.parameters) == sorted(PARAMETERS)


def test_a_spec_without_them_is_stored_as_it_always_was() -> None:
    built_in = JobSpec.model_validate(
        {key: OWN_TRAINING[key] for key in ("name", "teacher", "student")} | {"dataset": {"name": "digits"}}
    )
    stored = built_in.model_dump(mode="json", exclude_none=True)
    assert "parameters" not in stored["space"]
    assert stored["objective"] == {"metric": "accuracy"}


def test_a_configuration_without_them_has_the_fingerprint_it_always_had() -> None:
    plain = Configuration(temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1))
    assert "parameters" not in to_jsonable(plain)
    assert digest(plain) != digest(
        Configuration(
            temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1), parameters={"width": 8}
        )
    )
    own = Configuration(
        temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=None, parameters={"pooling": "cls", "layers": 3}
    )
    assert configurations.from_json(json.loads(json.dumps(configurations.to_json(own)))) == own
    assert configurations.optimizer_name(configurations.to_json(own)) == OWN


@pytest.mark.parametrize(
    ("parameters", "path", "words"),
    [
        ({"kd_weight": 1.0}, "space.parameters.kd_weight", "kd_weight is the space's own"),
        ({"temperature": {"low": 1, "high": 2}}, "space.parameters.temperature", "temperature is the space's own"),
        ({"a b": 1}, "space.parameters.a b", "must match"),
        ({"x": {"low": 2, "high": 1}}, "space.parameters.x.low", "low must be below high"),
        ({"x": {"low": 0, "high": 1, "log": True}}, "space.parameters.x", "must be positive"),
        ({"x": {"low": 0.5, "high": 3, "integer": True}}, "space.parameters.x.low", "low must be a whole number"),
        ({"x": {"low": 0, "high": float("inf")}}, "space.parameters.x.high", "must be a finite number"),
        ({"x": {"low": 0, "high": 1, "default": 2}}, "space.parameters.x.default", "default must be from 0 to 1"),
        ({"x": {"values": [1, 2], "default": 3}}, "space.parameters.x.default", "default must be one of 1, 2"),
        ({"x": {"choices": ["a", "b"], "default": "c"}}, "space.parameters.x.default", "must be one of a, b, got c"),
        ({"x": ["a", "b", "a"]}, "space.parameters.x.choices", "a stands twice"),
        ({"x": {"choices": [1, True]}}, "space.parameters.x.choices", "true stands twice"),
        ({"x": [3, 2]}, "space.parameters.x.values", "values must rise"),
        ({"x": {"low": 0, "high": 2, "temperature": True}}, "space.parameters.x.low", "must be positive"),
        ({f"p{number}": 1 for number in range(25)}, "space.parameters", "at most 24"),
    ],
)
def test_a_refusal_says_what_and_why(parameters: dict[str, Any], path: str, words: str) -> None:
    found, message = refused(**space(parameters))
    assert found == path
    assert words in message


def test_what_no_training_can_do_is_refused_with_the_way_out() -> None:
    fixed = {"temperature": 4, "kd_weight": 1, "optimizer": None, "parameters": {"width": 3}}
    assert "give temperature, or a parameter, a range or a list" in refused(space=fixed)[1]
    assert refused(confirmation={})[0] == "confirmation.delta"
    assert refused(objective={"metric": "f1"})[0] == "objective.metric"
    assert refused(objective={"metric": "accuracy", "low": 0}, confirmation={})[0] == "objective.low"
    assert refused(objective={"metric": "accuracy", "direction": "minimize"})[0] == "objective.direction"
    unbounded = {"metric": "bleu", "direction": "maximize"}
    curve = {"name": "curve", "min_epochs": 2}
    assert "objective.high" in refused(objective=unbounded, pruner=curve, training={"epochs": 9})[1]
    named_optimizer = {"optimizer": {"sgd": {}}, "parameters": {"momentum": 0.5}}
    assert "optimizer: null" in refused(space=named_optimizer)[1]
    digits = {"dataset": {"name": "digits"}}
    assert "training of your own (trainer)" in refused(**digits, objective={"metric": "nll"}, confirmation={})[1]
    built_in = {"optimizer": {"sgd": {}}, "parameters": {"pooling": ["cls", "mean"]}}
    assert "unknown to the built-in training" in refused(**digits, space=built_in, objective={}, confirmation={})[1]
    for name, value, words in (
        ("alpha", {"low": 0, "high": 1}, "belongs to dkd"),
        ("warmup_share", {"low": 0, "high": 1}, "must be from 0 to 0.9"),
        ("label_smoothing", ["a", "b"], "must be a number, a list"),
    ):
        built_in = {"parameters": {name: value}}
        assert words in refused(**digits, space=built_in, objective={}, confirmation={})[1]
    constant = {"training": {"schedule": {"name": "constant"}}, "space": {"parameters": {"final_factor": 0.1}}}
    assert "belongs to the schedule cosine" in refused(**digits, **constant, objective={}, confirmation={})[1]
    assert "accuracy, nll or ece" in refused(**digits, space={})[1]


@pytest.mark.parametrize("name", OF_ALL_STUDENTS)
def test_what_all_students_share_is_not_searched_yet_and_is_a_factor_of_a_study(name: str) -> None:
    digits: dict[str, Any] = {"dataset": {"name": "digits"}, "objective": {}, "confirmation": {}}
    for changes, path in (
        ({"space": {"parameters": {name: [16, 32]}}}, f"space.parameters.{name}"),
        ({"space": {}, "training": {name: [16, 32]}}, f"training.{name}"),
        ({"space": {}, "training": {name: {"low": 16, "high": 32}}}, f"training.{name}"),
    ):
        refused_path, message = refused(**digits, **changes)
        assert refused_path == path
        assert re.search(r"cannot be searched .*yet: all students .* compare several in a study: `factors: ", message)
    teacher = {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}}
    base = {"dataset": {"name": "digits"}, "teacher": teacher, "student": {"name": "mlp"}}
    study = {"name": "s", "base": base, "factors": {f"training.{name}": [16, 32]}}
    assert [cell.spec.training.model_dump()[name] for cell in expand(StudySpec.model_validate(study)).new] == [16, 32]


@pytest.mark.parametrize("name", ["gp", "tpe", "cmaes", "qmc", "random"])
@pytest.mark.parametrize("arm", list(Arm))
def test_every_sampler_proposes_them(name: Any, arm: Arm) -> None:
    asked = spec(sampler={"name": name, "startup_trials": 4})
    study = optuna.create_study(direction="maximize")
    seen: dict[str, set[Any]] = {}
    for number in range(12):
        sampler = sampler_factory.build_sampler(asked.sampler, asked.space, arm, 3, number)
        study.sampler = sampler
        trial = study.ask()
        found = checked(suggest(trial, asked.space, arm), asked.space, arm)
        assert found.optimizer is None
        assert found.parameters["dropout"] == 0.1
        pinned = {Arm.LABEL_ONLY: 1.0, Arm.T1: 1.0, Arm.T4: 4.0}
        if arm is not Arm.JOINT:
            assert found.temperature == found.parameters["t_hidden"] == pinned[arm]
            assert "t_hidden" not in trial.params
        for key in ("layers", "width", "batch_size"):
            assert type(found.parameters[key]) is int
        for key, value in found.parameters.items():
            seen.setdefault(key, set()).add(value)
        study.tell(trial, 0.5 + (0.2 if found.parameters["pooling"] == "mean" else 0.0))
    assert len(seen["pooling"]) > 1
    assert len(seen["learning_rate"]) > 2


@pytest.mark.parametrize("arm", list(Arm))
def test_baselines_do_not_search_weights_that_plain_kl_has_not(arm: Arm) -> None:
    parameters = {"alpha": {"low": 0, "high": 2}, "label_smoothing": {"low": 0, "high": 0.2}}
    asked = JobSpec.model_validate(
        {key: OWN_TRAINING[key] for key in ("name", "teacher", "student")}
        | {"dataset": {"name": "digits"}, "distillation": {"method": "dkd"}, "space": {"parameters": parameters}}
    )
    study = optuna.create_study(direction="maximize")
    for number in range(3):
        study.sampler = sampler_factory.build_sampler(asked.sampler, asked.space, arm, 3, number, method="dkd")
        found = checked(suggest(study.ask(), asked.space, arm, "dkd"), asked.space, arm, "dkd")
        assert found.parameters.keys() == parameters.keys() - (set() if arm is Arm.JOINT else {"alpha"})
    joint = Configuration(
        temperature=3.0,
        kd_weight=0.5,
        label_weight=0.5,
        optimizer=Optimizer("sgd", 0.1),
        parameters={"alpha": 1.0, "label_smoothing": 0.1},
    )
    assert set(configurations.in_arm(joint, arm, "dkd").parameters) == found.parameters.keys()


def test_first_trials_have_parameters_too() -> None:
    """A guess has their defaults, of which no source tells; a draw of the space draws them."""
    asked = spec().space
    guess = points.complete_guess(asked, 4.0, points.Settings(), 3)
    assert guess.optimizer is None
    assert guess.parameters["learning_rate"] == 1e-4
    assert guess.parameters["pooling"] == "cls"
    assert checked(guess, asked, Arm.JOINT) == guess
    drawn = [points.draw(asked, random.Random(seed)) for seed in range(12)]
    assert all(checked(each, asked, Arm.JOINT) == each for each in drawn)
    assert len({each.parameters["pooling"] for each in drawn}) > 1
    study = optuna.create_study()
    study.sampler = AdvisedSampler(drawn[0])
    assert suggest(study.ask(), asked, Arm.JOINT) == drawn[0]


def test_the_process_learns_which_choice_is_better() -> None:
    parameters = {"pooling": ["cls", "mean", "max"], "layers": {"low": 1, "high": 6, "integer": True}}
    asked = spec(**space(parameters), sampler={"name": "gp", "startup_trials": 8})
    study = optuna.create_study(direction="maximize")
    found = []
    for number in range(24):
        study.sampler = sampler_factory.build_sampler(asked.sampler, asked.space, Arm.JOINT, 5, number)
        trial = study.ask()
        proposed = suggest(trial, asked.space, Arm.JOINT)
        found.append(proposed.parameters)
        study.tell(
            trial, 0.1 * (proposed.parameters["pooling"] == "max") - 0.01 * abs(int(proposed.parameters["layers"]) - 4)
        )
    late = found[12:]
    assert sum(each["pooling"] == "max" for each in late) > len(late) / 2


@given(drawn_parameters(), st.lists(st.floats(0, 1), min_size=24, max_size=24))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_cube_gives_back_what_was_put_in(parameters: dict[str, Any], places: list[float]) -> None:
    asked = spec(**space(parameters))
    joint = Encoding.of(asked.space)
    searched = joint.settings[OWN]
    given_units = joint.snapped(OWN, np.array([places[: len(searched)]]))
    point = joint.points(OWN, given_units)[0]
    values = joint.values(OWN, point)
    assert joint.point(OWN, values) == pytest.approx(point, abs=1e-6)
    for name, value in values.items():
        if name in asked.space.parameters:
            assert named.inside(asked.space.parameters[name], value, 1e-9)
    for part in asked.space.parameters.values():
        assert named.inside(part, named.default_of(part), 1e-9)


def test_one_s_own_metric_is_shown_in_its_unit() -> None:
    share = units.measure_of(spec().objective)
    assert units.level(share, 0.8312) == "83.1 %"
    bleu = units.measure_of(ObjectiveSpec(metric="bleu", direction="maximize", unit="BLEU"))
    assert units.level(bleu, 27.312) == "27.31 BLEU"
    assert units.difference(units.measure("perplexity"), -1.25) == "−1.25"


def test_the_worst_of_a_metric_is_its_end_or_far() -> None:
    assert ObjectiveSpec(metric="loss", direction="minimize").worst == 1e12
    assert ObjectiveSpec(metric="loss", direction="minimize", high=50.0).worst == 50.0
    assert ObjectiveSpec(metric="f1", direction="maximize", low=0.0).worst == 0.0
    assert [ObjectiveSpec(metric=name).worst for name in ("accuracy", "ece", "nll")] == [0.0, 1.0, 1e3]
    with pytest.raises(ValueError, match="f1 must be from 0 to 1, got 83"):
        ObjectiveSpec(metric="f1", direction="maximize", low=0.0, high=1.0).check(83.0)
