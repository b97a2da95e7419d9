"""The answer in plain words, with every doubt that its trials raise."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.records import Reason, Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from tests import synthetic
from thermowell.api.answers import Importances, Interactions, Result, TemperatureResponse
from thermowell.api.document import Document
from trainers.spec import Configuration

SPEC = synthetic.spec()
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.002, np.random.default_rng(0)).job()


@functools.cache
def usual() -> dict[str, Any]:
    """The documents of the job that nothing is changed in."""
    return synthetic.documents(SPEC, TRIALS)


def result(trials: list[Trial] = TRIALS, spec: JobSpec = SPEC, **changes: Any) -> Result:
    unchanged = trials is TRIALS and spec is SPEC and not changes
    found = (usual() if unchanged else synthetic.documents(spec, trials, **changes))["result"]
    assert isinstance(found, Result)
    return found


def where(trials: list[Trial], chosen: Callable[[Trial], bool], **changes: Any) -> list[Trial]:
    return [dataclasses.replace(trial, **changes) if chosen(trial) else trial for trial in trials]


def doubts(word: str, found: Result) -> list[str]:
    return [caution for caution in found.cautions if word in caution]


def test_documents_that_read_back_as_they_were_written() -> None:
    documents = usual()
    kinds: dict[str, type[Document]] = {
        "result": Result,
        "response": TemperatureResponse,
        "importances": Importances,
        "interactions": Interactions,
    }
    assert set(documents) == set(kinds)
    for name, kind in kinds.items():
        assert kind.model_validate_json(documents[name].model_dump_json()) == documents[name]


def test_the_summary_says_temperature_settings_quality_gain_and_what_is_not_known() -> None:
    found = result()
    said, verdict = found.summary, found.verdict
    temperature = found.winner.configuration.temperature
    assert verdict is not None
    assert said.startswith(f"{verdict.headline} {verdict.action}")
    assert f"The search's best candidate is T = {temperature:.3g} with AdamW (learning rate " in said
    tuned, best = "over the strongest tuned baseline, T = 4, and of ", " expected over the best settings of T = 4."
    for part in ("validation accuracy ", "90 % interval", tuned, best, "cannot tell"):
        assert part in said
    assert (found.trials, found.search_trials) == (len(TRIALS), 64)
    assert found.epochs == 20 * len(TRIALS)


def test_the_gain_that_is_said_is_the_smallest_over_tuned_baselines() -> None:
    found = result()
    tuned = [gain for gain in found.gains if gain.headline]
    assert [gain.over for gain in tuned] == ["label_only", "t1", "t4"]
    least = min(tuned, key=lambda gain: gain.mean or 0.0)
    assert f"a gain of {100 * (least.mean or 0.0):.1f}" in found.summary.replace("−", "-")


def test_selection_and_response_do_not_change_with_the_test_part() -> None:
    shuffled = where(TRIALS, lambda trial: trial.test_metrics is not None, test_metrics={"accuracy": 0.1})
    changed, before = synthetic.documents(SPEC, shuffled), usual()
    assert changed["response"] == before["response"]
    assert changed["importances"] == before["importances"]
    assert changed["result"].winner.configuration == before["result"].winner.configuration
    assert changed["result"].winner.validation == before["result"].winner.validation
    assert changed["result"].winner.test != before["result"].winner.test


def test_a_winner_that_never_ended_is_no_answer() -> None:
    def final(trial: Trial) -> bool:
        return trial.variant == "winner"

    found = result(where(TRIALS, final, state=TrialState.FAILED, value=None, test_metrics=None))
    assert "No answer: the configuration that was chosen, T = " in found.summary
    assert found.winner.validation.mean is None
    assert all(gain.mean is None for gain in found.gains)
    assert doubts("failed on 5 of 5 fresh seeds", found)


def test_where_labels_alone_are_better_it_says_so() -> None:
    better = where(TRIALS, lambda trial: trial.arm is Arm.LABEL_ONLY, value=0.99)
    found = result(better)
    assert found.summary.startswith("Distillation does not help here, as is shown: train on the labels alone, with ")
    assert found.verdict is not None
    assert (found.verdict.kind, found.verdict.arm) == ("labels", "label_only")
    assert doubts("no distillation, is better than the winner", found)


def test_a_quiet_job_raises_no_doubt() -> None:
    known = ("gain over the strongest", "reaches the", "overlap at no temperature")  # which are true of these trials
    assert [c for c in result().cautions if not any(words in c for words in known)] == []


@pytest.mark.slow
def test_students_that_share_their_start_are_less_apart_than_they_seem() -> None:
    trained = {"source": "trained", "training": {"epochs": 2}, "optimizer": {}}
    shared = synthetic.spec(student={"name": "mlp", "initial": trained})
    assert doubts("began with the same weights", result(spec=shared))
    random = synthetic.spec(student={"name": "mlp", "initial": {"source": "random"}})
    assert not doubts("began with the same weights", result(spec=random))


SEARCHED = [trial.number for trial in TRIALS if trial.stage is Stage.SEARCH]
STOPPED_HALF = set(SEARCHED[:40])


@pytest.mark.parametrize(
    ("doubt", "trials", "changes"),
    [
        ("was stopped after 64 trials", TRIALS, {"search_stopped": True}),
        ("The test part had been read before", TRIALS, {"test_seen_before": True}),
        (
            "40 of 64 search trials were stopped early",
            [synthetic.pruned(trial) if trial.number in STOPPED_HALF else trial for trial in TRIALS],
            {},
        ),
        (
            "10 of 64 search trials diverged",
            [synthetic.diverged(trial) if trial.number in set(SEARCHED[:10]) else trial for trial in TRIALS],
            {},
        ),
        (
            "3 search trials failed for reasons other than divergence",
            where(
                TRIALS,
                lambda trial: trial.number in set(SEARCHED[:3]),
                state=TrialState.FAILED,
                value=None,
                reason=Reason("lost", "its workers died"),
            ),
            {},
        ),
        (
            "rests on 2 seeds",
            [trial for trial in TRIALS if trial.variant != "winner" or trial.seed in (2000, 2001)],
            {},
        ),
        (
            "No tuned baseline was trained",
            [trial for trial in TRIALS if trial.variant != "tuned"],
            {},
        ),
        (
            "failed on some seeds",
            where(
                TRIALS,
                lambda trial: trial.variant == "tuned" and trial.arm is Arm.T1 and trial.seed == 2000,
                state=TrialState.FAILED,
                value=None,
            ),
            {},
        ),
        (
            "worse than its validation interval",
            where(TRIALS, lambda trial: trial.variant == "winner", test_metrics={"accuracy": 0.5}),
            {},
        ),
        (
            "Too few trials of SGD completed",
            [trial for trial in TRIALS if (trial.configuration or {})["optimizer"]["name"] != "sgd"],
            {},
        ),
    ],
)
def test_every_doubt_is_said_where_it_arises_and_only_there(
    doubt: str, trials: list[Trial], changes: dict[str, Any]
) -> None:
    assert doubts(doubt, result(trials, **changes))
    if trials is not TRIALS or changes:
        assert not doubts(doubt, result())


def test_a_gain_that_may_be_nothing_is_said_to_be_not_established() -> None:
    noisy = synthetic.Builder(SPEC, lambda _: 0.9, 0.01, np.random.default_rng(2)).job()
    found = result(noisy)
    assert doubts("not established: its interval contains zero", found)
    assert doubts("hardly known", found)


def test_a_best_temperature_at_the_end_of_the_range_is_doubted() -> None:
    spec = synthetic.spec(space={"temperature": {"low": 8, "high": 40}})
    trials = synthetic.Builder(spec, synthetic.ridge, 0.002, np.random.default_rng(0)).job()
    found = result(trials, spec)
    assert doubts("reaches the lower end of the searched range (8 to 40)", found)
    assert doubts("The winner's temperature lies at an end", found)


def test_a_fixed_temperature_is_said_to_have_no_response() -> None:
    spec = synthetic.spec(space={"temperature": 4.0})
    trials = synthetic.Builder(spec, synthetic.ridge, 0.002, np.random.default_rng(0)).job()
    found = result(trials, spec)
    assert doubts("The temperature was fixed by the spec", found)
    assert "cannot tell" not in found.summary


def test_a_job_of_a_few_trials_is_answered_and_doubted() -> None:
    spec = synthetic.spec(budget={"trials": 2}, baselines={"share": 0.0}, confirmation={"estimate_seeds": 2})
    trials = [
        trial
        for trial in synthetic.Builder(spec, synthetic.ridge, 0.002, np.random.default_rng(0)).job()
        if trial.stage in (Stage.SEARCH, Stage.ESTIMATE)
    ]
    found = result(trials, spec)
    assert found.verdict is not None
    assert doubts("Too few trials completed for a temperature response", found)
    assert doubts("rests on 2 seeds", found)


def test_optimizers_whose_bands_never_meet_are_a_doubt() -> None:
    def alike(configuration: Configuration) -> float:
        return synthetic.ridge(configuration) + (0.01 if configuration.optimizer.name == "sgd" else 0.0)

    def far(configuration: Configuration) -> float:
        return synthetic.ridge(configuration) - (0.3 if configuration.optimizer.name == "sgd" else 0.0)

    trials = synthetic.Builder(SPEC, alike, 0.002, np.random.default_rng(0)).job()
    assert not doubts("overlap at no temperature", result(trials))
    trials = synthetic.Builder(SPEC, far, 0.002, np.random.default_rng(0)).job()
    [said] = doubts("overlap at no temperature", result(trials))
    assert "AdamW is better whatever T is" in said
    worse = synthetic.spec(objective={"metric": "nll"})
    trials = synthetic.Builder(worse, lambda c: 1 - far(c), 0.002, np.random.default_rng(0)).job()
    [said] = doubts("overlap at no temperature", result(trials, worse))
    assert "AdamW is better whatever T is" in said
