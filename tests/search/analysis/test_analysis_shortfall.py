"""What an answer says of its own shortfall is true wherever the truth is known, and absent where nothing is."""

from __future__ import annotations

import dataclasses
import json
import random
from functools import cache
from typing import Any

import numpy as np
import pytest

from search import configurations, units
from search.analysis.job import shortfall as room
from search.analysis.job.joint_surface import answer_surface, joint_of, joint_surface
from search.analysis.job.shortfall import shortfall
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from search.surrogate.encoding import Encoding
from tests import synthetic
from thermowell.api.answers import Result, Shortfall
from thermowell.api.answers import Result as Sent
from thermowell.api.document import read_document
from trainers.spec import Configuration

SPEC = synthetic.spec(budget={"trials": 32})
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.004, np.random.default_rng(0)).job()
TEMPERATURES, RATES = [1, 1.6, 2.7, 4.3, 7, 11, 18, 29, 40], [0.001, 0.003, 0.01, 0.03, 0.1]
LISTED = {
    "temperature": TEMPERATURES,
    "kd_weight": 0.5,
    "optimizer": {"adamw": {"learning_rate": RATES, "weight_decay": 0}},
}
BEST = 0.92
"""Of `synthetic.ridge`: AdamW at T = 6, kd_weight 0.7 and a learning rate of 0.01."""


def winner(trials: list[Trial]) -> dict[str, Any]:
    return dict(next(trial for trial in trials if trial.variant == "winner").configuration or {})


def said(spec: JobSpec, trials: list[Trial], members: int = 1) -> Shortfall:
    found = shortfall(spec, trials, winner(trials), answer_surface(spec, trials, members))
    assert found is not None
    return found


@cache
def world(seed: int) -> tuple[JobSpec, list[Trial], np.ndarray[Any, Any]]:
    """A job that searched a list of configurations at random; their true means are drawn from a Gaussian process."""
    rng = np.random.default_rng([seed, 7])
    at = np.array([[t, r] for t in np.linspace(0, 1, len(TEMPERATURES)) for r in np.linspace(0, 1, len(RATES))])
    apart = np.linalg.norm((at[:, None] - at[None]) / [0.6, 0.5], axis=2) * np.sqrt(5)
    covariance = (1 + apart + apart**2 / 3) * np.exp(-apart)  # Matern 5/2
    drawn = 0.9 + 0.01 * np.linalg.cholesky(covariance + 1e-9 * np.eye(len(at))) @ rng.standard_normal(len(at))
    spec = synthetic.spec(space=LISTED, budget={"trials": 24}, baselines={"share": 0}, seed=seed)

    def truth(configuration: Configuration) -> float:
        return float(drawn[place(configuration)])

    builder = synthetic.Builder(spec, truth, 0.004, rng)
    tried = rng.integers(len(at), size=24)
    trials = [builder.trial(Stage.SEARCH, Arm.JOINT, None, None, listed(int(cell)), 100 + int(cell)) for cell in tried]
    for finalist in sorted(trials, key=lambda trial: -(trial.value or 0.0))[:3]:
        trials += builder.repeat(finalist, Stage.SELECT, None, 3, 1000)
    means = {o: np.mean([t.value for t in trials if t.origin == o]) for o in {t.origin for t in trials} - {None}}
    chosen = max(means, key=lambda origin: means[origin])
    trials += builder.repeat(trials[chosen or 0], Stage.ESTIMATE, "winner", 5, 2000)
    return spec, trials, drawn


def listed(cell: int) -> Configuration:
    """The configuration of a cell of LISTED."""
    spec = synthetic.spec(space=LISTED)
    some = synthetic.Builder(spec, synthetic.ridge, 0, np.random.default_rng(0)).configuration(None)
    rate = dataclasses.replace(some.optimizer, learning_rate=RATES[cell % len(RATES)])
    return dataclasses.replace(some, temperature=TEMPERATURES[cell // len(RATES)], optimizer=rate)


def place(configuration: Configuration) -> int:
    rate = RATES.index(configuration.optimizer.learning_rate)
    return TEMPERATURES.index(configuration.temperature) * len(RATES) + rate


def test_on_known_worlds_no_more_is_stated_than_holds() -> None:
    stated, hits, held = [], [], []
    for seed in range(60):
        spec, trials, truth = world(seed)
        found = said(spec, trials, members=12)
        behind = truth.max() - truth[place(configurations.from_json(winner(trials)))]
        stated.append(found.chance_within_delta)
        hits.append(behind <= found.delta)
        held.append(behind <= found.upper + 1e-12)
    assert 0.2 < np.mean(stated) <= np.mean(hits)
    assert np.mean(held) >= 0.87
    sure = np.argsort(stated)
    assert np.mean(np.array(hits)[sure[30:]]) > np.mean(np.array(hits)[sure[:30]]) + 0.2  # it tells jobs apart


def test_more_trials_leave_less_to_be_missed() -> None:
    def told(budget: int) -> tuple[float, float, float]:
        spec = synthetic.spec(budget={"trials": budget}, space={"optimizer": {"adamw": {}}}, baselines={"share": 0})
        found = []
        for seed in range(6):
            trials = synthetic.Builder(spec, synthetic.ridge, 0.001, np.random.default_rng(seed)).job()
            one = said(spec, trials)
            found.append((one.chance_within_delta, one.expected, one.upper))
        chance, expected, upper = np.mean(found, axis=0)
        return float(chance), float(expected), float(upper)

    few, many = told(8), told(128)
    assert many[0] > few[0] + 0.1
    assert many[1] < few[1] / 2
    assert many[2] < few[2] / 2


def test_fresh_seeds_count() -> None:
    """The same search; the winner then turns out to be a point worse on its fresh seeds."""
    fresh = {trial.number for trial in TRIALS if trial.stage is Stage.ESTIMATE and trial.variant == "winner"}
    worse = [dataclasses.replace(t, value=(t.value or 0) - 0.01) if t.number in fresh else t for t in TRIALS]
    assert said(SPEC, worse).expected > said(SPEC, TRIALS).expected + 0.001


def test_a_metric_that_is_minimised_is_the_mirror_image() -> None:
    spec = synthetic.spec(budget={"trials": 32}, objective={"metric": "nll"})
    mirrored = [dataclasses.replace(trial, value=1 - (trial.value or 0.0)) for trial in TRIALS]
    found, other = said(spec, mirrored), said(SPEC, TRIALS)
    assert (found.chance_within_delta, found.expected) == pytest.approx(
        (other.chance_within_delta, other.expected), abs=1e-6
    )
    assert 0 <= found.expected <= found.upper


def test_the_same_trials_say_the_same_in_whatever_order_they_are_read() -> None:
    shuffled = random.Random(3).sample(TRIALS, len(TRIALS))
    assert shortfall(SPEC, shuffled, winner(TRIALS), answer_surface(SPEC, shuffled, 1)) == said(SPEC, TRIALS)


def test_all_configurations_of_lists_are_looked_at_once() -> None:
    spec, trials, _ = world(0)
    points, at = places(spec, trials)
    assert len(points) == len(TEMPERATURES) * len(RATES)
    [own] = [joint_of(spec, False).point("adamw", values(spec, winner(trials)))]
    assert points[at] == pytest.approx(own)


@pytest.mark.parametrize("temperature", [{"low": 1, "high": 40}, pytest.param(8.0, marks=pytest.mark.slow)])
def test_places_of_ranges_lie_in_the_searched_space_and_near_what_may_be_best(temperature: Any) -> None:
    spec = synthetic.spec(budget={"trials": 32}, space={"temperature": temperature})
    trials = synthetic.Builder(spec, synthetic.ridge, 0.004, np.random.default_rng(1)).job()
    points, at = places(spec, trials)
    assert len(np.unique(points, axis=0)) == len(points) > 2 * room._EVEN
    assert (points >= 0).all()
    assert (points <= 1).all()
    joint = joint_of(spec, False)
    assert points[at] == pytest.approx(joint.point(*of(spec, winner(trials))))
    if isinstance(temperature, float):  # baselines had another one
        assert np.unique(joint.units("sgd", points)[:, 0]) == pytest.approx([np.log(8) / np.log(40)])


def places(spec: JobSpec, trials: list[Trial]) -> tuple[np.ndarray[Any, Any], int]:
    rng = np.random.default_rng(0)
    surface = joint_surface(spec, trials, False, rng, 1)
    assert surface is not None
    return room._places(spec, surface, trials, winner(trials), rng)


def of(spec: JobSpec, configuration: dict[str, Any]) -> tuple[str, dict[str, float]]:
    return str(configuration["optimizer"]["name"]), values(spec, configuration)


def values(spec: JobSpec, configuration: dict[str, Any]) -> dict[str, float]:
    joint: Encoding = joint_of(spec, False)
    return {s.name: s.value(configuration) for s in joint.settings[configuration["optimizer"]["name"]]}


def test_baselines_of_another_term_say_nothing() -> None:
    spec = synthetic.spec(budget={"trials": 32}, distillation={"method": "zscore"})
    baselines = {trial.number for trial in TRIALS if trial.arm in (Arm.T1, Arm.T4)}
    marked = [
        dataclasses.replace(t, value=0.99, configuration=dict(t.configuration or {}) | {"method": "kl"})
        if t.number in baselines
        else t
        for t in TRIALS
    ]
    without = [trial for trial in TRIALS if trial.number not in baselines]
    assert said(spec, marked) == said(spec, without)


def test_of_few_configurations_a_fixed_space_or_a_failed_winner_nothing_is_said() -> None:
    joint = [t for t in TRIALS if t.arm is Arm.JOINT]
    search = [t for t in joint if t.stage is Stage.SEARCH]
    assert answer_surface(SPEC, search[:4]) is None
    assert shortfall(SPEC, search[:4], winner(TRIALS), None) is None
    one = {"temperature": 4, "kd_weight": 1, "optimizer": {"adamw": {"learning_rate": 0.01, "weight_decay": 0}}}
    fixed = synthetic.spec(space=one)
    trials = synthetic.Builder(fixed, synthetic.ridge, 0.004, np.random.default_rng(1)).job()
    assert answer_surface(fixed, trials) is None
    failed = [
        dataclasses.replace(t, state=TrialState.FAILED, value=None) if t.variant == "winner" else t for t in joint
    ]
    assert synthetic.documents(SPEC, failed)["result"].shortfall is None


def test_the_answer_says_it_and_older_answers_still_load() -> None:
    found = synthetic.documents(SPEC, TRIALS)["result"]
    assert found.shortfall == shortfall(SPEC, TRIALS, found.winner.configuration.stored(), answer_surface(SPEC, TRIALS))
    said = units.chance(found.shortfall.chance_within_delta)
    shown = f"with a chance of {said}" if found.shortfall.chance_within_delta >= 0.01 else f"is {units.NOT_SHOWN}"
    assert f"of the searched space {shown}; expected shortfall" in found.summary
    assert read_document(Sent, found.model_dump(mode="json")).shortfall is not None
    older = found.model_dump(mode="json")
    del older["shortfall"]
    assert Result.model_validate_json(json.dumps(older)).shortfall is None
    assert read_document(Sent, older).shortfall is None


def test_an_extended_job_says_it_of_its_new_winner_with_what_both_rounds_have_shown() -> None:
    """Another configuration, trained again in a second round, wins; what the first round trained still counts."""
    first = {trial.number for trial in TRIALS if trial.variant == "winner"}
    poor = min((t for t in TRIALS if t.stage is Stage.SEARCH), key=lambda trial: trial.value or 0.0)
    again = [
        dataclasses.replace(
            t, number=1000 + t.number, round=1, configuration=poor.configuration, value=0.9, seed=t.seed + 1
        )
        for t in TRIALS
        if t.number in first
    ]
    found = synthetic.documents(SPEC, [*TRIALS, *again])["result"]
    assert found.winner.configuration.stored() == poor.configuration
    surface = answer_surface(SPEC, [*TRIALS, *again])
    assert found.shortfall == shortfall(SPEC, [*TRIALS, *again], poor.configuration or {}, surface)
    forgotten = [trial for trial in TRIALS if trial.number not in first]
    without = answer_surface(SPEC, [*forgotten, *again])
    assert found.shortfall != shortfall(SPEC, [*forgotten, *again], poor.configuration or {}, without)


@pytest.mark.parametrize(
    ("metric", "delta", "chance", "expected", "upper", "words"),
    [
        ("accuracy", 0.002, 0.314, 0.0051, 0.0141, "0.2 points of the best, at least 31 %, 0.5 points, at most 1.4"),
        ("accuracy", 0.0005, 0.9999, 0.00001, 0.0002, "0.05 points of the best, at least 99 %, 0.00 points, at most 0.02"),  # noqa: E501
        ("nll", 0.002, 0.001, 0.0311, 0.0552, "0.002 nats of the best, not shown, 0.031 nats, at most 0.055"),
        ("ece", 0.01, 0.5, 0.004, 0.012, "1.0 points of the best, at least 50 %, 0.4 points, at most 1.2"),
    ],
)  # fmt: skip
def test_it_is_said_in_the_objectives_unit(
    metric: units.Metric, delta: float, chance: float, expected: float, upper: float, words: str
) -> None:
    found = Shortfall(
        delta=delta, chance_within_delta=chance, expected=expected, upper=upper, confidence=0.9, method=""
    )
    parts = (units.within_delta(metric, found), units.chance(chance), units.shortfall(metric, found))
    assert ", ".join(parts) == f"within {words} with 90 % confidence"
