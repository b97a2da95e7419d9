"""A small table from a formula, for tests and for trying a method out: its curves look like those of real students."""

from __future__ import annotations

import math

import numpy as np

from trainers.registry import optimizers
from trainers.replay.context import Context
from trainers.replay.grid import Grid, Settings
from trainers.replay.runs import Runs
from trainers.replay.world import World

_LATE, _STEADY = optimizers.SEARCHED
"""The first optimizer's best temperature rises along training, the second one's stays."""
GRID = Grid(
    temperatures=(1.0, 2.0, 4.0, 8.0, 16.0, 40.0),
    kd_weights=(0.5, 0.9),
    optimizers={
        _LATE: Settings((0.01, 0.1, 1.0), (5e-4,), 0.9),
        _STEADY: Settings((0.001, 0.01, 0.1), (0.01,)),
    },
)


def runs(seeds: int = 4, epochs: int = 12, grid: Grid = GRID, seed: int = 0, sealed: bool = False) -> Runs:
    """Runs whose best temperature is 8 at the end with the first optimizer (2 early on, so that ranks cross) and 4 with
    the second, at the middle learning rate; kd_weight and weight decay matter little. About 0.9 at best, one run's s.d.
    about 0.01.
    """
    chance = np.random.default_rng(seed)
    cells = grid.cells()
    time = np.arange(1, epochs + 1) / epochs
    mean = np.empty((len(cells), epochs))
    for number, cell in enumerate(cells):
        _, weight, rate, _ = grid.coordinates(number)
        middle = (len(grid.optimizers[cell.optimizer].learning_rates) - 1) / 2
        best = math.log(8.0) * time + math.log(2.0) * (1 - time) if cell.optimizer == _LATE else math.log(4.0)
        off = 0.02 if cell.temperature is None else 0.008 * (math.log(cell.temperature) - best) ** 2
        mean[number] = 0.9 - 0.6 * np.exp(-4 * time) - off - 0.02 * (rate - middle) ** 2 + 0.003 * max(weight, 0)
    walk = chance.normal(0, 0.01 / math.sqrt(epochs), (len(cells), seeds, epochs)).cumsum(-1)
    shared = chance.normal(0, 0.004, (seeds, 1))
    accuracy = np.clip(mean[:, None] + walk + shared, 0, 1)
    return Runs(
        context=_context(epochs, sealed),
        grid=grid,
        epochs=np.arange(1, epochs + 1),
        accuracy=accuracy,
        nll=2.5 * (1 - accuracy),
        ece=(1 - accuracy.mean(1)) / 2,
        agreement=accuracy.mean(1),
        lengths=[(2.5, 1.5, 0.8, 1.5)] * 4,
        built={"by": "a formula"},
    )


def world(seeds: int = 4, epochs: int = 12, grid: Grid = GRID, seed: int = 0) -> World:
    """The world of `runs`."""
    return World(runs(seeds, epochs, grid, seed))


def _context(epochs: int, sealed: bool) -> Context:
    return Context(
        name="synthetic",
        sealed=sealed,
        summary="curves from a formula",
        data="none",
        classes=10,
        channels=1,
        image_size=(8, 8),
        train_images=600,
        validation_images=359,
        teacher="none",
        teacher_kind="plain",
        teacher_accuracy=0.97,
        teacher_nll=0.1,
        teacher_ece=0.02,
        teacher_entropy=0.1,
        student="none",
        student_initialisation="random",
        epochs=epochs,
        batch_size=64,
        problem={},
        softness=[(1.0, 0.1), (4.0, 1.2), (40.0, 2.28)],
    )
