"""The simulated studies (study_worlds) with the trials of a grid handed out adaptively, and with a search in each cell.

Each has as many trainings in all as the grid has. The searches are Optuna's TPE with its defaults, in each cell and in
each tuned baseline apart: the product's own sampler takes a tenth of a second a trial, and is not tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import optuna

from benchmarks.calibration import study_worlds as worlds
from benchmarks.calibration.study_worlds import ALONG, SETTINGS, Kind, World
from search.analysis.study.allotment import Candidate, at_once, blocks_of
from search.analysis.study.cells import Cell
from search.analysis.study.runs import Runs
from search.studies.cells import FIRST_ROUNDS

SHARE = 0.0625
"""Of a search's trials, those of each tuned baseline beside it: a spec's default."""
BASELINES = (0.0, 2.0, None)
"""log2 T of the tuned baselines; None is labels alone."""


def adaptive(kind: Kind, number: int) -> list[Cell]:
    """The jobs of one study, whose trials beyond the first rounds were handed out as the product does it."""
    jobs = [
        (cell, worlds.bench(world, chance, luck, worlds.MOST_SEEDS))
        for cell, world, chance, luck in worlds.jobs_of(kind, number)
    ]
    counts = {cell.job_id: [FIRST_ROUNDS] * SETTINGS for cell, _ in jobs}
    candidates = [Candidate(cell.job_id, worlds.settings(), worlds.settings(), len(ALONG)) for cell, _ in jobs]
    left = (worlds.SEEDS - FIRST_ROUNDS) * SETTINGS * len(ALONG) * len(jobs)

    def trained() -> list[Cell]:
        return [replace(cell, runs=table.runs(counts[cell.job_id])) for cell, table in jobs]

    while blocks := blocks_of(trained(), candidates, at_once(left, [len(ALONG)] * len(jobs))):
        for block in blocks:
            counts[block.job_id][block.setting] += 1
        left -= len(ALONG) * len(blocks)
    return trained()


def searched(kind: Kind, number: int) -> list[Cell]:
    """The jobs of one study, each of which searched by itself."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return [
        replace(cell, runs=_search(world, chance, luck, [number, place]))
        for place, (cell, world, chance, luck) in enumerate(worlds.jobs_of(kind, number))
    ]


def _search(world: World, rng: np.random.Generator, luck: np.random.Generator, stem: Sequence[int]) -> Runs:
    trainings = worlds.SEEDS * SETTINGS * (len(ALONG) + 1)
    tuned = round(SHARE * trainings / (1 + len(BASELINES) * SHARE))
    trials = trainings - len(BASELINES) * tuned
    rows = []
    for place, octave in enumerate((np.nan, *BASELINES)):
        searching = place == 0
        sampler = optuna.samplers.TPESampler(seed=int(np.random.default_rng([*stem, place]).integers(2**31)))
        search = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(trials if searching else tuned):
            trial = search.ask()
            octaves = trial.suggest_float("octaves", ALONG[0], ALONG[-1]) if searching else octave
            point = np.array([trial.suggest_float(f"x{axis}", 0.0, 1.0) for axis in range(worlds.DIMENSIONS)])
            value = _trained(world, octaves, point[None], rng, luck)
            search.tell(trial, value)
            rows.append((np.nan if octaves is None else octaves, point, value))
    at, points, values = (np.array(column) for column in zip(*rows, strict=True))
    along = np.union1d(np.linspace(ALONG[0], ALONG[-1], 17), ALONG)
    return Runs(at, points, np.arange(len(rows)), values, worlds.LENGTHS, along, paired=False)


def _trained(
    world: World, octaves: float | None, point: worlds.Array, rng: np.random.Generator, luck: np.random.Generator
) -> float:
    """One run on a seed of its own."""
    at = np.array([0.0 if octaves is None else octaves])
    shared, bent = worlds.luck_of(world, luck, at)
    noise = world.noise * rng.standard_normal()
    if octaves is None:
        return float(worlds.alone(world, point)[0] + shared + noise)
    return float(worlds.quality(world, at, point)[0, 0] + bent[0] + noise)
