"""Blocks go where they shorten what is open: to noisy jobs, to settings that may be best; nowhere when all is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import study_worlds as worlds
from benchmarks.calibration.study_worlds import ALONG, SETTINGS, World
from search.analysis.study import allotment, runs
from search.analysis.study.allotment import Block, Candidate, at_once, blocks_of
from search.analysis.study.cells import Cell
from tests.search.analysis.test_study_questions import spec, trained

SIZE = len(ALONG)
LEVELS = ("first", "second")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, and few hyperparameters."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 90)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 16)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)


def study(*of_levels: World, seeds: int = 1, repeats: int = 2) -> list[Cell]:
    """Jobs of one factor, each on so many seeds."""
    jobs = []
    for level, world in zip(LEVELS, of_levels, strict=True):
        for repeat in range(repeats):
            name = f"{level}{repeat}"
            rng, luck = (np.random.default_rng([sum(map(ord, name)), part]) for part in (0, 1))
            table = worlds.bench(world, rng, luck, seeds)
            measured = table.runs([seeds] * SETTINGS)
            jobs.append(Cell(name, {"a": level}, {"replicate": str(repeat)}, runs=measured, delta=worlds.DELTA))
    return jobs


def candidates(cells: list[Cell]) -> list[Candidate]:
    return [Candidate(cell.job_id, worlds.settings(), worlds.settings(), SIZE) for cell in cells]


def handed(cells: list[Cell], trials: int = 20 * SIZE) -> list[Block]:
    return blocks_of(cells, candidates(cells), trials)


def test_blocks_go_to_the_jobs_that_scatter() -> None:
    cells = study(World(noise=0.003), World(noise=0.02), seeds=2)
    jobs = Counter(block.job_id for block in handed(cells))
    assert sum(jobs.values()) == 20
    assert jobs["second0"] + jobs["second1"] > 2 * (jobs["first0"] + jobs["first1"])


def test_blocks_go_to_settings_that_may_be_the_best() -> None:
    cells = study(World(noise=0.01), World(noise=0.01), seeds=2)
    settings = Counter(block.setting for block in handed(cells))
    top = worlds.quality(World(), ALONG, worlds.settings()).max(axis=0)
    good = set(np.argsort(-top)[:2].tolist())
    assert settings.total() == 20
    assert sum(settings[setting] for setting in good) > 2 * sum(settings[setting] for setting in {0, 1, 2, 3} - good)


def test_what_is_decided_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs' own errors are nothing, so that whatever is open is what jobs differ by."""
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 48)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 4)
    clear = World(fall=0.0, gap=0.05, noise=1e-4, luck=1e-4, along=1e-5)
    assert handed(study(clear, clear, seeds=2, repeats=3)) == []


def test_no_more_is_handed_out_than_there_is_and_the_same_again() -> None:
    cells = study(World(noise=0.01), World(noise=0.02))
    few = handed(cells, 5 * SIZE + 1)
    assert len(few) == 5
    assert few == handed(cells, 5 * SIZE + 1) == handed(cells)[:5]
    assert handed(cells, SIZE - 1) == []


def test_a_job_without_runs_is_passed_over_and_counts_for_none() -> None:
    cells = study(World(noise=0.01), World(noise=0.01))
    silent = [replace(cells[0], runs=None), *cells[1:]]
    jobs = {block.job_id for block in handed(silent)}
    assert jobs
    assert cells[0].job_id not in jobs
    assert handed([replace(cell, runs=None) for cell in cells]) == []


def test_a_block_that_is_planned_makes_the_next_one_of_its_kind_worth_less() -> None:
    cells = study(World(noise=0.01), World(noise=0.01))
    jobs = allotment.jobs_that_tell(cells, worlds.DELTA, 0)
    weights = allotment.weights_of(jobs, worlds.DELTA, 0)
    job = jobs[0]
    gains = allotment._Gains.of(candidates(cells)[0], job, weights[job.cell.job_id], worlds.DELTA)
    worths = []
    for _ in range(12):
        worths.append(gains.worth)
        gains.take()
    assert worths == sorted(worths, reverse=True)
    assert worths[-1] < 0.5 * worths[0]


def test_a_third_is_handed_out_at_a_time_and_at_least_for_half_of_the_cells() -> None:
    sizes = [6] * 10
    assert at_once(600, sizes) == 200
    assert at_once(60, sizes) == 30
    assert at_once(20, sizes) == 20
    assert at_once(-6, sizes) == -6


def test_settings_of_a_grid_are_found_among_the_runs() -> None:
    asked = spec()
    assert asked.grid is not None
    of_job = runs.runs_of(asked, trained(asked))
    assert of_job is not None
    for places, labels in zip(runs.grid_places(asked, asked.grid), (False, True), strict=True):
        measured = of_job.settings[of_job.labels == labels]
        assert len(places) == asked.grid.settings
        assert all(np.abs(measured - place).max(axis=1).min() < allotment.ALIKE for place in places)
