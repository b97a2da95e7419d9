"""Methods and schedules with their temperatures, in a space, a trial group and a problem."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from search import configurations
from search.analysis.job import wording
from search.analysis.priors import points
from search.analysis.priors.evidence import Settings
from search.samplers import advised, space
from search.spec.job import JobSpec, Range, SpaceSpec
from search.spec.parsing import parse_spec
from search.states import Arm
from search.surrogate.axes import axes, temperature_axis
from trainers import catalogue
from trainers.spec import Configuration, Distillation, Optimizer

ADAM = {"adam": {"learning_rate": 0.01, "weight_decay": 0}}


def document(**parts: Any) -> dict[str, Any]:
    return {
        "name": "x",
        "dataset": {},
        "teacher": {"model": {"name": "cnn"}, "training": {}, "optimizer": {}},
        "student": {"name": "mlp"},
        **parts,
    }


def spec(**parts: Any) -> JobSpec:
    return JobSpec.model_validate(document(**parts))


def refused(**parts: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        spec(**parts)
    (problem,) = caught.value.errors()
    return problem["msg"]


@pytest.mark.parametrize("method", catalogue.LOSSES)
def test_every_method_goes_with_nothing_but_its_name(method: str) -> None:
    """A study may cross methods over one base: what it does not say suits each."""
    asked = spec(distillation={"method": method})
    assert asked.problem(1, "fp32").distillation.method == method
    assert JobSpec.model_validate(asked.model_dump(mode="json", exclude_none=True)) == asked
    assert JobSpec.model_validate({**document(), "distillation": asked.distillation}) == asked
    spaced = spec(distillation={"method": method}, space={"kd_weight": 0.5})
    assert spaced.space.temperature == asked.space.temperature


@pytest.mark.parametrize("schedule", [name for name in catalogue.TEMPERATURE_SCHEDULES if name != "constant"])
def test_every_schedule_goes_to_a_final_temperature(schedule: str) -> None:
    asked = spec(distillation={"schedule": schedule}, space={"final_temperature": 1})
    assert asked.problem(1, "fp32").distillation == Distillation(shape=schedule)  # type: ignore[arg-type]
    assert "space.final_temperature is needed" in refused(distillation={"schedule": schedule})


def test_what_is_not_said_is_what_was_done_before() -> None:
    assert spec().problem(1, "fp32").distillation == Distillation()
    assert spec().problem(1, "fp32") == spec(distillation={"method": "kl"}).problem(1, "fp32")
    assert spec().space == SpaceSpec()


def test_the_weights_of_the_papers_are_the_defaults() -> None:
    assert spec(distillation={"method": "dkd"}).problem(1, "fp32").distillation == Distillation("dkd", 1.0, 8.0)
    assert spec(distillation={"method": "dist", "gamma": 0}).problem(1, "fp32").distillation == Distillation(
        "dist", beta=2.0, gamma=0.0
    )


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"distillation": {"method": "mse"}, "space": {"temperature": [1, 2]}}, "space.temperature must be left out"),
        (
            {"distillation": {"method": "ctkd"}, "space": {"temperature": 1}},
            "space.temperature must be between 1 and 21",
        ),
        (
            {"distillation": {"method": "ctkd"}, "space": {"temperature": {"low": 2, "high": 40}}},
            "ends excluded, where ctkd learns it from there on, got 2 to 40",
        ),
        ({"distillation": {"method": "ctkd", "schedule": "step"}}, "schedule must be constant: ctkd learns T itself"),
        (
            {"distillation": {"method": "mse", "schedule": "linear"}},
            "schedule must be constant: mse has no temperature",
        ),
        (
            {"distillation": {"method": "ctkd"}, "space": {"student_temperature": 1}},
            "space.student_temperature must be same: ctkd has none of its own",
        ),
        ({"space": {"final_temperature": 1}}, "space.final_temperature must be left out"),
        ({"distillation": {"gamma": 1}}, "gamma belongs to dist: kl has none"),
        ({"distillation": {"method": "dist", "alpha": 1}}, "alpha belongs to dkd: dist has none"),
        ({"distillation": {"step_at": 0.5}}, "step_at belongs to the step schedule"),
        ({"space": {"student_temperature": 0}}, "student_temperature must be in (0, 10000]"),
    ],
)
def test_what_does_not_go_together_is_refused(parts: dict[str, Any], told: str) -> None:
    assert told in refused(**parts)


def test_a_refusal_names_its_field() -> None:
    text = "distillation: {method: mse}\nspace: {temperature: [1, 2]}\n"
    text += "name: x\ndataset: {}\nteacher: {model: {name: cnn}, training: {}, optimizer: {}}\nstudent: {name: mlp}\n"
    with pytest.raises(Exception, match="mse") as caught:
        parse_spec(text, "yaml")
    (problem,) = caught.value.problems  # type: ignore[attr-defined]
    assert (problem.path, problem.line) == ("space.temperature", 2)


def test_what_is_searched_is_asked_for_by_name() -> None:
    searched = SpaceSpec.model_validate(
        {
            "kd_weight": 0.5,
            "optimizer": ADAM,
            "final_temperature": {"low": 1, "high": 8},
            "student_temperature": [1, 2, 4],
        }
    )
    asked = {"temperature": 3.0, "final_temperature": 2.0, "student_temperature": 4.0}
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    expected = Configuration(
        temperature=3.0,
        kd_weight=0.5,
        label_weight=0.5,
        optimizer=Optimizer("adam", 0.01),
        student_temperature=4.0,
        final_temperature=2.0,
    )
    assert space.suggest(optuna.trial.FixedTrial(asked), searched, Arm.JOINT) == expected
    space.suggest(trial, searched, Arm.JOINT)
    assert list(trial.params) == ["temperature", "final_temperature", "student_temperature"]
    assert space.listed_values(searched) == {"student_temperature": (1.0, 2.0, 4.0)}
    assert advised.parameters(expected).items() >= asked.items()
    assert configurations.from_json(configurations.to_json(expected)) == expected
    drawn = points.complete_guess(searched, 5.0, Settings(), seed=1)
    assert drawn.student_temperature in (1, 2, 4)
    assert 1 <= (drawn.final_temperature or 0) <= 8
    assert [one.name for one in axes(searched, "adam")] == ["final_temperature", "student_temperature"]


def test_a_baseline_is_plain_kl_at_one_temperature() -> None:
    asked = spec(
        distillation={"method": "dkd", "schedule": "linear"},
        space={"kd_weight": 0.5, "optimizer": ADAM, "final_temperature": 2, "student_temperature": 1},
    )
    for arm, temperature in ((Arm.T1, 1.0), (Arm.T4, 4.0)):
        expected = Configuration(
            temperature=temperature, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("adam", 0.01), method="kl"
        )
        trial = optuna.trial.FixedTrial({"temperature": 3.0})
        assert space.suggest(trial, asked.space, arm, "dkd") == expected
        joint = space.suggest(trial, asked.space, Arm.JOINT, "dkd")
        assert (joint.final_temperature, joint.student_temperature, joint.method) == (2.0, 1.0, None)
        assert configurations.in_arm(joint, arm, "dkd") == expected
    assert configurations.in_arm(joint, Arm.LABEL_ONLY, "dkd").kd_weight == 0


def test_the_document_of_a_plain_configuration_is_as_it_was() -> None:
    plain = Configuration(temperature=3.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("adam", 0.01))
    assert list(configurations.to_json(plain)) == [
        "temperature", "kd_weight", "label_weight", "optimizer", "student_temperature",
    ]  # fmt: skip


def test_where_there_is_no_temperature_none_is_searched() -> None:
    asked = spec(distillation={"method": "mse"}, space={"kd_weight": 0.5, "optimizer": ADAM})
    assert temperature_axis(asked.space) is None
    assert space.suggest(optuna.trial.FixedTrial({}), asked.space, Arm.JOINT, "mse").temperature == 1.0
    assert spec(distillation={"method": "ctkd"}).space.temperature == Range(low=1.5, high=20.0, log=True)


@pytest.mark.parametrize(
    ("parts", "changes", "said"),
    [
        ({}, {}, "T = 3 with Adam ("),
        (
            {"distillation": {"schedule": "cosine"}, "space": {"final_temperature": 1}},
            {"final_temperature": 1.0},
            "T from 3 to 1 along a cosine schedule with Adam (",
        ),
        (
            {"distillation": {"method": "dkd", "schedule": "step"}, "space": {"final_temperature": 1}},
            {"final_temperature": 1.0, "student_temperature": 2.0},
            "T from 3 to 1 with DKD in one step and 2 for the student with Adam (",
        ),
        ({"distillation": {"method": "mse"}}, {}, "the squared difference of logits, which has no temperature, with"),
        ({"distillation": {"method": "ctkd"}}, {}, "T = 3 to begin with (CTKD) with Adam ("),
    ],
)
def test_answers_say_how_the_temperature_is_meant(parts: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    configuration = Configuration(
        temperature=3.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("adam", 0.01), **changes
    )
    assert wording.configured(spec(**parts), configurations.to_json(configuration)).startswith(said)
    told = wording.conventions(spec(**parts))
    assert told.startswith(wording.CONVENTIONS)
    method = spec(**parts).distillation.method
    assert (told == wording.CONVENTIONS) is (method == "kl")
    assert method == "kl" or catalogue.LOSSES[method] in told
