"""Importances name the setting that decides, also where only some trials have it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from search.analysis.job.importance import importances
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Stage
from tests import synthetic
from thermowell.api.answers import Importances
from trainers.spec import Configuration


def decided_by_temperature(configuration: Configuration) -> float:
    return 0.9 - 0.02 * abs(configuration.temperature - 20)


def decided_by_sgds_rate(configuration: Configuration) -> float:
    optimizer = configuration.optimizer
    return 0.9 - abs(np.log10(optimizer.learning_rate) + 1) if optimizer.name == "sgd" else 0.0


def measured(truth: synthetic.Truth, spec: JobSpec, **changes: object) -> Importances:
    builder = synthetic.Builder(spec, truth, 0.0, np.random.default_rng(0))
    trials = [dataclasses.replace(trial, **changes) for trial in builder.job()]  # type: ignore[arg-type]
    return importances("j", spec, trials, synthetic.NOW)


@pytest.mark.parametrize(
    ("truth", "first"), [(decided_by_temperature, "temperature"), (decided_by_sgds_rate, "sgd.learning_rate")]
)
def test_what_decides_comes_first(truth: synthetic.Truth, first: str) -> None:
    found = measured(truth, synthetic.spec(budget={"trials": 80})).importances
    assert next(iter(found)) == first
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) >= {"temperature", "kd_weight", "optimizer", "adamw.learning_rate", "sgd.weight_decay"}


def test_an_optimizer_with_a_single_trial_takes_no_answer_from_the_job() -> None:
    """Nothing is said of its settings."""
    spec = synthetic.spec(budget={"trials": 40})
    trials = synthetic.Builder(spec, decided_by_temperature, 0.0, np.random.default_rng(0)).job()
    search = [trial for trial in trials if trial.stage is Stage.SEARCH and trial.configuration]
    of = {name: [t for t in search if t.configuration["optimizer"]["name"] == name] for name in ("sgd", "adamw")}  # type: ignore[index]
    found = importances("j", spec, [of["sgd"][0], *of["adamw"]], synthetic.NOW).importances
    assert next(iter(found)) == "temperature"
    assert found["adamw.learning_rate"] > 0
    assert not found.get("sgd.learning_rate")


def test_fixed_settings_have_no_importance() -> None:
    spec = synthetic.spec(space={"kd_weight": 0.5, "optimizer": {"adamw": {"weight_decay": 0.0}}})
    found = measured(decided_by_temperature, spec).importances
    assert set(found) == {"temperature", "adamw.learning_rate"}


def test_a_metric_that_is_minimised() -> None:
    spec = synthetic.spec(objective={"metric": "nll"}, budget={"trials": 80})
    assert next(iter(measured(lambda c: -decided_by_temperature(c), spec).importances)) == "temperature"


def test_too_few_trials_say_nothing() -> None:
    found = measured(decided_by_temperature, synthetic.spec(budget={"trials": 9}))
    assert (found.evaluator, found.importances) == ("too few trials", {})


def test_only_the_joint_search_counts() -> None:
    spec = synthetic.spec()
    trials: list[Trial] = synthetic.Builder(spec, synthetic.ridge, 0.0, np.random.default_rng(0)).job()
    search = [trial for trial in trials if trial.stage is Stage.SEARCH]
    assert importances("j", spec, trials, synthetic.NOW) == importances("j", spec, search, synthetic.NOW)


def test_nothing_searched_has_no_importances() -> None:
    fixed = {"learning_rate": 0.01, "weight_decay": 0.0}
    spec = synthetic.spec(space={"temperature": 4.0, "kd_weight": 0.7, "optimizer": {"adamw": fixed}})
    assert measured(synthetic.ridge, spec).importances == {}


@pytest.mark.parametrize("worse", [0, 1])
def test_where_nearly_all_are_equally_good_nothing_decided(worse: int) -> None:
    numbers = iter(range(10_000))
    found = measured(lambda _: 0.8 if next(numbers) < worse else 0.9, synthetic.spec())
    assert bool(found.importances) == bool(worse)
    if not worse:
        assert found.evaluator == "too many trials are equally good"
