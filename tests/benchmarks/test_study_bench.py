"""The benchmark of a study's questions: what is true of its worlds, and what counts as held, claimed and short."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration import study, study_outcomes, study_worlds
from search.analysis.study import questions
from search.analysis.study.quantities import COSTS, GAIN, WIDTH


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, few hyperparameters, two questions, and two repeats on two seeds."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 90)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 16)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)
    monkeypatch.setattr("search.analysis.study.surface.STEPS", 40)
    study_outcomes.truths_of.cache_clear()
    monkeypatch.setattr(questions, "COSTS", (COSTS[4],))
    monkeypatch.setattr(study_worlds, "POPULATION", 20)
    monkeypatch.setattr(study_worlds, "SEEDS", 2)


kind = study_outcomes.kind_of


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
    found = study_outcomes.study_of(name, 0)
    rows = {name: found.outcomes}
    assert {row.topic for row in found.outcomes} == {"T = 20", "width", "gain"}
    assert np.mean([row.held for row in found.outcomes]) >= least
    assert not any(row.verdict == "moves" and row.none for row in found.outcomes)
    headline = study.figures(rows)
    assert headline["cells_short"] == 0
    assert headline["width_median_margins"] > 0
    assert study.table(rows)[name]["effects"] is not None


def outcome(
    part: str, truth: float, verdict: str | None, low: float = -0.5, high: float = 0.5
) -> study_outcomes.Outcome:
    return study_outcomes.Outcome("gain", part, low, (low + high) / 2, high, truth, verdict)


def test_what_is_held_none_decided_and_right() -> None:
    rows = [
        outcome("effect", 0.0, "negligible"),
        outcome("effect", 0.0, "moves", 0.1, 1.1),
        outcome("effect", 1.5, "moves", 0.1, 1.1),
        outcome("effect", -0.4, "moves", 0.1, 1.1),
        outcome("cell", 1.2, "negligible"),
        outcome("cell", -1.4, "matters", -3.0, -1.1),
        outcome("cell", 1.1, "cannot tell", 0.0, 2.0),
    ]
    assert [row.held for row in rows] == [True, False, False, False, False, True, True]
    assert [row.none for row in rows] == [True, True, False, False, False, False, False]
    assert [row.decided and row.right for row in rows] == [True, False, True, False, False, True, False]
    headline = study.figures({"flat": rows})
    assert headline["decided_right"] == pytest.approx(2 / 4)
    assert headline["decided_wrong"] == pytest.approx(3 / 7)
    assert headline["simulated_open_sizes_near"] == 1.0
    assert study.counts({"flat": rows})["flat, gain, effect"] == {
        "count": 4, "held": 1, "none": 2, "claimed": 1, "decided": 4, "right": 2,
    }  # fmt: skip


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    work = study_outcomes.tasks(["flat", "shifted"], 2, 25)
    assert work[:3] == [("flat", 0, "grid"), ("flat", 0, "adaptive"), ("flat", 0, "search")]
    assert len(work) == 8
    path = tmp_path / "raw.jsonl"
    rows = [list(astuple(outcome("effect", 0.0, "moves")))]
    lines = [json.dumps([*task, rows]) for task in work[:7]]
    path.write_text("\n".join([*lines, json.dumps([*work[7], rows])[:20]]) + "\n")
    assert len(study_outcomes.simulate(work[:7], path, 1.0, 1)) == 7
    assert path.read_text().count("\n") == 8, "none was made up again"
    [*_, missing] = study_outcomes.simulate(work, path, 0.0, 1)
    assert (missing.kind, missing.number, missing.trials) == work[7]
    assert len(missing.outcomes) == 21, "three questions of four cells, two factors and their pair"
    assert len(study_outcomes.simulate(work, path, 1.0, 1)) == 8


def test_the_last_line_has_what_the_ready_studies_and_theory_say(tmp_path: Path) -> None:
    found = study.ready()
    assert found["ready_studies"] >= 2
    assert 0 < found["decided_share"] < 1
    assert found["width_factor_median"] > 1
    assert found["minutes_worst"] > 1
    assert found["advice_regret_ratio"] == pytest.approx(1.123, abs=0.001)
    nothing = study.ready(tmp_path)
    assert nothing["decided_share"] is None
    assert nothing["advice_regret_ratio"] is None


def test_a_pair_is_short_where_chance_alone_would_not_make_it_so() -> None:
    assert not study.short(900, 1000, 0.9, 100, most=False)
    assert not study.short(880, 1000, 0.9, 100, most=False)
    assert study.short(850, 1000, 0.9, 100, most=False)
    assert study.short(150, 1000, 0.1, 100, most=True)
    assert not study.short(115, 1000, 0.1, 100, most=True)
    assert not study.short(20, 24, 0.9, 100, most=False)


def test_what_is_handed_out_and_what_is_searched_is_as_much_as_the_grid_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_worlds, "REPEATS", 2)
    grid, adaptive = (study_outcomes.MAKERS[trials](kind("unequal noise"), 0) for trials in ("grid", "adaptive"))
    runs = [
        {cell.job_id: len(cell.runs.values) for cell in cells if cell.runs is not None} for cells in (grid, adaptive)
    ]
    assert runs[0].keys() == runs[1].keys()
    assert sum(runs[1].values()) == sum(runs[0].values())
    noisy, calm = (sum(count for name, count in runs[1].items() if (name[0] in "23") == loud) for loud in (True, False))
    assert noisy > calm, "cells that scatter get more"
    monkeypatch.setattr(study_worlds, "SEEDS", 1)
    monkeypatch.setattr(study_worlds, "REPEATS", 1)
    searched = study_outcomes.MAKERS["search"](kind("flat"), 0)
    assert [len(cell.runs.values) for cell in searched if cell.runs is not None] == [28] * 4
    assert all(cell.runs is not None and not cell.runs.paired for cell in searched)


def test_rivals_are_compared_by_the_widths_of_effects() -> None:
    def rows(width: float) -> dict[str, list[study_outcomes.Outcome]]:
        return {"flat": [outcome("effect", 0.0, "negligible", 0.0, width), outcome("cell", 0.0, "negligible")]}

    found = study.beside({"adaptive": rows(0.6), "search": rows(1.2)})
    assert found == {"width_vs_before": 0.5, "width_adaptive": 0.6, "width_search": 1.2}
    assert study.beside({"adaptive": {}, "search": rows(1.2)})["width_vs_before"] is None
