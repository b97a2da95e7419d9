"""The ground of a search: one context's world as all methods see it, values to ask for and a truth to be judged by."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainers.replay import synthetic
from trainers.replay.grid import Cell, Grid, Settings
from trainers.replay.world import World, load

Floats = NDArray[np.float64]
TOLERANCE = 0.002  # of accuracy: two tenths of a point
PRACTISED = (1.0, 2.0, 4.0, 8.0, 16.0)  # temperatures of a grid search as papers practise it
TRY = "synthetic"
"""The name of a small world from a formula, for trying the commands out."""


@dataclass(frozen=True)
class Ground:
    """A context. Runs are drawn from its world; with `real` ones, methods see recorded students and the truth comes
    from others (see `real_ground`).
    """

    world: World
    tolerance: float = TOLERANCE
    real: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The context's name."""
        return self.world.name

    @property
    def grid(self) -> Grid:
        """All that can be asked for."""
        return self.world.grid

    @property
    def length(self) -> int:
        """Epochs of a whole training."""
        return int(self.world.epochs[-1])

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """The epochs at which a run's accuracy is known."""
        return tuple(int(epoch) for epoch in self.world.epochs)

    @cached_property
    def final(self) -> Floats:
        """The truth at the last epoch [cells]."""
        return np.asarray(self.world.truth[:, -1])

    @cached_property
    def soft(self) -> tuple[int, ...]:
        """The numbers of the cells that distil; the others are label-only."""
        return tuple(number for number, cell in enumerate(self.grid.cells()) if not cell.label_only)

    @cached_property
    def best(self) -> float:
        """The truth's best, among the cells that distil."""
        return float(self.final[list(self.soft)].max())

    @cached_property
    def best_temperature(self) -> float:
        """The temperature whose best cell is best."""
        winner = max(self.soft, key=lambda number: float(self.final[number]))
        return float(self.cell(winner).temperature or 0.0)

    def best_at(self, temperature: float) -> float:
        """The truth's best among the cells of the grid's temperature that is nearest to this one."""
        near = min(self.grid.temperatures, key=lambda value: abs(math.log(value / temperature)))
        return max(float(self.final[number]) for number in self.soft if self.cell(number).temperature == near)

    def cell(self, number: int) -> Cell:
        """What a cell stands for."""
        return self.grid.cells()[number]

    def hit(self, cell: int) -> bool:
        """Whether an answer is as good as the truth's best, up to the tolerance."""
        return bool(self.final[cell] >= self.best - self.tolerance - 1e-12)

    def regret(self, cell: int) -> float:
        """How much an answer is behind the truth's best, in points."""
        return 100 * (self.best - float(self.final[cell]))

    def curve(self, cell: int, seed: int) -> Floats:
        """A run's accuracy at `epochs`."""
        if self.real:
            return self.world.real(cell, self.real[seed % len(self.real)])
        return self.world.curve(cell, seed)

    def value(self, curve: Floats, epoch: int) -> float:
        """A run's accuracy after an epoch."""
        return self.world.at(curve, epoch)

    def known(self, epoch: int) -> int:
        """The first epoch with a known accuracy that is not before this one."""
        return next((one for one in self.epochs if one >= epoch), self.length)

    def flat(self, temperature: int, kd_weight: int, optimizer: int, learning_rate: int, weight_decay: int) -> int:
        """The cell at these places among the grid's values; the optimizer's by the grid's order."""
        cell = 0
        for settings in list(self.grid.optimizers.values())[:optimizer]:
            cell += self._inner(settings) * len(self.grid.temperatures)
        chosen = list(self.grid.optimizers.values())[optimizer]
        rates, decays = len(chosen.learning_rates), len(chosen.weight_decays)
        place = (temperature * len(self.grid.kd_weights) + kd_weight) * rates + min(learning_rate, rates - 1)
        return cell + place * decays + min(weight_decay, decays - 1)

    def sizes(self) -> dict[str, int]:
        """How many values each setting has, for methods that ask for places."""
        settings = self.grid.optimizers.values()
        return {
            "temperature": len(self.grid.temperatures),
            "kd_weight": len(self.grid.kd_weights),
            "optimizer": len(self.grid.optimizers),
            "learning_rate": max(len(one.learning_rates) for one in settings),
            "weight_decay": max(len(one.weight_decays) for one in settings),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the runs and with what is made of them, not with how a number of threads rounds."""
        digest = hashlib.sha256(repr((self.name, self.tolerance, self.real, self.epochs)).encode())
        digest.update(_rounded(self.world.truth))
        digest.update(np.ascontiguousarray(self.world.runs.accuracy).tobytes())
        digest.update(_rounded(np.stack([self.world.curve(cell, 1) for cell in range(8)])))
        return digest.hexdigest()[:16]

    def _inner(self, settings: Settings) -> int:
        return len(self.grid.kd_weights) * len(settings.learning_rates) * len(settings.weight_decays)


@functools.lru_cache(16)
def open_ground(name: str, real: bool = False) -> Ground:
    """The ground of a context by its name, or of the small synthetic world; with `real`, of its recorded students."""
    if name == TRY:
        return Ground(synthetic.world(seeds=8, epochs=27, grid=_SMALL))
    return real_ground(load(name)) if real else Ground(load(name))


def real_ground(world: World) -> Ground:
    """Methods see one half of the recorded seeds, the truth is made from the others, and is as sharp as they are.

    The tolerance is the standard error of a smoothed cell's mean where that is more than 0.2 points; smoothing is left
    out of account, so it is not too fine.
    """
    count = world.runs.seeds
    if count < 4:
        raise ValueError(f"{world.name} has {count} seeds; two for the truth and two to be seen are needed")
    seen = tuple(range(count // 2))
    judged = World(world.runs, held_out=seen)
    good = judged.truth[:, -1] >= np.quantile(judged.truth[:, -1], 0.9)
    error = float(np.median(judged.residual_sd[good, -1])) / np.sqrt(count - len(seen))
    return Ground(judged, max(TOLERANCE, float(error)), seen)


def _rounded(values: Floats) -> bytes:
    return np.ascontiguousarray(np.round(values, 6)).tobytes()


_SMALL = Grid(
    temperatures=(1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 28.0, 40.0),
    kd_weights=(0.5, 0.7, 0.9),
    optimizers={
        "sgd": Settings((0.01, 0.03, 0.1, 0.3, 1.0), (1e-4, 1e-3), 0.9),
        "adamw": Settings((0.001, 0.003, 0.01, 0.03, 0.1), (1e-3, 1e-2)),
    },
)
