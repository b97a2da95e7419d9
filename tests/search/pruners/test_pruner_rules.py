"""What our own pruners keep, whatever the curves: nobody stops before the first rung, each stratum keeps a survivor,
who leads goes on, and nothing counts but what the storage holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.pruners import pruner_factory
from search.pruners.extrapolation import CurvePruner, predict, quality, settings
from search.pruners.stratified import StratifiedPruner, equal_edges
from tests.search import factories

EPOCHS, RUNGS = 40, (4, 12, 36)
TEMPERATURE = FloatDistribution(1.0, 40.0, log=True)
OURS = ["stratified", "curve"]
temperatures = st.floats(1.0, 40.0)
starts = st.floats(0.05, 0.6)


def pruner_of(name: str, **changes: Any) -> optuna.pruners.BasePruner:
    return pruner_factory.build_pruner(factories.spec(training={"epochs": EPOCHS}, pruner={"name": name} | changes))


def played(
    study: optuna.Study, temperature: float, curve: Mapping[int, float], rungs: Sequence[int] = RUNGS
) -> tuple[TrialState, int]:
    """A trial that reports at rungs until it is stopped or ends: how, and after which epoch."""
    trial = study.ask({"temperature": FloatDistribution(temperature, temperature)})
    for rung in rungs:
        trial.report(curve[rung], rung)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return TrialState.PRUNED, rung
    study.tell(trial, curve[EPOCHS])
    return TrialState.COMPLETE, EPOCHS


def parallel(start: float) -> dict[int, float]:
    """Without noise, and nobody overtakes anybody."""
    return {epoch: start + 0.3 * (1 - math.exp(-epoch / 10)) for epoch in (1, *RUNGS, EPOCHS)}


@given(trials=st.lists(st.tuples(temperatures, starts), min_size=1, max_size=25), name=st.sampled_from(OURS))
def test_the_best_of_parallel_curves_is_never_stopped(trials: list[tuple[float, float]], name: str) -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of(name))
    ends = [played(study, temperature, parallel(start))[0] for temperature, start in trials]
    best = max(range(len(trials)), key=lambda place: trials[place][1])
    assert ends[best] is TrialState.COMPLETE


@given(
    trials=st.lists(
        st.tuples(temperatures, st.lists(st.floats(0, 1), min_size=5, max_size=5)), min_size=1, max_size=25
    ),
    name=st.sampled_from(OURS),
)
def test_nobody_stops_before_the_first_rung(trials: list[tuple[float, list[float]]], name: str) -> None:
    """Also where every epoch is reported, as others than our worker may do."""
    study = optuna.create_study(direction="maximize", pruner=pruner_of(name))
    steps = (1, *RUNGS, EPOCHS)
    for temperature, values in trials:
        _, epoch = played(study, temperature, dict(zip(steps, values, strict=True)), rungs=(1, *RUNGS))
        assert epoch >= RUNGS[0]


@given(trials=st.lists(st.tuples(st.sampled_from([1.5, 6.0, 30.0]), starts), min_size=3, max_size=25))
def test_every_stratum_has_a_survivor_until_the_late_rung(trials: list[tuple[float, float]]) -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of("stratified"))
    reached: dict[float, int] = {}
    for temperature, start in trials:
        _, epoch = played(study, temperature, parallel(start))
        reached[temperature] = max(epoch, reached.get(temperature, 0))
    assert all(epoch >= RUNGS[-1] for epoch in reached.values())


def test_the_only_one_of_a_stratum_goes_on_and_strata_meet_late() -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of("stratified"))
    for start in (0.5, 0.4, 0.3):
        played(study, 1.5, parallel(start))
    assert played(study, 30.0, parallel(0.1)) == (TrialState.PRUNED, RUNGS[-1])


def test_a_late_bloomer_of_another_temperature_is_kept_where_blind_halving_stops_it() -> None:
    """Behind at first, ahead in the end: what the strata are for."""
    late = {4: 0.2, 12: 0.4, 36: 0.94, EPOCHS: 0.95}
    for name, expected in (("stratified", TrialState.COMPLETE), ("successive_halving", TrialState.PRUNED)):
        study = optuna.create_study(direction="maximize", pruner=pruner_of(name))
        for start in (0.5, 0.45, 0.55):
            played(study, 1.5, parallel(start))
        assert played(study, 30.0, late)[0] is expected


@given(data=st.data(), name=st.sampled_from(OURS), direction=st.sampled_from(["maximize", "minimize"]))
def test_decisions_depend_on_the_stored_trials_alone(data: st.DataObject, name: str, direction: str) -> None:
    """A new pruner over a copy of the trials, in whatever order of their being asked for, decides the same."""
    values = st.lists(st.floats(0, 1), min_size=4, max_size=4)
    drawn = data.draw(st.lists(st.tuples(temperatures, values), min_size=8, max_size=16))
    trials = [stored(temperature, values, last=EPOCHS) for temperature, values in drawn]
    asked = stored(*data.draw(st.tuples(temperatures, values)), last=data.draw(st.sampled_from(RUNGS)))
    answers = set()
    for order in (trials, trials[::-1], trials):
        study = optuna.create_study(direction=direction)
        study.add_trials(order)
        asked.number = len(order)
        answers.add(pruner_of(name).prune(study, asked))
    assert len(answers) == 1


def stored(temperature: float, values: Sequence[float], last: int) -> FrozenTrial:
    """A trial that reported at rungs up to the epoch `last`, and ended if that is the last of all."""
    done = last == EPOCHS
    return create_trial(
        state=TrialState.COMPLETE if done else TrialState.RUNNING,
        value=values[-1] if done else None,
        params={"temperature": temperature},
        distributions={"temperature": TEMPERATURE},
        intermediate_values={rung: value for rung, value in zip(RUNGS, values, strict=False) if rung <= last},
    )


def test_the_curve_pruner_stops_what_is_hopeless_and_nothing_before_it_knows_how_curves_end() -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of("curve", startup_trials=5))
    starts = [0.5, 0.52, 0.48, 0.1, 0.51]
    assert all(played(study, 4.0, parallel(start))[0] is TrialState.COMPLETE for start in starts)
    assert played(study, 4.0, parallel(0.11)) == (TrialState.PRUNED, RUNGS[0])
    assert played(study, 4.0, parallel(0.515))[0] is TrialState.COMPLETE


def test_the_curve_pruner_learns_that_large_temperatures_are_late() -> None:
    """A trial at T=30 that lies behind goes on, since others at T=30 have come from there; at T=1.5 it stops."""
    study = optuna.create_study(direction="maximize", pruner=pruner_of("curve", startup_trials=8))
    for step in range(8):
        late = step % 2 == 1
        level = 0.85 + 0.01 * (step // 2)
        curve = {4: level - (0.4 if late else 0.1), 12: level - (0.3 if late else 0.05), 36: level, EPOCHS: level}
        assert played(study, 30.0 if late else 1.5, curve)[0] is TrialState.COMPLETE
    behind = {4: 0.475, 12: 0.575, 36: 0.885, EPOCHS: 0.885}
    assert played(study, 30.0, behind)[0] is TrialState.COMPLETE
    assert played(study, 1.5, behind)[0] is TrialState.PRUNED


def test_a_prediction_knows_how_sure_it_may_be() -> None:
    """Of many lines with noise, nine in ten or more lie within the interval that is to hold nine in ten; not all."""
    chance = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        features = chance.normal(size=(21, 3))
        gains = 0.4 + features @ [0.3, -0.1, 0.0] + chance.normal(0, 0.1, 21)
        mean, deviation = predict(features[:-1], gains[:-1], features[-1])
        inside.append(abs(gains[-1] - mean) < 1.645 * deviation)
    assert 0.88 < np.mean(inside) < 0.99


def test_settings_are_numbers_whatever_a_trial_has() -> None:
    choice = CategoricalDistribution(["sgd", "adamw"])
    rate = FloatDistribution(0.01, 1.0, log=True)
    trials = [
        create_trial(
            value=0.0,
            params={"optimizer": name} | ({} if value is None else {"sgd.learning_rate": value}),
            distributions={"optimizer": choice} | ({} if value is None else {"sgd.learning_rate": rate}),
        )
        for name, value in (("sgd", 0.01), ("sgd", 1.0), ("adamw", None))
    ]
    found = settings(trials)
    assert found.shape == (3, 2)
    assert found[:, 1] == pytest.approx([-1.0, 1.0, 0.0])  # logarithmic, and 0 where there is none
    assert found[0, 0] == found[1, 0] != found[2, 0]
    assert settings(trials[:1]).tolist() == [[0.0, 0.0]]


@given(st.tuples(*[st.floats(5e-324, 1.7e308)] * 2).filter(lambda ends: ends[0] != ends[1]).map(sorted))
@example([5e-324, 1.0])
@example([1.0, math.nextafter(1.0, 2.0)])
def test_strata_of_any_two_temperatures_have_edges_between_them(ends: list[float]) -> None:
    low, high = ends
    edges = equal_edges(low, high, 3)
    assert all(low <= edge <= high for edge in edges)
    StratifiedPruner(RUNGS, 3, edges, 20)


def test_quality_rises_as_errors_fall() -> None:
    assert quality(0.99, 1.0) > quality(0.75, 1.0) == quality(0.25, 0.0) > quality(2.0, 0.0)
    assert quality(27.0, 100.0, 100.0) == quality(0.27, 1.0)
    assert math.isfinite(quality(1.0, 1.0))
    assert math.isfinite(quality(0.0, 0.0))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: StratifiedPruner([0], 3, [], 5), "counted from 1"),
        (lambda: StratifiedPruner([4], 1, [], 5), "at least 2, got 1; no pruner stops none"),
        (lambda: StratifiedPruner([4], 3, [5.0, 2.0], 5), "positive and rise"),
        (lambda: equal_edges(0.0, 4.0, 3), "positive and rise"),
        (lambda: equal_edges(1.0, 4.0, 0), "1 compares all temperatures"),
        (lambda: CurvePruner(0, 5, 0.05, 3), "min_epochs must be at least 1"),
        (lambda: CurvePruner(4, 5, 0.6, 3), "0.05 stops what is unlikely"),
        (lambda: CurvePruner(4, 5, 0.05, 0), "1 asks for the best alone"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_out(build: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()


@pytest.mark.parametrize("name", OURS)
def test_a_report_that_is_no_number_ends_a_trial(name: str) -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of(name))
    trial = study.ask()
    trial.report(math.nan, RUNGS[0])
    assert trial.should_prune()
