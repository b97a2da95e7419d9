"""Sanity of a job: each check finds what it is for, says what to do, and finds nothing in a job that is well."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from search.analysis.job.options import contest_of
from search.analysis.job.sanity import Checked, sanity
from search.analysis.job.verdict import decide
from search.records import Report, Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage
from tests import synthetic
from thermowell.api.answers import Sanity
from trainers.spec import Configuration

GOOD = {"accuracy": 0.97, "nll": 0.1, "ece": 0.01, "teacher_entropy": 0.09}
FACTS: dict[str, Any] = {"classes": 10, "validation_images": 10_000, "validation": GOOD}
EPOCHS = 20


def spec(**changes: Any) -> JobSpec:
    return synthetic.spec(**{"budget": {"trials": 16}, "training": {"epochs": EPOCHS}, **changes})


def middling(configuration: Configuration) -> float:
    """Best in the middle of every range, so that nothing is heaped anywhere."""
    optimizer = configuration.optimizer
    rate = np.log10(optimizer.learning_rate) + (1.5 if optimizer.name == "sgd" else 2.5)
    decay = np.log10(optimizer.weight_decay) + 4
    heat = np.log(configuration.temperature / 6)
    return float(
        0.9 - 0.01 * rate**2 - 0.002 * decay**2 - 0.004 * heat**2 - 0.05 * (configuration.kd_weight - 0.55) ** 2
    )


def curve(rise: float = 0.0, train_loss: float = 0.3, nll: float = 0.4) -> list[Report]:
    return [
        Report(epoch, train_loss, 0.01, 0.8 + rise * epoch / EPOCHS, nll, 0.02, 0.9, 1.0, 1.0)
        for epoch in range(1, EPOCHS + 1)
    ]


def checked(
    of: JobSpec, trials: list[Trial], facts: dict[str, Any] | None = None, epochs: list[Report] | None = None
) -> list[Sanity]:
    contest = contest_of(of, trials, None, {})
    assert contest is not None
    curves = {trial.number: epochs for trial in trials if trial.stage is Stage.ESTIMATE} if epochs else {}
    entry = contest.entries[decide(contest.field).place]
    return sanity(Checked(of, trials, FACTS if facts is None else facts, contest, entry, curves))


def trials_of(of: JobSpec, truth: synthetic.Truth = middling) -> list[Trial]:
    return synthetic.Builder(of, truth, 0.0005, np.random.default_rng(0)).job()


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return trials_of(spec())


def checks(findings: list[Sanity]) -> set[str]:
    return {finding.check for finding in findings}


def test_a_job_that_is_well_has_no_finding(trials: list[Trial]) -> None:
    assert checked(spec(), trials, epochs=curve()) == []
    assert checked(spec(), trials, {}) == [], "of what is not known nothing is said"


@pytest.mark.parametrize(
    ("check", "facts", "words"),
    [
        ("teacher_near_chance", {"validation": GOOD | {"accuracy": 0.12}}, "near chance (10.0 %)"),
        (
            "teacher_near_student",
            {"validation": GOOD | {"accuracy": 0.88}},
            "The teacher (88.0 %) is below its student",
        ),
        ("teacher_near_student", {"validation": GOOD | {"accuracy": 0.9}}, "its student"),
        ("teacher_overconfident", {"validation": GOOD | {"nll": 0.3, "ece": 0.06}}, "surer than it is right"),
        ("validation_too_small", {"validation_images": 360}, "has 360 images: one of them is 0.28 points"),
    ],
)
def test_what_is_wrong_with_teacher_and_data_is_said(
    trials: list[Trial], check: str, facts: dict[str, Any], words: str
) -> None:
    findings = checked(spec(), trials, FACTS | facts)
    assert checks(findings) == {check}
    assert words in findings[0].finding
    assert findings[0].action


def test_students_that_still_learn_and_those_that_learn_by_heart(trials: list[Trial]) -> None:
    [rising] = checked(spec(), trials, epochs=curve(rise=0.1))
    assert rising.check == "still_improving"
    assert "1.0 points over the last 2 of 20 epochs" in rising.finding
    assert rising.spec == {"training": {"epochs": 40}}
    [apart] = checked(spec(), trials, epochs=curve(train_loss=0.02, nll=0.6))
    assert apart.check == "train_and_validation_apart"


@pytest.mark.parametrize(
    ("space", "truth", "part"),
    [
        (
            {"temperature": {"low": 20, "high": 40}},
            lambda configuration: 0.9 - 0.2 * abs(np.log(configuration.temperature / 20)),
            {"space": {"temperature": {"low": 5.0, "high": 40.0, "log": True}}},
        ),
        (
            {"kd_weight": {"low": 0.7, "high": 1.0}},
            lambda configuration: 0.9 - configuration.kd_weight if configuration.kd_weight else 0.0,
            {"space": {"kd_weight": {"low": 0.55, "high": 1.0, "log": False}}},
        ),
        (
            {"optimizer": {"sgd": {"learning_rate": {"low": 0.2, "high": 0.9}, "weight_decay": 1e-4}}},
            lambda configuration: 0.9 - configuration.optimizer.learning_rate,
            {"space": {"optimizer": {"sgd": {"learning_rate": {"low": 0.05, "high": 0.9, "log": True}}}}},
        ),
    ],
)
def test_what_is_heaped_at_a_bound_gets_a_wider_range_that_is_a_spec(
    space: dict[str, Any], truth: synthetic.Truth, part: dict[str, Any]
) -> None:
    of = spec(space=space, budget={"trials": 40})
    findings = [finding for finding in checked(of, trials_of(of, truth)) if finding.check == "heaped_at_bound"]
    assert part in [finding.spec for finding in findings]
    merged = of.model_dump(mode="json", exclude_none=True)
    merged["space"] |= {key: value for key, value in part["space"].items() if key != "optimizer"}
    for name, settings in part["space"].get("optimizer", {}).items():
        merged["space"]["optimizer"][name] |= settings
    JobSpec.model_validate(merged)


def test_a_student_that_is_hardly_distilled_is_named() -> None:
    of = spec(space={"kd_weight": {"low": 0.0, "high": 1.0}}, budget={"trials": 40})
    findings = checked(of, trials_of(of, lambda c: 0.9 - 0.2 * c.kd_weight if c.kd_weight else 0.8))
    [heaped] = [finding for finding in findings if "kd_weight" in finding.finding]
    assert "hardly distilled" in heaped.action
    assert heaped.spec is None


def test_whoever_is_better_calibrated_is_named(trials: list[Trial]) -> None:
    poor = [
        dataclasses.replace(
            trial, metrics={**(trial.metrics or {}), "ece": 0.01 if trial.arm is Arm.LABEL_ONLY else 0.08}
        )
        for trial in trials
    ]
    [finding] = checked(spec(), poor)
    assert finding.check == "better_calibrated"
    assert "no distillation: a calibration error of 1.0 % against 8.0 %" in finding.finding
