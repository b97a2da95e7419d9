"""The verdict in the answer of whole jobs whose truth is known: what it says in its two sentences, and on what."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.analysis.job import profile
from search.analysis.job.fits import fit_each
from search.analysis.job.joint_surface import answer_surface, joint_of, points_of
from search.analysis.job.options import Contest, contest_of
from search.analysis.job.verdict import decide
from search.analysis.job.verdict_words import verdict_of
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage
from tests import synthetic
from thermowell.api.answers import Verdict
from trainers.spec import Configuration

SMALL: dict[str, Any] = {
    "budget": {"trials": 20},
    "baselines": {"share": 0.3},
    "space": {"optimizer": {"sgd": {"momentum": 0.9, "weight_decay": 1e-4}}, "kd_weight": {"low": 0.1, "high": 1.0}},
}


def spec(**changes: Any) -> JobSpec:
    return synthetic.spec(**{**SMALL, **changes})


def peak(best: float, height: float, labels: float = 0.88, width: float = 1.0) -> synthetic.Truth:
    """Distilling gains `height` over labels at its best T, less the farther away from it, and by kd_weight."""

    def truth(configuration: Configuration) -> float:
        off = math.log(configuration.temperature / best) / width
        rate = math.log10(configuration.optimizer.learning_rate) + 1.0
        return labels + configuration.kd_weight * height * math.exp(-(off**2)) - 0.02 * rate**2

    return truth


def trials_of(truth: synthetic.Truth, of: JobSpec, noise: float = 0.001, seed: int = 0) -> list[Trial]:
    return synthetic.Builder(of, truth, noise, np.random.default_rng(seed)).job()


def verdict(trials: list[Trial], of: JobSpec) -> Verdict:
    surface = answer_surface(of, trials, members=2)
    known = contest_of(of, trials, surface, fit_each(of, trials, surface))
    assert known is not None
    return verdict_of(of, known, decide(known.field))


def test_a_temperature_that_matters_is_used() -> None:
    said = verdict(trials_of(peak(14.0, 0.05, width=0.7), spec()), spec())
    assert (said.kind, said.shown, said.arm) == ("use", True, "joint")
    assert said.temperature is not None
    assert 9 < said.temperature < 25
    assert said.headline.startswith("Use T = ")
    assert said.headline.endswith(": shown to be better than T = 4, no distillation and T = 1.")
    assert "points over T = 4 expected, better with a chance of 99 %" in said.action
    assert [alternative.recommended for alternative in said.alternatives].count(True) == 1
    assert said.gain is not None
    assert said.gain.temperature == 4.0  # tuned, or with the winner's own settings, whichever is better


def test_a_flat_response_keeps_the_default() -> None:
    of = spec(space={**SMALL["space"], "kd_weight": 0.9})
    trials = trials_of(peak(6.0, 0.05, width=50.0), of)
    said = verdict(trials, of)
    assert (said.kind, said.temperature) == ("keep", 4.0)
    assert said.between is not None
    assert said.between[1] / said.between[0] > 4
    assert said.headline.startswith("T makes no difference that matters between ")
    assert ": keep T = 4 with SGD (" in said.headline
    own = of.model_copy(update={"baselines": of.baselines.model_copy(update={"default_temperature": 3.0})})
    mine = verdict(trials, own)
    assert (mine.kind, mine.temperature, mine.default_temperature) == ("keep", 3.0, 3.0)
    assert "keep T = 3 with" in mine.headline


def test_distillation_that_does_not_help_is_left() -> None:
    said = verdict(trials_of(peak(6.0, -0.05, width=50.0), spec()), spec())
    assert (said.kind, said.arm, said.temperature) == ("labels", "label_only", None)
    assert said.headline.startswith(
        "Distillation does not help here, as is shown: train on the labels alone, with SGD ("
    )
    assert "kd_weight" not in said.headline
    assert said.action.startswith("Train without the teacher: ")


def test_what_hardly_asks_the_teacher_is_no_temperature_to_use() -> None:
    of = spec(space={**SMALL["space"], "kd_weight": {"low": 0.05, "high": 0.19}})
    answer = verdict(trials_of(peak(20.0, 0.3, width=0.7), of), of)
    assert (answer.kind, answer.temperature) == ("keep", 4.0)
    assert answer.headline.startswith("No other T is to be relied on: keep T = 4 with ")
    reason = answer.reasons[-1]
    assert reason.startswith("Not recommended: T = ")
    assert reason.endswith(" of the loss for the teacher, so that T hardly counts.")
    assert f"Train with it, and not with {reason.removeprefix('Not recommended: ').removesuffix('.')}" in answer.action


def test_what_cannot_be_told_says_what_to_do_meanwhile_and_how_much_more_it_takes() -> None:
    of = spec(confirmation={"finalists": 2, "select_seeds": 1, "estimate_seeds": 2, "delta": 1e-4})
    said = next(
        answer
        for seed in range(20)
        if (answer := verdict(trials_of(peak(20.0, 0.02), of, 0.02, seed), of)).kind == "undecided"
    )
    assert said.headline.startswith("Not decided between ")
    assert said.action.startswith("Meanwhile use ")
    assert said.action.endswith(" and a confirmation by thermowell extend JOB --to-decide")
    assert said.missing is not None
    assert said.missing.trials >= 1
    assert f"About {said.missing.seeds} more fresh seed" in said.action
    assert f"{said.missing.trials} more search trial" in said.action


@pytest.mark.parametrize("temperature", [4.0, 6.0])
def test_a_fixed_temperature_is_no_gain_over_itself(temperature: float) -> None:
    of = spec(space={**SMALL["space"], "temperature": temperature})
    said = verdict(trials_of(peak(6.0, 0.05, width=50.0), of), of)
    assert said.temperature == temperature
    assert all(gain.temperature != temperature for gain in said.gains)
    assert f"T = {temperature:g}" in said.headline
    assert "makes no difference" not in said.headline


def test_temperatures_that_are_one_are_one_option() -> None:
    """T = 1 against T = 1.01, tuned longer: no gain is claimed, however small the noise is."""
    of = spec(space={**SMALL["space"], "temperature": {"low": 1.0, "high": 1.02}})
    said = verdict(trials_of(peak(1.0, 0.05, width=0.3), of, 0.0005), of)
    assert all(gain.temperature != 1.0 for gain in said.gains)
    assert (said.kind, said.temperature) != ("keep", 4.0)


def contest(of: JobSpec, trials: list[Trial]) -> Contest:
    found = contest_of(of, trials, answer_surface(of, trials, members=2), {})
    assert found is not None
    return found


def test_the_default_is_weighed_at_the_settings_of_whatever_else_is_best() -> None:
    """Where a baseline was tuned badly, what T gains is not what the settings gain."""
    of = spec()
    trials = trials_of(peak(14.0, 0.05, width=0.7), of)
    entries = contest(of, trials).entries
    twins = [entry for entry in entries if not entry.runs]
    assert {twin.option.temperature for twin in twins} == {4.0}
    others = [{**entry.configuration, "temperature": 4.0} for entry in entries if entry.runs]
    assert any(twin.configuration in others for twin in twins)
    own = contest(spec(baselines={"default_temperature": 8.0}), trials).entries
    assert {entry.option.temperature for entry in own if not entry.runs} == {8.0}


def test_the_default_is_weighed_at_the_best_settings_that_anything_was_tried_with() -> None:
    """T does not gain what a default lacks in tuning, though nobody trained the default so."""
    of = spec()
    trials = trials_of(peak(14.0, 0.05, width=0.7), of, 0.004)
    surface, joint = answer_surface(of, trials, members=2), joint_of(of, False)
    assert surface is not None
    tried = [{**(t.configuration or {}), "temperature": 4.0} for t in trials if t.stage is Stage.SEARCH]
    options = [e.configuration for e in contest(of, trials).entries if e.option.temperature == 4.0]
    best = float(surface.mean(points_of(joint, options)).max())
    assert best >= float(surface.mean(points_of(joint, tried)).max()) - 1e-4


def test_where_the_teacher_hardly_counts_no_hot_temperature_is_recommended() -> None:
    """A weight of at most 0.15, at which T cannot matter: whatever is best by chance, the default T does as well."""
    of = spec(space={**SMALL["space"], "kd_weight": {"low": 0.0, "high": 0.15}})
    for seed in range(3):
        said = verdict(trials_of(lambda c: peak(1.0, 0.0)(c), of, 0.008, seed), of)
        assert said.kind in ("keep", "labels", "undecided")
        assert said.kind == "labels" or said.temperature is None or said.temperature <= 20


def test_baselines_of_another_term_are_judged_by_their_own_runs() -> None:
    of = spec(distillation={"method": "dkd"})
    trials = [
        dataclasses.replace(trial, configuration={**(trial.configuration or {}), "method": "kl"})
        if trial.arm in (Arm.T1, Arm.T4)
        else trial
        for trial in trials_of(peak(14.0, 0.05, width=0.7), of)
    ]
    said = verdict(trials, of)
    assert (said.kind, said.arm) == ("use", "joint")
    assert "with DKD" in said.headline


@given(
    best=st.sampled_from([1.0, 2.0, 6.0, 39.0]),
    noise=st.sampled_from([0.002, 0.01, 0.03]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=4, deadline=None)
def test_what_is_recommended_lies_in_the_set_of_the_best(best: float, noise: float, seed: int) -> None:
    of = spec(budget={"trials": 12}, seed=seed)
    trials = trials_of(peak(best, 0.03), of, noise, seed)
    said = synthetic.documents(of, trials)
    result, response = said["result"], said["response"]
    if response.overall is None:
        return
    intervals = response.overall.confidence_set.intervals
    assert _inside(result.winner.configuration.temperature, intervals)
    if result.verdict.temperature is not None:
        assert _inside(result.verdict.temperature, intervals)


def _inside(temperature: float, intervals: list[tuple[float, float]]) -> bool:
    return any(low * (1 - 1e-9) <= temperature <= high * (1 + 1e-9) for low, high in intervals)


@given(st.lists(st.floats(1, 40), max_size=3), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_a_set_holds_what_it_must(temperatures: list[float], seed: int) -> None:
    grid = profile.grid(1.0, 40.0)
    draws = np.random.default_rng(seed).standard_normal((50, len(grid))).cumsum(axis=1)
    found = profile.confidence_set(grid, draws, 0.1, 0.9, temperatures)
    assert all(_inside(temperature, found.intervals) for temperature in temperatures)


def test_without_a_fresh_seed_there_is_no_field() -> None:
    of = spec()
    searched = [trial for trial in trials_of(peak(6.0, 0.05), of) if trial.stage in (Stage.SEARCH, Stage.BASELINE)]
    assert contest_of(of, searched, None, {}) is None


def test_of_few_trials_the_verdict_goes_by_their_own_seeds() -> None:
    of = spec(budget={"trials": 2}, confirmation={"finalists": 1, "estimate_seeds": 3})
    trials = trials_of(peak(14.0, 0.05), of)
    known = contest_of(of, trials, None, {})
    assert known is not None
    means = known.field.draws.mean(axis=0)
    for entry, mean in zip(known.entries, means, strict=True):
        assert mean == pytest.approx(np.mean([trial.value for trial in entry.runs]), abs=0.002)


@pytest.mark.parametrize("trials", [2, 4, 8])
@pytest.mark.parametrize("seeds", [1, 2])
def test_few_fresh_seeds_give_intervals_of_the_size_of_the_noise(trials: int, seeds: int) -> None:
    of = spec(budget={"trials": trials}, baselines={"share": 0}, confirmation={"finalists": 1, "estimate_seeds": 2})
    built = trials_of(peak(14.0, 0.02), of, noise=0.01)
    fresh = list(dict.fromkeys(trial.seed for trial in built if trial.stage is Stage.ESTIMATE))[:seeds]
    few = [trial for trial in built if trial.stage is Stage.SEARCH or trial.seed in fresh]
    known = contest_of(of, few, answer_surface(of, few, members=2), {})
    assert known is not None
    gains = decide(known.field).gains
    assert gains
    spread = np.std([trial.value for trial in few])
    for gain in gains:
        assert 0.25 * 0.01 < gain.high - gain.low < 30 * max(spread, 0.01)
    assert 0 < known.field.noise < 5 * max(spread, 0.01)


def test_runs_that_all_come_out_alike_do_not_make_a_verdict_sure() -> None:
    of = spec(budget={"trials": 2}, baselines={"share": 0}, confirmation={"finalists": 1, "estimate_seeds": 2})
    built = trials_of(peak(14.0, 0.02), of, noise=0.01)
    alike = [dataclasses.replace(trial, value=0.9) if trial.stage is Stage.ESTIMATE else trial for trial in built]
    known = contest_of(of, alike, None, {})
    assert known is not None
    assert known.field.noise > 0
    assert not decide(known.field).shown
