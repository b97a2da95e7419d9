"""Doubts about a program that trains: it ignores its seed, or the temperature, or has seen the test part."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from search.analysis.job.own_training import own_training
from search.records import Trial
from search.spec.trainer import TrainerSpec
from search.states import Stage
from tests import synthetic
from trainers.spec import Configuration

SEED, TEMPERATURE, TEST = "ignore the seed", "ignore the temperature", "kept the test part to itself"
SPEC = synthetic.spec(budget={"trials": 8})
OWN = SPEC.model_copy(update={"trainer": TrainerSpec.model_validate({"external": {"queue": "q"}})})


def deaf(configuration: Configuration) -> float:
    """What a program reaches that knows of no temperature."""
    return synthetic.ridge(replace(configuration, temperature=4.0))


def trained(truth: synthetic.Truth = synthetic.ridge, noise: float = 0.003) -> list[Trial]:
    return synthetic.Builder(SPEC, truth, noise, np.random.default_rng(0)).job()


def doubts(trials: list[Trial]) -> list[str]:
    """Which of the doubts are there, in their order."""
    told = " ".join(own_training(OWN, trials))
    return [words for words in (SEED, TEMPERATURE, TEST) if re.search(words, told)]


def test_who_obeys_is_not_doubted_but_for_the_test_part() -> None:
    trials = trained()
    assert doubts(trials) == [TEST]
    assert doubts([replace(trial, test_metrics=None) for trial in trials]) == []
    assert list(own_training(SPEC, trials)) == []  # our own workers


def test_equal_values_over_seeds_are_doubted() -> None:
    assert doubts(trained(noise=0.0)) == [SEED, TEST]


def test_equal_values_at_1_and_4_are_doubted() -> None:
    trials = trained(deaf)
    value = {trial.seed: trial.value for trial in trials if trial.variant == "same_settings"}
    same = [replace(trial, value=value[trial.seed]) if trial.variant == "same_settings" else trial for trial in trials]
    assert doubts(same) == [TEMPERATURE, TEST]


@pytest.mark.parametrize("stage", [Stage.SELECT, Stage.ESTIMATE])
def test_one_value_that_differs_ends_the_doubt(stage: Stage) -> None:
    trials = trained(noise=0.0)
    number = next(trial.number for trial in trials if trial.stage is stage)
    assert SEED not in doubts([replace(t, value=0.5) if t.number == number else t for t in trials])
