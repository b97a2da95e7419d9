"""What a wrong T costs, how wide the good range is, what distilling gains: told from runs whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from search import units
from search.analysis.study import curves, question_words, runs
from search.analysis.study.cells import Cell
from search.analysis.study.guidance import compute_guidance
from search.analysis.study.guidance_table import markdown
from search.analysis.study.quantities import COSTS, GAIN, WIDTH, quantities
from search.analysis.study.questions import margin_of, questions_of
from search.claims.grid import grid_values
from search.configurations import to_json
from search.spec.job import JobSpec
from search.states import Arm
from tests.search import factories
from thermowell.api.guidance import Effect, Measured, Question
from trainers.spec import Configuration, Optimizer

OPTIMIZER = {"sgd": {"learning_rate": {"low": 0.01, "high": 1.0}}}
MEASURE = units.measure("accuracy")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, few hyperparameters, and two questions of costs."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 120)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 24)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 2)
    monkeypatch.setattr("search.analysis.study.questions.COSTS", (COSTS[2], COSTS[4]))


@cache
def spec(rounds: int = 2, grid: bool = True) -> JobSpec:
    document: dict[str, Any] = {"space": {"optimizer": OPTIMIZER}, "budget": {"trials": 24 * rounds}}
    return factories.spec(**document, grid={"settings": 4} if grid else None)


def of(temperature: float, optimizer: Optimizer) -> Configuration:
    return Configuration(temperature=temperature, kd_weight=0.5, label_weight=0.5, optimizer=optimizer)


def truth(configuration: dict[str, Any], star: float, fall: float, gap: float) -> float:
    """Quality: `fall` for each squared octave from the best T (none for labels alone, which are `gap` worse)."""
    rate = math.log10(configuration["optimizer"]["learning_rate"])
    loss = 0.02 * (rate + 0.75) ** 2
    octaves = math.log2(configuration["temperature"]) - star
    return 0.9 - loss - (gap if configuration["kd_weight"] == 0 else fall * octaves**2)


def trained(
    asked: JobSpec, seed: int = 0, star: float = 2.0, fall: float = 0.002, gap: float = 0.01, noise: float = 0.002
) -> Iterator[runs.Run]:
    """Every run of the grid with its labels alone; runs of one seed share some of their luck."""
    rng = np.random.default_rng(seed)
    luck: dict[int, float] = {}
    counts = [(Arm.JOINT, asked.budget.trials), (Arm.LABEL_ONLY, asked.budget.trials // 6)]
    for arm, count in counts:
        for place in range(count):
            row = grid_values(asked, arm, place)
            shared = luck.setdefault(row["seed"], 0.004 * rng.standard_normal())
            value = truth(row["configuration"], star, fall, gap) + shared + noise * rng.standard_normal()
            yield runs.Run(arm.value, row["seed"], row["configuration"], value)


def job(levels: dict[str, str], replicate: int, **world: float) -> Cell:
    asked = spec()
    of_job = runs.runs_of(asked, trained(asked, hash_of(levels, replicate), **world))
    return Cell(f"{levels}{replicate}", levels, {"replicate": str(replicate)}, runs=of_job, data="cifar", delta=0.002)


def hash_of(levels: dict[str, str], replicate: int) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(f"{levels}")) + 1000 * replicate


def study(**worlds: dict[str, float]) -> list[Cell]:
    """Three jobs of each level of one factor."""
    return [job({"a": level}, replicate, **world) for level, world in worlds.items() for replicate in range(3)]


def by_title(cells: list[Cell]) -> dict[str, Question]:
    return {question_words.title(one): one for one in questions_of(cells, 0.9, MEASURE, 0)}


def inside(value: Measured, number: float) -> bool:
    assert value.interval is not None
    return value.interval.low <= number <= value.interval.high


def test_a_job_tells_what_each_temperature_costs_and_what_distilling_gains() -> None:
    asked = spec(rounds=3)
    of_job = runs.runs_of(asked, trained(asked, fall=0.004))
    assert of_job is not None
    assert of_job.paired
    found = curves.curves_of(of_job, np.random.default_rng(0))
    assert found is not None
    told = quantities(found, 0.002)
    for topic, true in zip(COSTS, (0.016, 0.004, 0.0, 0.004 * 1.322**2, 0.004 * 2.322**2), strict=True):
        quantity = told[topic]
        assert quantity.by_draws == pytest.approx(true, abs=0.003), topic
        assert quantity.deviation < 0.003
    assert told[GAIN].by_draws == pytest.approx(0.01, abs=0.003)
    assert 0.5 < told[WIDTH].by_draws < 2.5


def large(seeds: int, settings: int) -> runs.Runs:
    """A job of six temperatures and labels alone, with so many settings on so many seeds."""
    rng = np.random.default_rng(3)
    points, along = rng.random((settings, 2)), np.log2([1.0, 2.0, 4.0, 10.0, 20.0, 40.0])
    places = np.append(along, np.nan)
    octaves = np.tile(np.repeat(places, settings), seeds)
    mean = np.nan_to_num(-0.002 * (octaves - 2) ** 2, nan=-0.02) - 0.05 * np.tile(points[:, 0], 7 * seeds) ** 2
    of_seed = np.repeat(np.arange(seeds), 7 * settings)
    values = 0.9 + mean + 0.004 * rng.standard_normal(seeds)[of_seed] + 0.002 * rng.standard_normal(len(mean))
    lengths = np.array([[math.log(0.5), 0.6], [math.log(2.0), 0.8]])
    return runs.Runs(octaves, np.tile(points, (7 * seeds, 1)), of_seed, values, lengths, along, paired=True)


@pytest.mark.parametrize(("seeds", "settings"), [(6, 7), (2, 20), (8, 7)])
def test_hyperparameters_of_many_runs_are_found_on_whole_seeds_and_settings(seeds: int, settings: int) -> None:
    of_job = large(seeds, settings)
    part = curves._fitted(of_job)
    assert len(part) <= curves.FITTED
    blocks = np.stack([of_job.seeds[part], of_job.settings[part][:, 0]], axis=1)
    assert set(np.unique(blocks, axis=0, return_counts=True)[1].tolist()) == {7}, "all of T, and labels alone"
    assert len(set(of_job.seeds[part].tolist())) >= 2
    worse = replace(of_job, values=-of_job.values)
    assert (curves._fitted(worse) == part).all(), "without regard to values"
    few = large(2, 17)
    assert len(curves._fitted(few)) == len(few.values) == 238, "all of few"


def test_what_is_known_of_a_curve_comes_from_all_of_its_runs() -> None:
    deviations = []
    for seeds in (4, 8):
        of_job = large(seeds, 7)
        assert curves._fewer(of_job) is of_job
        found = curves.curves_of(of_job, np.random.default_rng(0))
        assert found is not None
        deviations.append(float(found.curves.std(axis=0).mean()))
        curve = found.curves.mean(axis=0)
        assert (curve.max() - curve)[4:] == pytest.approx([0.0109, 0.0220], abs=0.003)
    assert deviations[1] < 0.85 * deviations[0]


def test_runs_in_any_order_tell_the_same_and_an_alien_run_nothing() -> None:
    asked = spec()
    rows = list(trained(asked))
    first, second = (runs.runs_of(asked, ordered) for ordered in (rows, rows[::-1]))
    assert first is not None
    assert second is not None
    assert (first.values == second.values).all()
    aliens = [of(4.0, Optimizer("adamw", 0.01)), replace(of(4.0, Optimizer("sgd", 0.1)), method="kl")]
    more = [runs.Run("joint", 1, to_json(alien), 0.5) for alien in aliens]
    third = runs.runs_of(asked, [*rows, *more])
    assert third is not None
    assert len(third.values) == len(first.values)
    assert runs.runs_of(asked, rows[:5]) is None


def test_a_diverged_run_counts_as_the_worst() -> None:
    asked = spec()
    rows = list(trained(asked))
    worst = min(row.value for row in rows if row.value is not None)
    diverged = runs.runs_of(asked, [*rows[:-1], runs.Run(rows[-1].arm, rows[-1].seed, rows[-1].configuration, None)])
    assert diverged is not None
    assert (diverged.values == worst).sum() == 2


def test_a_factor_that_makes_a_wrong_temperature_dear_is_found_with_its_size() -> None:
    found = by_title(study(robust={"fall": 0.0}, frail={"fall": 0.004}))
    cost = found["cost of T = 20"]
    [effect] = cost.effects
    assert effect.verdict == "moves"
    assert inside(effect.measured, 0.004 * 2.322**2)
    assert {size.levels["a"]: size.verdict for size in cost.cells}["frail"] == "matters"
    assert {size.levels["a"]: size.verdict for size in cost.cells}["robust"] != "matters"
    width = found["good range"]
    assert width.effects[0].measured.mean < -1
    assert "A frail against robust +" in cost.words


def test_where_nothing_differs_it_is_said_that_nothing_does() -> None:
    even = {"fall": 0.0005, "noise": 0.001}
    cells = [replace(one, data="digits") for one in study(one=even, other=even)]  # where a point does not matter
    found = by_title(cells)
    verdicts = [question.effects[0].verdict for question in found.values()]
    assert "moves" not in verdicts
    assert verdicts.count("negligible") >= 3
    assert all(inside(question.effects[0].measured, 0.0) for question in found.values())


def test_costs_are_never_below_nothing_and_gains_may_be() -> None:
    found = by_title(study(alone={"gap": -0.02, "fall": 0.001}, distilled={"gap": 0.02, "fall": 0.001}))
    for name, question in found.items():
        low = min(size.measured.interval.low for size in question.cells if size.measured.interval)
        assert (low >= 0) == (name != "gain over labels")
    gain = found["gain over labels"]
    assert {size.levels["a"]: size.verdict for size in gain.cells} == {"alone": "matters", "distilled": "matters"}
    assert inside(gain.effects[0].measured, 0.04)


def test_a_search_tells_too_but_less_than_a_grid() -> None:
    asked = spec(grid=False)
    rng = np.random.default_rng(1)
    rows = []
    for place in range(48):
        temperature, rate = 2 ** rng.uniform(0, 5.32), 10 ** rng.uniform(-2, 0)
        configuration = to_json(of(temperature, Optimizer("sgd", rate, 1e-4, momentum=0.9)))
        value = truth(configuration, 2.0, 0.002, 0.0) + 0.0045 * rng.standard_normal()
        rows.append(runs.Run("joint", place, configuration, value))
    searched, gridded = runs.runs_of(asked, rows), runs.runs_of(spec(), trained(spec()))
    deviations = []
    for of_job in (searched, gridded):
        assert of_job is not None
        found = curves.curves_of(of_job, np.random.default_rng(0))
        assert found is not None
        told = quantities(found, 0.002)
        assert (GAIN in told) == of_job.paired
        deviations.append(told[COSTS[-1]].deviation)
    assert deviations[0] > 1.5 * deviations[1]


def test_margins_are_what_the_jobs_say_and_a_point_on_digits() -> None:
    assert margin_of([Cell("x", {}, delta=0.001)]) == 0.002
    assert margin_of([Cell("x", {}, delta=0.005), Cell("y", {})]) == 0.005
    assert margin_of([Cell("x", {}, data="digits", delta=0.002)]) == 0.01
    assert margin_of([Cell("x", {}, data="digits", metric="nll", delta=0.02)]) == 0.02


def test_the_guidance_has_it_in_words_and_tables_and_the_same_every_time() -> None:
    cells = study(robust={"fall": 0.0}, frail={"fall": 0.004})
    found = compute_guidance("mine", cells)
    assert found.questions == compute_guidance("mine", cells).questions
    text = markdown(found)
    assert "## What a wrong T costs, and what distilling gains" in text
    header, rows = question_words.level_rows(found)
    assert len(header) == len(rows[0]) == 1 + len(found.questions)
    assert rows[0][header.index("cost of T = 20")].startswith("! +2.")
    header, rows = question_words.cell_rows(found)
    assert [row[0] for row in rows] == ["robust", "frail"]
    assert question_words.LEGEND in text
    assert compute_guidance("mine", [Cell("x", {"a": "b"})]).questions == []


def test_one_job_alone_tells_of_itself_and_claims_no_effect() -> None:
    [question, *_] = questions_of([job({"a": "x"}, 0), job({"a": "y"}, 0)], 0.9, MEASURE, 0)
    effects: list[Effect] = question.effects
    assert [effect.verdict for effect in effects] == ["cannot tell"]
    [alone, *_] = questions_of([job({}, 0)], 0.9, MEASURE, 0)
    assert (len(alone.cells), alone.effects) == (1, [])
