"""The maps show where the truth lies, and are blank where nothing was tried."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from search.analysis.job import question
from search.analysis.job.build import build_interim
from search.analysis.job.interactions import COLUMNS, ROWS, interactions
from search.analysis.job.observations import softness_seen
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from tests import synthetic
from thermowell.api.answers import InteractionMap, Interim
from trainers.spec import Configuration

SPEC = synthetic.spec()
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.002, np.random.default_rng(0)).job()
FOUND = interactions("j", SPEC, synthetic.fits(SPEC, TRIALS), synthetic.NOW)
MAPS = FOUND.maps


def named(maps: list[InteractionMap], optimizer: str, setting: str) -> InteractionMap:
    [found] = [one for one in maps if (one.optimizer, one.setting) == (optimizer, setting)]
    return found


def test_there_is_a_map_for_each_other_setting_of_each_optimizer() -> None:
    assert [(one.optimizer, one.setting) for one in MAPS] == [
        *(("sgd", name) for name in ("kd_weight", "sgd.learning_rate", "sgd.weight_decay")),
        *(("adamw", name) for name in ("kd_weight", "adamw.learning_rate", "adamw.weight_decay")),
    ]
    for one in MAPS:
        assert np.shape(one.means) == np.shape(one.known) == (ROWS, COLUMNS) == (len(one.values), len(one.temperatures))
        assert (one.temperatures[0], one.temperatures[-1]) == (1.0, 40.0)


def test_of_lists_a_map_has_their_own_numbers() -> None:
    rates = [0.001, 0.003, 0.01, 0.03]
    listed = {"temperature": [1, 2, 4, 7, 12, 40], "optimizer": {"adamw": {"learning_rate": rates, "weight_decay": 0}}}
    spec = synthetic.spec(space=listed, budget={"trials": 40})
    trials = synthetic.Builder(spec, synthetic.ridge, 0.002, np.random.default_rng(0)).job()
    found = interactions("j", spec, synthetic.fits(spec, trials), synthetic.NOW).maps
    rate, weight = named(found, "adamw", "adamw.learning_rate"), named(found, "adamw", "kd_weight")
    assert rate.temperatures == weight.temperatures == listed["temperature"]
    assert rate.values == rates
    assert len(weight.values) == ROWS
    assert np.shape(rate.means) == np.shape(rate.known) == (len(rates), len(rate.temperatures))
    best = np.array(rate.means)[:, 3].argmax()
    assert rate.values[int(best)] == 0.01


def test_the_ridge_that_was_built_in_is_seen() -> None:
    """The best learning rate rises with T in `ridge`: by 0.2 decades for each e-fold of T, from 0.01 at T = 6."""
    rates = named(MAPS, "adamw", "adamw.learning_rate")
    means = np.array(rates.means)
    columns = [index for index, t in enumerate(rates.temperatures) if 2.5 < t < 16]
    best = [math.log10(rates.values[int(means[:, column].argmax())]) for column in columns]
    truth = [-2.0 + 0.2 * math.log(rates.temperatures[column] / 6) for column in columns]
    assert np.abs(np.array(best) - truth).max() < 0.35
    middle = means[:, columns].max(axis=0)
    assert middle == pytest.approx([0.92 - 0.008 * math.log(rates.temperatures[c] / 6) ** 2 for c in columns], abs=0.01)


def test_what_acts_together_with_t_is_told_from_what_does_not() -> None:
    """In `ridge` the best learning rate moves with T; weight decay does nothing and kd_weight does by itself."""
    assert [(one.optimizer, one.setting) for one in FOUND.shares] == [(one.optimizer, one.setting) for one in MAPS]
    shares = {one.setting: one for one in FOUND.shares if one.optimizer == "adamw"}
    for one in FOUND.shares:
        assert 0 <= one.interval.low <= one.share <= one.interval.high <= 1
        assert one.share + one.temperature_alone + one.setting_alone <= 1 + 1e-9
        assert one.interval.confidence == 0.9
    rate = shares["adamw.learning_rate"]
    assert rate.interval.low > 0.02
    assert rate.interval.low > max(shares["kd_weight"].share, shares["adamw.weight_decay"].share)
    assert rate.setting_alone > rate.temperature_alone > 0.01


def test_without_an_interaction_none_is_claimed() -> None:
    def apart(configuration: Configuration) -> float:
        t, rate = math.log(configuration.temperature / 6), math.log10(configuration.optimizer.learning_rate)
        return 0.9 - 0.008 * t**2 - 0.02 * (rate + 2) ** 2

    spec = synthetic.spec(space={"optimizer": {"adamw": {"weight_decay": 0.0}}, "kd_weight": 0.7})
    trials = synthetic.Builder(spec, apart, 0.002, np.random.default_rng(1)).job()
    [share] = interactions("j", spec, synthetic.fits(spec, trials), synthetic.NOW).shares
    assert share.share < 0.04  # squeezing bad values bends what is a sum
    assert share.temperature_alone > 0.1
    assert share.setting_alone > 0.1


def test_shares_are_those_of_the_surface_that_was_written_down() -> None:
    """Against the truth's own functional analysis of variance, over the same levels of T, learning rate and weight."""
    t = np.log(np.geomspace(1, 40, 40) / 6)[:, None, None]
    rate = np.log10(np.geomspace(1e-4, 1e-1, 40))[None, :, None]
    weight = np.linspace(0.1, 1, 20)[None, None, :]
    truth = -0.008 * t**2 - 0.05 * (rate + 2.0 - 0.2 * t) ** 2 - 0.02 * (weight - 0.7) ** 2
    one, other = truth.mean((1, 2)).var(), truth.mean((0, 2)).var()
    both = truth.mean(2).var() - one - other
    [share] = [one for one in FOUND.shares if one.setting == "adamw.learning_rate"]
    # bad values are squeezed, which takes from the rate's own part
    assert share.share == pytest.approx(both / truth.var(), abs=0.06)
    assert share.setting_alone == pytest.approx(other / truth.var(), abs=0.1)


def test_a_map_holds_the_trials_it_was_fitted_on() -> None:
    rates = named(MAPS, "sgd", "sgd.learning_rate")
    own = [
        trial
        for trial in TRIALS
        if trial.arm is not Arm.LABEL_ONLY and (trial.configuration or {})["optimizer"]["name"] == "sgd"
    ]
    expected = {(t.configuration["temperature"], t.configuration["optimizer"]["learning_rate"], t.value)
                for t in own if t.configuration}  # fmt: skip
    assert set(rates.trials) == expected


def test_nothing_is_said_where_no_trial_was() -> None:
    corner = [t for t in TRIALS if t.stage is Stage.SEARCH and _within(SPEC, t.configuration)]
    assert len(corner) >= 8
    few = interactions("j", SPEC, synthetic.fits(SPEC, corner), synthetic.NOW).maps
    known = np.array(named(few, "adamw", "adamw.learning_rate").known)
    assert known[:, :8].mean() > known[:, -8:].mean()
    assert not known[:, -1].any()


def _within(spec: JobSpec, configuration: object) -> bool:
    assert isinstance(configuration, dict)
    return configuration["optimizer"]["name"] == "adamw" and configuration["temperature"] < 4


def test_a_minimised_objective_keeps_its_own_values() -> None:
    spec = synthetic.spec(objective={"metric": "nll"})

    def loss(configuration: Configuration) -> float:
        return 1 - synthetic.ridge(configuration)

    trials = synthetic.Builder(spec, loss, 0.002, np.random.default_rng(0)).job()
    rates = named(
        interactions("j", spec, synthetic.fits(spec, trials), synthetic.NOW).maps, "adamw", "adamw.learning_rate"
    )
    assert 0.05 < np.array(rates.means).min() < 0.1


def test_the_teachers_softness_is_what_the_trials_measured() -> None:
    seen = dict(softness_seen(TRIALS))
    measured = {t.configuration["temperature"] for t in TRIALS if t.configuration and t.arm is not Arm.LABEL_ONLY}
    assert set(seen) == measured
    assert set(seen.values()) == {1.0}


def test_the_program_aside_says_what_the_function_says() -> None:
    ended = TRIALS[:40]
    running = dataclasses.replace(TRIALS[40], state=TrialState.RUNNING, value=None, ended_at=None)
    values: dict[str, Any] = {
        "job_id": "j", "event": 7, "spec": SPEC, "trials": [*ended, running], "teacher": {"validation_images": 360},
        "search_stopped": False, "test_seen_before": False, "wall_seconds": 3.0, "now": synthetic.NOW,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *question.PROGRAM],
        input=question.Question(**values | {"spec": synthetic.job(SPEC).spec}).model_dump_json().encode(),
        capture_output=True,
        check=True,
    )
    told = Interim.model_validate_json(done.stdout)
    expected = build_interim(**values)
    assert told.event == 7
    assert told.result is None
    assert told.response.observations == expected.response.observations
    got, wanted = ([p.mean for p in one.response.overall.points] for one in (told, expected) if one.response.overall)
    assert got == pytest.approx(wanted, abs=1e-6)
    assert json.loads(done.stdout)["interactions"]["maps"]


def test_an_interim_answer_has_a_result_once_the_winner_was_trained_afresh() -> None:
    values: dict[str, Any] = {
        "job_id": "j", "event": 7, "spec": SPEC, "teacher": None, "search_stopped": False, "test_seen_before": False,
        "wall_seconds": 3.0, "now": synthetic.NOW,
    }  # fmt: skip
    first = next(place for place, trial in enumerate(TRIALS) if trial.variant == "winner")
    found = build_interim(trials=TRIALS[: first + 2], **values).result
    assert found is not None
    assert found.winner.validation.values == [TRIALS[first].value, TRIALS[first + 1].value]
    assert found.winner.failed_seeds == []
    # An extended job searches again: what the round before found is no result of this one.
    again = [*TRIALS, dataclasses.replace(TRIALS[0], number=len(TRIALS), round=1)]
    assert build_interim(trials=again, **values).result is None
