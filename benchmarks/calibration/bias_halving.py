"""The regret of halving that is blind to temperature, and the part of it that is due to temperatures that cross.

Candidates are drawn at random, shown with a run's chance (or by their true means), and halved at rungs; the answer is
the best of those that were trained to the end. It is compared with the best of the same runs, all trained to the end.
Then once more in a world in which no temperature is early or late: at every epoch the mean accuracy of a temperature,
over its settings, lies as far from its optimizer's as at the end. What is lost there is no matter of temperature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.repetitions import Interval, paired
from trainers.replay.world import World

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
FACTOR = 3


@dataclass(frozen=True, slots=True)
class Bracket:
    """So many candidates, halved for the first time after this share of the training, and then at `FACTOR` times it."""

    candidates: int
    first: float


WAYS = {
    "halving from 1/9": (Bracket(27, 1 / 9),),
    "halving from 1/27": (Bracket(27, 1 / 27),),
    "hyperband": (Bracket(27, 1 / 27), Bracket(12, 1 / 9), Bracket(6, 1 / 3), Bracket(4, 1.0)),
}
"""The last: Li et al. 2018, Hyperband, table 1, from a 27th of the training on."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Points of true accuracy that a way loses against its own candidates trained to the end, what it loses where no
    temperature is early or late, and the difference of the two; `trainings` is its cost.
    """

    lost: Interval
    without: Interval
    by_temperature: Interval
    trainings: float


def temperatures(world: World) -> dict[str, list[Places]]:
    """By optimizer, the cells that distil at each of the grid's temperatures."""
    found: dict[str, list[Places]] = {}
    cells = world.grid.cells()
    for name in world.grid.optimizers:
        found[name] = [
            np.array([n for n, cell in enumerate(cells) if cell.optimizer == name and cell.temperature == one])
            for one in world.grid.temperatures
        ]
    return found


def level(world: World) -> Floats:
    """What truth [cells, E] would be if no temperature were early or late."""
    truth = world.truth.copy()
    for of_each in temperatures(world).values():
        means = np.stack([world.truth[cells].mean(axis=0) for cells in of_each])
        apart = means - means.mean(axis=0)
        for cells, early, late in zip(of_each, apart, apart[:, -1], strict=True):
            truth[cells] += late - early
    return truth


def losses(world: World, way: str, draws: int, optimizers: Sequence[str], *, lucky: bool = True, seed: int = 0) -> Loss:
    """Over so many draws of candidates among these optimizers' cells; the same runs in both worlds. Unless `lucky`,
    runs are their true means.
    """
    pool = np.concatenate([cells for name in optimizers for cells in temperatures(world)[name]])
    lost, without = np.zeros(draws), np.zeros(draws)
    brackets = WAYS[way]
    chance = np.random.default_rng([seed, len(brackets)])
    sizes = [min(bracket.candidates, len(pool)) for bracket in brackets]
    cells = np.stack([chance.choice(pool, sum(sizes), replace=sum(sizes) > len(pool)) for _ in range(draws)])
    scatter = _chance(world, cells) if lucky else 0.0
    final = 100 * world.truth[:, -1]
    spent = 0.0
    for out, truth in ((lost, world.truth), (without, level(world))):
        seen = (truth[cells.ravel()] + scatter).reshape(*cells.shape, -1)
        kept = np.zeros(cells.shape, dtype=bool)
        ends, spent = np.cumsum(sizes), 0.0
        for end, size, bracket in zip(ends, sizes, brackets, strict=True):
            inside = slice(end - size, end)
            kept[:, inside], paid = _halved(world, seen[:, inside], bracket.first)
            spent += paid
        last = seen[:, :, -1]
        answer = np.where(kept, last, -math.inf).argmax(axis=1)
        whole = last.argmax(axis=1)
        rows = np.arange(draws)
        out[:] = final[cells[rows, whole]] - final[cells[rows, answer]]
    nothing, own, other = [0.0] * draws, lost.tolist(), without.tolist()
    return Loss(paired(own, nothing), paired(other, nothing), paired(own, other), spent)


def _chance(world: World, cells: Places) -> Floats:
    """One run of each of the cells [draws, n], less its truth [draws * n, E]; no two runs share a seed."""
    draws, count = cells.shape
    seeds = 1_000_000 * (1 + np.arange(draws))[:, None] + np.arange(count)
    found: Floats = world.curves(cells.ravel().tolist(), seeds.ravel().tolist()) - world.truth[cells.ravel()]
    return found


def _halved(world: World, seen: Floats, first: float) -> tuple[NDArray[np.bool_], float]:
    """Which of the runs [draws, n, E] are trained to the end [draws, n], and what that costs in whole trainings."""
    draws, count, _ = seen.shape
    kept = np.ones((draws, count), dtype=bool)
    length, spent, before, share = float(world.epochs[-1]), 0.0, 0.0, first
    while share < 1 - 1e-9:
        place = int(np.searchsorted(world.epochs, round(share * length)))
        now = float(world.epochs[place]) / length
        left = int(kept[0].sum())
        spent += left * (now - before)
        before, share = now, share * FACTOR
        order = np.where(kept, seen[:, :, place], -math.inf).argsort(axis=1)[:, ::-1]
        kept = np.zeros_like(kept)
        np.put_along_axis(kept, order[:, : max(1, left // FACTOR)], values=True, axis=1)
    return kept, spent + int(kept[0].sum()) * (1 - before)
