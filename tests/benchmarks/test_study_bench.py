"""The benchmark of a study's questions: what is true of its worlds, and what counts as held, claimed and short."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import study, study_worlds
from search.analysis.study import questions
from search.analysis.study.quantities import COSTS, GAIN, WIDTH


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, few hyperparameters, two questions, and two repeats on two seeds."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 90)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 16)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)
    monkeypatch.setattr(questions, "COSTS", (COSTS[4],))
    monkeypatch.setattr(study_worlds, "POPULATION", 20)
    monkeypatch.setattr(study_worlds, "SEEDS", 2)


def kind(name: str) -> study_worlds.Kind:
    return next(one for one in study_worlds.KINDS if one.name == name)


def test_there_are_the_eight_kinds_and_an_effect_of_two_deltas() -> None:
    names = [one.name for one in study_worlds.KINDS]
    assert names == [
        "flat", "shifted", "censored", "crossing", "strong seeds", "unequal noise", "interacting", "aberrant teacher",
        "two deltas",
    ]  # fmt: skip


def test_what_is_true_of_a_world_is_what_its_curves_say() -> None:
    flat, steep = study_worlds.truth(study_worlds.World(fall=0.0)), study_worlds.truth(study_worlds.World(fall=0.01))
    assert [flat[topic] for topic in COSTS] == pytest.approx([0.0] * 5)
    assert flat[WIDTH] == pytest.approx(np.log2(40))
    assert steep[WIDTH] < flat[WIDTH]
    assert steep[COSTS[2]] < steep[COSTS[1]] < steep[COSTS[0]] < steep[COSTS[4]]
    assert flat[GAIN] == pytest.approx(0.02)
    both = study_worlds.truths(kind("two deltas"))
    gains = [both[levels][GAIN] for levels in both]
    assert gains[2] - gains[0] == pytest.approx(2 * study_worlds.DELTA)


@pytest.mark.parametrize(("name", "least"), [("flat", 0.8), ("strong seeds", 0.6)])
def test_a_study_s_outcomes_stand_beside_the_truth(name: str, least: float) -> None:
    rows = study.outcomes(kind(name), 0, study_worlds.truths(kind(name)))
    assert {row.topic for row in rows} == {"T = 20", "width", "gain"}
    assert np.mean([row.held for row in rows]) >= least
    assert not any(row.verdict == "moves" and row.none for row in rows)
    headline = study.figures(rows, 0.0)
    assert {"decided_share", "cells_short", "decided_right", "minutes"} <= headline.keys()
    assert headline["cells_short"] == 0
    assert study.table(rows)[name]["effects"] is not None


def test_a_pair_is_short_where_chance_alone_would_not_make_it_so() -> None:
    assert not study.short(900, 1000, 0.9, 100, most=False)
    assert not study.short(880, 1000, 0.9, 100, most=False)
    assert study.short(850, 1000, 0.9, 100, most=False)
    assert study.short(150, 1000, 0.1, 100, most=True)
    assert not study.short(115, 1000, 0.1, 100, most=True)
    assert not study.short(20, 24, 0.9, 100, most=False)


def test_what_is_handed_out_and_what_is_searched_is_as_much_as_the_grid_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_worlds, "REPEATS", 2)
    grid, adaptive = (study.MAKERS[trials](kind("unequal noise"), 0) for trials in ("grid", "adaptive"))
    runs = [
        {cell.job_id: len(cell.runs.values) for cell in cells if cell.runs is not None} for cells in (grid, adaptive)
    ]
    assert runs[0].keys() == runs[1].keys()
    assert sum(runs[1].values()) == sum(runs[0].values())
    noisy, calm = (sum(count for name, count in runs[1].items() if (name[0] in "23") == loud) for loud in (True, False))
    assert noisy > calm, "cells that scatter get more"
    monkeypatch.setattr(study_worlds, "SEEDS", 1)
    monkeypatch.setattr(study_worlds, "REPEATS", 1)
    searched = study.MAKERS["search"](kind("flat"), 0)
    assert [len(cell.runs.values) for cell in searched if cell.runs is not None] == [28] * 4
    assert all(cell.runs is not None and not cell.runs.paired for cell in searched)


def test_rivals_are_compared_by_the_widths_of_effects() -> None:
    def rows(width: float) -> list[study.Outcome]:
        wide = study.Outcome("flat", "gain", "effect", True, True, "negligible", True, width)
        return [wide, study.Outcome("flat", "gain", "cell", True, False, "negligible", True, 0.0)]

    found = study._beside({"adaptive": rows(0.6), "search": rows(1.2)})
    assert found == {"width_vs_before": 0.5, "width_adaptive": 0.6, "width_search": 1.2}
