"""What a study could tell: less with fewer repeats, more with more, and about what it then does tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.calibration import study_worlds
from benchmarks.table import variances as measured
from search.analysis.study import power, power_words
from search.analysis.study.guidance import compute_guidance
from search.analysis.study.power import Errors, Outlook, PilotNeeded, Power, outlook_of
from search.analysis.study.variances import SCATTERS, scatter_of
from search.studies.cells import expand
from search.studies.spec import StudySpec
from tests.search.studies.test_studies import BASE, FACTORS
from thermowell.api.guidance import Guidance
from trainers.replay.world import load


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few hyperparameters and few simulated jobs."""
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 16)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)
    monkeypatch.setattr(power, "SIMULATED", 2)


def outlook(pilot: Guidance | None = None, **changes: Any) -> Outlook:
    document = {
        "name": "small",
        "base": BASE | {"budget": {"trials": 48}},
        "trials": "grid",
        "factors": {name: FACTORS[name] for name in ("training.epochs", "space.optimizer")},
        "replicates": 3,
    }
    study = StudySpec.model_validate(document | changes)
    return outlook_of(study.name, expand(study).new, pilot)


def least(found: Outlook, question: str = "cost", temperature: float | None = 20.0) -> dict[tuple[str, ...], Power]:
    return {
        tuple(one.factors): one for one in found.powers if (one.question, one.temperature) == (question, temperature)
    }


def test_more_repeats_tell_less_and_interactions_need_more() -> None:
    three, six = least(outlook()), least(outlook(replicates=6))
    assert three.keys() == {("training.epochs",), ("space.optimizer",), ("training.epochs", "space.optimizer")}
    for factors, one in three.items():
        assert one.least is not None
        assert (six[factors].least or 1.0) < one.least
    assert (three["training.epochs", "space.optimizer"].least or 0.0) > 1.5 * (three["training.epochs",].least or 1.0)


def test_the_budget_that_is_named_is_told_to_be_enough() -> None:
    open_power = next(one for one in least(outlook(replicates=2)).values() if one.sufficient is not None)
    assert open_power.sufficient is not None
    assert open_power.sufficient.replicates > 2 or open_power.sufficient.times_trials > 1
    document = {"trials": 48 * open_power.sufficient.times_trials}
    enough = outlook(replicates=open_power.sufficient.replicates, base=BASE | {"budget": document})
    again = least(enough)[tuple(open_power.factors)]
    assert again.least is not None
    assert again.least < 1.2 * open_power.margin


def test_an_adaptive_study_is_taken_for_a_grid_of_as_many_trials() -> None:
    grid, adaptive = outlook(), outlook(trials="adaptive")
    assert (adaptive.powers, adaptive.trainings) == (grid.powers, grid.trainings)
    assert "shared out alike" in adaptive.basis
    assert "shared out alike" not in grid.basis


def test_one_repeat_tells_nothing_and_a_factor_of_one_level_is_not_asked_about() -> None:
    alone = outlook(replicates=1)
    assert alone.powers
    assert not any(one.told or one.least is not None for one in alone.powers)
    assert outlook(factors={}).powers == []


def test_a_pilot_tells_the_errors_and_what_it_then_tells_is_as_wide() -> None:
    flat = next(kind for kind in study_worlds.KINDS if kind.name == "flat")
    pilot = compute_guidance("pilot", study_worlds.study(flat, 0))
    factors = {
        name: {level: {place: value} for level, value in zip(("first", "second"), values, strict=True)}
        for name, place, values in (("a", "training.epochs", (4, 8)), ("b", "teacher.label_smoothing", (0, 0.1)))
    }
    found = outlook(pilot, factors=factors, base=BASE | {"budget": {"trials": 72}})
    assert found.basis == "the pilot pilot"
    for question in pilot.questions:
        told = {tuple(effect.factors): effect.measured for effect in question.effects}
        for factor in ("a", "b"):
            predicted = least(found, question.name, question.temperature)[factor,].least
            interval = told[factor,].interval
            assert predicted is not None
            assert interval is not None
            assert 0.5 < predicted / (interval.high - interval.low) < 3


def test_without_a_pilot_other_metrics_and_a_pilot_without_repeats_are_refused() -> None:
    with pytest.raises(PilotNeeded, match="objective is nll"):
        outlook(base=BASE | {"budget": {"trials": 48}, "objective": {"metric": "nll"}})
    with pytest.raises(PilotNeeded, match="no cell with two jobs"):
        outlook(compute_guidance("pilot", []))


def test_the_tables_scatter_as_it_is_written_down() -> None:
    for scatter in SCATTERS:
        if scatter.table == "fashion-whole-16":  # the smallest table
            found = measured.components(load(scatter.table).runs)
            expected = (scatter.luck, scatter.along, scatter.noise)
            assert [100 * part for part in found] == pytest.approx(expected, abs=0.005)
    middle, tables = scatter_of("digits")
    assert tables == ["digits-cnn-20", "digits-mlp-15", "digits-mlp-60", "digits-weights-30"]
    assert middle.noise == float(np.median([1.27, 1.58, 0.60, 0.76]))
    assert len(scatter_of("CIFAR100")[1]) == len(SCATTERS)


def test_the_words_say_what_is_told_and_what_would_tell_the_rest() -> None:
    found = outlook()
    header, rows = power_words.table(found)
    assert header[1:3] == ["cost of T = 1", "cost of T = 2"]
    assert rows[0][0] == "Epochs 8 against 4"
    assert all(len(row) == len(header) for row in rows)
    assert "1.0 points" in power_words.legend(found)
    text = " ".join(power_words.more(found))
    assert "repeats" in text or all(one.told for one in found.powers)


def test_a_job_s_errors_shrink_with_its_trials_as_those_between_jobs_do_not() -> None:
    error = power.Error(leverage=4.0, jobs=4, effects=3)
    once, more = (error.at(4, Errors(0.01, 0.005, 48), times) for times in (1, 8))
    assert once is not None
    assert more is not None
    assert 0.005 < more < once
    assert error.at(1, Errors(0.01, 0.005, 48), 1) is None
